"""A network that is worked by hand, and pictures for it."""

from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from yolov2.config.evaluate import DetectConfig
from yolov2.detection.detect import Detector
from yolov2.network.checkpoint import save_checkpoint
from yolov2.network.yolov2 import YOLOv2

SIDE = 64
NAMES = ("cat", "größer dog")


class CentrePixel:
    """A stand-in for a network: one box, as sure as the red of the canvas' centre is bright."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, images: Tensor) -> Tensor:
        assert images.shape[1:] == (3, SIDE, SIDE)
        assert images.dtype == torch.float32
        self.batches.append(len(images))
        predictions = torch.zeros(len(images), 2, 7)
        predictions[:, 0, :4] = torch.tensor([32.0, 32.0, 20.0, 10.0])
        predictions[:, 0, 4] = images[:, 0, SIDE // 2, SIDE // 2]
        predictions[:, 0, 5:] = torch.tensor([0.75, 1.0])
        return predictions


def detector(network: CentrePixel | None = None, **config: object) -> Detector:
    return Detector(
        network=network or CentrePixel(),
        class_names=NAMES,
        image_size=SIDE,
        device=torch.device("cpu"),
        thresholds=(0.5, 0.5),
        config=DetectConfig(**config),  # type: ignore[arg-type]
    )


def checkpoint(folder: Path) -> Path:
    """A checkpoint of a tiny network, as it is before any training."""
    path = folder / "best.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = YOLOv2(2, [(1.0, 1.0)], width=0.05)
    save_checkpoint(path, network, class_names=NAMES, image_size=SIDE)
    return path


def grey(value: int, size: tuple[int, int] = (128, 64)) -> Image.Image:
    return Image.new("RGB", size, (value, value, value))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def broken_folder(folder: Path) -> Path:
    """Readable images of odd kinds among files that are none."""
    folder.mkdir()
    noise = Image.effect_noise((200, 100), 90).convert("RGB")
    (folder / "a_truncated.jpg").write_bytes(encoded(noise, "JPEG")[:-2000])
    Image.new("CMYK", (100, 50), (0, 0, 0, 0)).save(folder / "b_cmyk.jpg")
    (folder / "c_text.jpg").write_text("no image at all")
    (folder / "d_empty.png").touch()
    grey(230, (50, 100)).save(folder / "e_good.PNG", "PNG")
    sixteen = Image.new("I;16", (70, 35), 60_000)
    sixteen.save(folder / "f_sixteen_bits.png")
    palette = Image.new("P", (64, 64), 1)
    palette.putpalette([0, 0, 0, 240, 10, 10, 9, 9, 9])
    palette.putpixel((0, 0), 2)
    palette.save(folder / "g_palette.png", transparency=bytes([0, 128, 255]))
    grey(250).save(folder / "h_moving.gif", save_all=True, append_images=[grey(0), grey(9)])
    (folder / "i_gone.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "notes.txt").write_text("left alone")
    (folder / "j_folder.jpg").mkdir()
    return folder
