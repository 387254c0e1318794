"""Settings of the export: which files, how they are proven, what they detect with."""

from dataclasses import dataclass
from typing import Literal, get_args

from yolov2.config.section import Section, require, require_between

FormatName = Literal[
    "onnx",
    "onnx-raw",
    "onnx-nms",
    "onnx-fp16",
    "onnx-int8",
    "torchscript",
    "pt2",
    "pt2-bf16",
]
CALIBRATED: tuple[FormatName, ...] = ("onnx-int8",)
"""Formats that are calibrated on training images, and proven by nothing but their AP."""


@dataclass(frozen=True, kw_only=True)
class ExportConfig(Section):
    """Which files are written, and what they must keep of the checkpoint.

    Files in float32 must give PyTorch's boxes and scores on ``images`` images within
    ``box_tolerance`` pixels and ``score_tolerance``; every file must keep its AP but for
    ``max_ap_loss``. ``onnx-int8`` is calibrated on ``calibration_images`` training images.

    ``conf_threshold`` and ``nms_threshold`` are what the files detect with. ``best_f1`` is the
    threshold of the best F1 of every class, found on the val split; where that is not known, 0.5.
    """

    formats: tuple[FormatName, ...] = ("onnx", "onnx-nms", "onnx-int8", "torchscript", "pt2")
    images: int = 8
    box_tolerance: float = 0.05
    score_tolerance: float = 0.0005
    max_ap_loss: float = 0.02
    calibration_images: int = 64
    conf_threshold: float | Literal["best_f1"] = "best_f1"
    nms_threshold: float = 0.5

    def __post_init__(self) -> None:
        known = get_args(FormatName)
        for name in self.formats:
            require(
                name in known,
                f"formats has '{name}', which is none of {', '.join(known)}",
            )
        require(
            0 < len(self.formats) == len(set(self.formats)),
            f"formats must name at least one format, and none twice; known: {', '.join(known)}",
        )
        require_between("images", self.images, 1, 10_000)
        require_between("box_tolerance", self.box_tolerance, 0.0, 1e6)
        require_between("score_tolerance", self.score_tolerance, 0.0, 1.0)
        require_between("max_ap_loss", self.max_ap_loss, 0.0, 1.0)
        require_between("calibration_images", self.calibration_images, 1, 10_000)
        if not isinstance(self.conf_threshold, str):
            require_between("conf_threshold", self.conf_threshold, 0.0, 1.0)
        require_between("nms_threshold", self.nms_threshold, 0.0, 1.0)
