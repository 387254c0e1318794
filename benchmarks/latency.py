"""How long one image takes on the CPU: ``python -m benchmarks.latency [--peer PYTHON]``.

The full network with random weights, one image at 416 pixels, decoding included, from a tensor in
memory to a tensor in memory: PyTorch as it is trained, in bfloat16, every file that
``yolov2 export`` writes, and OpenCV's DNN module on the same model.onnx, given as the Python of
an environment that has opencv-python-headless. All take turns, so that what slows the machine
slows all of them. Goals: model.onnx at most 0.6 of PyTorch's time, the fastest file at most 0.6 of
OpenCV's. On a machine that others use, ``--cpu --threads 1`` counts processor time.
"""

import argparse
import copy
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.support.side_by_side import Repetition, medians, peer, timed
from yolov2.config.model import DEFAULT_ANCHORS
from yolov2.export.formats import FORMATS
from yolov2.export.source import Source
from yolov2.export.suppression import open_suppressing
from yolov2.network.decode import DecodedYOLOv2
from yolov2.network.yolov2 import YOLOv2
from yolov2.runtime.manifest import Manifest
from yolov2.runtime.model_file import open_model

PYTORCH, OPENCV = "PyTorch float32", "OpenCV DNN, model.onnx"
CHANNELS_LAST, AUTOCAST = "the same, channels last", "the same in bfloat16 autocast"


def main() -> None:
    """Print a line for each side: median, share of PyTorch's and of OpenCV's time, size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="Python that has opencv-python-headless")
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--side", type=int, default=416)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--cpu", action="store_true", help="processor time instead of the clock's")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        f"width {options.width:g}, {options.classes} classes, one image at {options.side},"
        f" {options.threads} threads, {'processor' if options.cpu else 'wall'} time"
    )
    with TemporaryDirectory() as folder, ExitStack() as stack:
        sides = ours(options, Path(folder))
        if options.peer is not None:
            job = {
                "model": f"{folder}/model.onnx",
                "shape": [1, 3, options.side, options.side],
                "cpu": options.cpu,
                "torch": torch.__version__,
            }
            side = peer(options.peer, {}, script="opencv_peer.py", **job)
            sides[OPENCV] = stack.enter_context(side)
        show(medians(sides, options.repetitions), Path(folder))


def some_image(options: argparse.Namespace) -> torch.Tensor:
    """Noise (1, 3, S, S) in [0, 1]; the same for the same size."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(1, 3, options.side, options.side, generator=generator)


def ours(options: argparse.Namespace, folder: Path) -> dict[str, Repetition]:
    """PyTorch, and every format written to ``folder``."""
    torch.manual_seed(0)
    network = YOLOv2(options.classes, DEFAULT_ANCHORS, width=options.width).eval()
    image = some_image(options)
    manifest = Manifest(
        class_names=tuple(map(str, range(options.classes))),
        anchors=DEFAULT_ANCHORS,
        image_size=options.side,
        conf_threshold=0.5,
        nms_threshold=0.5,
    )
    source = Source(network=network, manifest=manifest, calibration=lambda: iter([image.numpy()]))
    eager = DecodedYOLOv2(network)
    channels_last = copy.deepcopy(eager).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def pytorch() -> None:
        eager(image)

    @torch.inference_mode()
    def faster_layout() -> None:
        channels_last(image)

    @torch.inference_mode()
    def autocast() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            channels_last(image)

    sides = {
        PYTORCH: timed(pytorch, cpu=options.cpu),
        CHANNELS_LAST: timed(faster_layout, cpu=options.cpu),
        AUTOCAST: timed(autocast, cpu=options.cpu),
    }
    for kind in FORMATS.values():
        path = folder / kind.file
        kind.write(source, kind.manifest(manifest), path)
        if kind.variant == "nms":
            suppressing = open_suppressing(path)
            sides[kind.file] = timed(
                lambda graph=suppressing: graph.detect(image.numpy()), cpu=options.cpu
            )
        else:
            model = open_model(path, "cpu")
            sides[kind.file] = timed(lambda model=model: model.predict(image), cpu=options.cpu)
    return sides


def show(found: dict[str, float], folder: Path) -> None:
    """Print the table."""
    print(f"{'':32}{'ms':>9}{'of PyTorch':>13}{'of OpenCV':>12}{'MB':>9}")
    for name, seconds in found.items():
        opencv = f"{seconds / found[OPENCV]:.2f}" if OPENCV in found else "-"
        file = folder / name
        size = f"{file.stat().st_size / 1e6:.1f}" if file.is_file() else ""
        print(f"{name:32}{1e3 * seconds:9.1f}{seconds / found[PYTORCH]:13.2f}{opencv:>12}{size:>9}")


if __name__ == "__main__":
    main()
