"""Stage ``export``: the best checkpoint in all formats, each proven on evaluation images."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pipeline import paths
from pipeline.labels import read_labels
from pipeline.params.reading import read_section
from pipeline.running.entry import run_stage
from pipeline.running.files import read_json
from pipeline.running.recorder import store_checked
from pipeline.workspace.handover import Handover
from pipeline.workspace.inputs import Inputs
from yolov2.config.data import DataConfig
from yolov2.config.evaluate import EvaluateConfig
from yolov2.config.export import ExportConfig
from yolov2.config.machine import MachineConfig
from yolov2.export.artefacts import Places, export_checkpoint
from yolov2.export.evidence import evidence_of
from yolov2.export.report import export_line, export_report, export_table
from yolov2.files import file_sha256, write_json, write_text
from yolov2.network.device import use_threads
from yolov2.runtime.thresholds import read_thresholds

STAGE = "export"


def main() -> None:
    """Export ``models/best.pt``; write ``reports/export.json`` and its table ``export.md``."""
    inputs = Inputs.of(STAGE)
    data = read_section("data", DataConfig)
    evaluate = read_section("evaluate", EvaluateConfig)
    config = read_section("export", ExportConfig)
    machine = read_section("machine", MachineConfig)
    use_threads(machine.threads)
    with store_checked():
        labels = read_labels(data)
        labels.check_split(evaluate.split)
        thresholds = read_thresholds(paths.THRESHOLDS)
        training = read_json(paths.TRAINING, "`dvc repro train`")
    sections = {"data": asdict(data), "evaluate": asdict(evaluate), "export": asdict(config)}
    sections["machine"] = asdict(machine)
    with Handover.of(STAGE, sections) as handover:
        evidence = evidence_of(labels.tables, labels.root, config, evaluate, thresholds)
        exported = []
        places = Places(folder=paths.EXPORTED, reports=(paths.EXPORT, paths.EXPORT_TABLE))
        for item in export_checkpoint(paths.BEST, places, evidence, config):
            exported.append(item)
            print(export_line(item), flush=True)
        report = export_report(exported, evidence, config)
        write_json(paths.EXPORT, report)
        write_text(paths.EXPORT_TABLE, export_table(report))
        inputs.require_unchanged()
        handover.done(
            training=training,
            metrics=figures(report),
            digest=file_sha256(paths.EXPORT),
            files=[paths.EXPORT, paths.EXPORT_TABLE],
        )
    inputs.require_unchanged()  # what is recorded is true, but DVC would take the edit for it


def figures(report: Mapping[str, Any]) -> dict[str, float | None]:
    """``onnx/AP``, ``onnx/bytes``, ``onnx/latency_ms`` ... of the content of ``export.json``."""
    result: dict[str, float | None] = {}
    for name, item in report["artefacts"].items():
        result |= {f"{name}/{figure}": item[figure] for figure in ("AP", "AP50", "bytes")}
        result[f"{name}/latency_ms"] = report["latency_ms"][name]
    return result


if __name__ == "__main__":
    run_stage(main, options=False)
