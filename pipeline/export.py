"""Stage ``export``: the best checkpoint in all formats, each proven on evaluation images."""

from pathlib import Path

from pipeline import paths
from pipeline.params.schema import load
from pipeline.splits import check_split
from pipeline.stage import run_stage
from yolov2.data.description import read_description
from yolov2.data.table import LabelTables
from yolov2.export.artefacts import export_checkpoint
from yolov2.export.evidence import evidence_of, read_thresholds
from yolov2.export.report import describe, export_report, export_table
from yolov2.run_folder import write_json, write_text


def main() -> None:
    """Export ``models/best.pt``; write ``reports/export.json`` and its table ``export.md``."""
    params = load()
    config = params.export
    tables = LabelTables.read(paths.ARTIFACTS)
    check_split(tables, params.evaluate.split)
    root = read_description(Path(params.data.config)).root
    thresholds = read_thresholds(paths.THRESHOLDS)
    evidence = evidence_of(tables, root, config, params.evaluate, thresholds)
    exported = []
    for item in export_checkpoint(paths.BEST, paths.EXPORTED, evidence, config):
        exported.append(item)
        print(describe(item), flush=True)
    report = export_report(exported, evidence, config)
    write_json(paths.EXPORT, report)
    write_text(paths.EXPORT_TABLE, export_table(report))


if __name__ == "__main__":
    run_stage(main)
