"""What an export needs besides the checkpoint: images to be proven on, and thresholds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from yolov2.config.evaluate import EvaluateConfig
from yolov2.config.export import CALIBRATED, ExportConfig
from yolov2.config.section import require
from yolov2.data.table import LabelTables, digest
from yolov2.evaluation.annotated import AnnotatedImages, annotated_images
from yolov2.runtime.manifest import Manifest
from yolov2.runtime.thresholds import class_thresholds


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What files are proven with, and what is known about the model besides its checkpoint.

    ``images`` are compared with PyTorch; ``annotated`` gives the average precision with the
    thresholds of ``evaluation``, ``None``: it is not measured. int8 is calibrated on
    ``calibration``. ``thresholds`` are those of the best F1 by class name; ``data_digest`` is
    that of the training data.
    """

    images: Sequence[Path]
    annotated: AnnotatedImages | None = None
    evaluation: EvaluateConfig = field(default_factory=EvaluateConfig)
    calibration: Sequence[Path] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    data_digest: str = ""


def evidence_of(
    tables: LabelTables,
    root: Path,
    config: ExportConfig,
    evaluation: EvaluateConfig,
    thresholds: Mapping[str, float],
) -> Evidence:
    """Evidence of a data set: the split of ``evaluation``, calibration on the training images.

    Raises:
        ValueError: the data set lacks a split that is needed, or objects in it.
    """
    split = evaluation.split
    calibrated = any(name in CALIBRATED for name in config.formats)
    chosen = spread(tables, "train", config.calibration_images) if calibrated else []
    return Evidence(
        images=[root / name for name in spread(tables, split, config.images)],
        annotated=annotated_images(tables, split, root),
        evaluation=evaluation,
        calibration=[root / name for name in chosen],
        thresholds=thresholds,
        data_digest=digest(tables).get("train", ""),
    )


def spread(tables: LabelTables, split: str, count: int) -> list[str]:
    """Paths of ``count`` images from all over ``split``, or of all it has, in their order.

    Raises:
        ValueError: the data set has no such split.
    """
    names = tables.images.loc[tables.images["split"] == split, "image"].tolist()
    present = ", ".join(tables.images["split"].unique())
    require(
        bool(names),
        f"the export needs images of the split '{split}', which the data set does not have"
        f" (it has: {present})",
    )
    count = min(count, len(names))
    return [names[i * len(names) // count] for i in range(count)]


def with_thresholds(manifest: Manifest, evidence: Evidence, config: ExportConfig) -> Manifest:
    """``manifest`` with the thresholds to detect with.

    A class without a best threshold, as it has no objects in the val split, gets 0.5.

    Raises:
        ValueError: the thresholds are those of other classes.
    """
    by_class = class_thresholds(evidence.thresholds, manifest.class_names)
    described = replace(
        manifest, nms_threshold=config.nms_threshold, data_digest=evidence.data_digest
    )
    if config.conf_threshold != "best_f1":
        return replace(described, conf_threshold=config.conf_threshold)
    return replace(described, class_thresholds=by_class if evidence.thresholds else ())
