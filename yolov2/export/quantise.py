"""A float32 ONNX graph with its convolutions in int8, by ONNX Runtime's static quantisation.

Weights are int8 with a scale for each output channel, activations uint8 with the range that they
have on the calibration images. The first convolution, which sees the pixels, the last, whose
outputs are coordinates, and the decoding stay float32.
"""

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from yolov2.runtime.graphs import Images
from yolov2.runtime.manifest import INPUT
from yolov2.runtime.session import onnx_runtime

if TYPE_CHECKING:
    from onnx import ModelProto

PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")
"""Tells the quantiser that constants and batch norms are folded, or it warns."""


def quantise(model: "ModelProto", images: Iterator[Images]) -> "ModelProto":
    """``model`` quantised; ``images`` (1, 3, S, S) are run to learn the range of each activation.

    Raises:
        ValueError: there are no images.
    """
    import onnx

    onnx_runtime()  # first, as it is what keeps it from calling out
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """The images, as the quantiser asks for them."""

        def get_next(self) -> dict[str, Any] | None:
            batch = next(images, None)
            return None if batch is None else {INPUT: batch}

    prepared = onnx.ModelProto()
    prepared.CopyFrom(model)
    prepared.metadata_props.add(key=PREPARED[0], value=PREPARED[1])
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        path = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            prepared,
            path,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=[convolutions[0], convolutions[-1]],
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        quantised: ModelProto = onnx.load(path)
    del quantised.metadata_props[:]
    del quantised.graph.value_info[:]
    return quantised
