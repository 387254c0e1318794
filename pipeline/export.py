"""Stage ``export``: the best checkpoint in all formats, each proven on evaluation images."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.labels import check_split
from pipeline.params.schema import Params, load
from pipeline.running.entry import run_stage
from pipeline.tracking.identity import collect_identity
from pipeline.tracking.runs import check_reachable, log_export
from yolov2.data.description import read_description
from yolov2.data.table import LabelTables
from yolov2.export.artefacts import Places, export_checkpoint
from yolov2.export.evidence import evidence_of
from yolov2.export.report import describe, export_report, export_table
from yolov2.runs.folder import write_json, write_text
from yolov2.runtime.thresholds import read_thresholds


def main() -> None:
    """Export ``models/best.pt``; write ``reports/export.json`` and its table ``export.md``."""
    params = load()
    check_reachable(params.tracking)
    config = params.export
    tables = LabelTables.read(paths.ARTIFACTS)
    check_split(tables, params.evaluate.split)
    root = read_description(Path(params.data.config)).root
    thresholds = read_thresholds(paths.THRESHOLDS)
    evidence = evidence_of(tables, root, config, params.evaluate, thresholds)
    exported = []
    places = Places(folder=paths.EXPORTED, reports=(paths.EXPORT, paths.EXPORT_TABLE))
    for item in export_checkpoint(paths.BEST, places, evidence, config):
        exported.append(item)
        print(describe(item), flush=True)
    report = export_report(exported, evidence, config)
    write_json(paths.EXPORT, report)
    write_text(paths.EXPORT_TABLE, export_table(report))
    _track(params, report)


def _track(params: Params, report: Mapping[str, Any]) -> None:
    """An MLflow run of this export; by it a reproduction knows the files' hashes.

    Its id goes to ``export_run.json``.
    """
    training_run = json.loads(paths.TRAIN_RUN.read_text(encoding="utf-8"))
    own = {"evaluate": asdict(params.evaluate), "export": asdict(params.export)}
    run_id = log_export(
        params.tracking,
        training_run=training_run,
        parameters=training_run["parameters"] | own,
        metrics=figures(report),
        artifacts=[paths.EXPORT, paths.EXPORT_TABLE],
        identity=collect_identity("export"),
    )
    record = {"run_id": run_id, "training_run_id": training_run["run_id"]}
    write_json(paths.EXPORT_RUN, record)


def figures(report: Mapping[str, Any]) -> dict[str, float | None]:
    """``onnx/AP``, ``onnx/bytes``, ``onnx/latency_ms`` ... of the content of ``export.json``."""
    result: dict[str, float | None] = {}
    for name, item in report["artefacts"].items():
        result |= {f"{name}/{figure}": item[figure] for figure in ("AP", "AP50", "bytes")}
        result[f"{name}/latency_ms"] = report["latency_ms"][name]
    return result


if __name__ == "__main__":
    run_stage(main)
