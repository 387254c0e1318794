"""Training reads the same pixels as everybody else."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.datasets import picture
from yolov2.data.images.pixels import Pixels, Recent, read_pixels
from yolov2.data.images.reading import ImageError, read_image


def same_as_read_image(path: Path) -> None:
    pixels = read_pixels(path)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.asarray(read_image(path)))


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        *(("JPEG", "RGB"), ("JPEG", "CMYK"), ("JPEG", "L"), ("PNG", "RGB"), ("PNG", "RGBA")),
        *(("PNG", "L"), ("PNG", "I;16"), ("WEBP", "RGB"), ("BMP", "RGB"), ("TIFF", "RGB")),
    ],
)
def test_every_kind_of_image(tmp_path: Path, form: str, mode: str) -> None:
    # by content, whatever the name says
    (tmp_path / "a.jpg").write_bytes(picture(33, 17, form, mode))
    same_as_read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("form", ["JPEG", "MPO", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_turned_as_exif_says(tmp_path: Path, form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stream = BytesIO()
    Image.open(BytesIO(picture(33, 17))).save(stream, form, exif=exif)
    (tmp_path / "a.jpg").write_bytes(stream.getvalue())
    same_as_read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"subsampling": 1}])
def test_every_way_of_writing_jpeg(tmp_path: Path, options: dict[str, int]) -> None:
    Image.open(BytesIO(picture(33, 17))).save(tmp_path / "a.jpg", **options)
    same_as_read_image(tmp_path / "a.jpg")


def test_real_images(bccd: Path) -> None:
    for path in sorted((bccd / "images" / "val").iterdir())[:5]:
        same_as_read_image(path)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_broken_files_are_named(tmp_path: Path, form: str) -> None:
    path = tmp_path / "broken.jpg"
    for share in (0.9, 0.5, 0.05):
        data = picture(96, 64, form)
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ImageError, match="broken.jpg: (cannot be decoded|not an image)"):
            read_pixels(path)
    path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"broken.jpg: empty \(0 bytes\)"):
        read_pixels(path)
    with pytest.raises(ImageError, match="gone.jpg: no such image file"):
        read_pixels(tmp_path / "gone.jpg")


def test_sixteen_bits_are_scaled_and_a_clear_palette_keeps_its_colours(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 128, 25_700, 65_535]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert read_pixels(tmp_path / "a.png")[0].tolist() == [[0] * 3, [0] * 3, [100] * 3, [255] * 3]
    palette = Image.new("P", (2, 1), 1)
    palette.putpalette([1, 2, 3, 240, 10, 20])
    palette.putpixel((0, 0), 0)
    palette.save(tmp_path / "p.png", transparency=bytes([5, 128]))
    assert read_pixels(tmp_path / "p.png")[0].tolist() == [[1, 2, 3], [240, 10, 20]]


def test_recent_images_are_read_once_as_long_as_there_is_room() -> None:
    reads: list[int] = []

    def read(position: int) -> Pixels:
        reads.append(position)
        return np.full((2, 5, 3), position, dtype=np.uint8)  # 30 bytes

    recent = Recent(read, capacity=60)
    values = [int(recent(position)[0, 0, 0]) for position in (7, 8, 7, 9, 7, 8)]
    assert values == [7, 8, 7, 9, 7, 8]
    assert reads == [7, 8, 9, 8]  # 9 took the room of 8, which had not been asked for longest
    assert int(Recent(read, capacity=10)(4)[0, 0, 0]) == 4
