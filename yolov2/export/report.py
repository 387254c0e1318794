"""What is told about exported files: a line each, a JSON for programs, a table for people."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from yolov2.config.export import ExportConfig
from yolov2.evaluation.optimism import caution
from yolov2.export.artefacts import Exported
from yolov2.export.evidence import Evidence
from yolov2.export.onnx_graph import IR_VERSION, ONNX_RUNTIME, OPSET

NOT_MEASURED = "not measured"


def export_line(exported: Exported) -> str:
    """One line for people: the file, that it is proven, its AP, its speed."""
    difference, reference, scores = exported.difference, exported.pytorch, exported.scores
    ap = (
        f"AP {scores['AP']:.4f} (PyTorch {reference.scores['AP']:.4f})"
        if scores and reference.scores
        else f"AP {NOT_MEASURED}"
    )
    return (
        f"{exported.path}  {exported.bytes / 1e6:.1f} MB  proven: boxes within"
        f" {difference.box:.2g} px, scores within {difference.score:.2g} of PyTorch"
        f"  {ap}  {exported.latency_ms:.1f} ms an image (PyTorch {reference.latency_ms:.1f} ms,"
        f" {reference.threads} threads)"
    )


def export_report(
    exported: Sequence[Exported], evidence: Evidence, config: ExportConfig
) -> dict[str, Any]:
    """The content of ``reports/export.json``; what the clock decides is under ``latency_ms``."""
    reference, annotated = exported[0].pytorch, evidence.annotated
    manifest = exported[0].manifest
    return {
        "artefacts": {item.kind.name: _artefact(item) for item in exported},
        "pytorch": dict(reference.scores or {}),
        "ap_measured_on": annotated.split if annotated else None,
        "data_digest": annotated.digest if annotated else None,
        "max_ap_loss": config.max_ap_loss,
        "images": len(evidence.images),
        "tolerance": {"box": config.box_tolerance, "score": config.score_tolerance},
        "units": {"box": "pixels of the canvas", "score": "probability"},
        "thresholds": {
            "confidence": dict(zip(manifest.class_names, manifest.thresholds, strict=True)),
            "nms": manifest.nms_threshold,
        },
        "latency_ms": {
            "batch": 1,
            "device": "cpu",
            "threads": reference.threads,
            "pytorch": round(reference.latency_ms, 2),
            **{item.kind.name: round(item.latency_ms, 2) for item in exported},
        },
    }


def _artefact(item: Exported) -> dict[str, Any]:
    return {
        "file": item.path.name,
        "bytes": item.bytes,
        "sha256": item.sha256,
        "opset": item.kind.opset,
        "ir_version": None if item.kind.opset is None else IR_VERSION,
        "precision": item.manifest.precision,
        "variant": item.manifest.variant,
        "max_difference": asdict(item.difference),
        **(item.scores or {"AP": None, "AP50": None}),
    }


def export_table(report: Mapping[str, Any]) -> str:
    """``reports/export.md`` from the content of ``reports/export.json``."""
    latency, split = report["latency_ms"], report["ap_measured_on"]
    head = f"AP ({split})" if split else "AP"
    lines = [
        "# Exported files",
        "",
        f"| | file | precision | MB | {head} | AP50 | ms an image |",
        "|---|---|---|---:|---:|---:|---:|",
        _row("PyTorch", "best.pt", "fp32", "", report["pytorch"], latency["pytorch"]),
    ]
    for name, item in report["artefacts"].items():
        size = f"{item['bytes'] / 1e6:.1f}"
        lines.append(_row(name, item["file"], item["precision"], size, item, latency[name]))
    lines += [
        "",
        f"One image at a time on the CPU, {latency['threads']} threads, ONNX in ONNX Runtime. A"
        f" loss of AP above {report['max_ap_loss']:g} is an error. The ONNX files have opset"
        f" {OPSET} and IR version {IR_VERSION}: they run in ONNX Runtime {ONNX_RUNTIME} and later.",
    ]
    if caution(split or ""):
        lines += ["", f"AP is {caution(split)}."]
    return "\n".join(lines) + "\n"


def _row(
    name: str, file: str, precision: str, size: str, scores: Mapping[str, Any], latency: float
) -> str:
    ap, ap50 = (
        NOT_MEASURED if scores.get(figure) is None else f"{scores[figure]:.4f}"
        for figure in ("AP", "AP50")
    )
    return f"| {name} | `{file}` | {precision} | {size} | {ap} | {ap50} | {latency:.1f} |"
