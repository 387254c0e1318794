"""Stage ``export``: the best checkpoint as ONNX and TorchScript, proven on evaluation images."""

from pathlib import Path

from pipeline import paths
from pipeline.params.schema import load
from pipeline.stage import run_stage
from yolov2.data.description import read_description
from yolov2.data.table import LabelTables
from yolov2.detection.artefacts import describe, export_checkpoint, export_report
from yolov2.run_folder import write_json
from yolov2.section import require


def main() -> None:
    """Export ``models/best.pt``; write ``reports/export.json``."""
    params = load()
    tables = LabelTables.read(paths.ARTIFACTS)
    names = spread(tables, params.evaluate.split, params.export.images)
    root = read_description(Path(params.data.config)).root
    exported = []
    images = [root / name for name in names]
    for item in export_checkpoint(paths.BEST, paths.MODELS, images, params.export):
        exported.append(item)
        print(describe(item), flush=True)
    write_json(paths.EXPORT, export_report(exported, len(images), params.export))


def spread(tables: LabelTables, split: str, count: int) -> list[str]:
    """Paths of ``count`` images from all over ``split``, or of all it has, in their order.

    Raises:
        ValueError: the data set has no such split.
    """
    names = tables.images.loc[tables.images["split"] == split, "image"].tolist()
    present = ", ".join(tables.images["split"].unique())
    require(
        bool(names),
        f"export is proven on images of the split '{split}', which the data set does not have"
        f" (it has: {present}): set evaluate.split in params.yaml",
    )
    count = min(count, len(names))
    return [names[i * len(names) // count] for i in range(count)]


if __name__ == "__main__":
    run_stage(main)
