import hashlib
import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.datasets import picture
from yolov2.data.images.probe import ImageProbe, other_pictures, probe_image, probe_sample
from yolov2.data.images.reading import NO_FORMAT, read_image


def probe(folder: Path, data: bytes, name: str = "a.jpg") -> ImageProbe:
    (folder / name).write_bytes(data)
    return probe_image(folder / name)


def test_size_and_hash(tmp_path: Path) -> None:
    data = picture(33, 17)
    found = probe(tmp_path, data)
    assert found == ImageProbe(status="ok", width=33, height=17, md5=hashlib.md5(data).hexdigest())


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        *(("JPEG", "CMYK"), ("JPEG", "L"), ("PNG", "I;16"), ("PNG", "RGBA"), ("PNG", "L")),
        *(("WEBP", "RGB"), ("BMP", "RGB"), ("TIFF", "RGB"), ("JPEG2000", "RGB")),
    ],
)
def test_every_kind_of_image(tmp_path: Path, form: str, mode: str) -> None:
    found = probe(tmp_path, picture(33, 17, form, mode))
    assert (found.status, found.width, found.height) == ("ok", 33, 17)


@pytest.mark.parametrize("form", ["JPEG", "MPO", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_size_is_that_of_the_image_as_it_is_read(
    tmp_path: Path, form: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stream = BytesIO()
    Image.new("RGB", (33, 17), "red").save(stream, form, exif=exif)
    found = probe(tmp_path, stream.getvalue())
    turned = (17, 33) if orientation in (5, 6, 7, 8) else (33, 17)
    assert (found.width, found.height) == turned == read_image(tmp_path / "a.jpg").size


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_truncated_image_is_unreadable_wherever_it_ends(tmp_path: Path, form: str) -> None:
    data = picture(96, 64, form)
    for share in (0.99, 0.9, 0.5, 0.1, 0.01):
        found = probe(tmp_path, data[: int(len(data) * share)])
        assert found.status == "unreadable", share
        assert found.reason


def test_broken_bytes_never_raise(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for form in ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "JPEG2000"):
        data = np.frombuffer(picture(40, 30, form), dtype=np.uint8)
        for _ in range(25):
            broken = data.copy()
            broken[random.integers(0, min(len(data), 200), 4)] = random.integers(0, 256, 4)
            found = probe(tmp_path, broken.tobytes())
            assert found.status in ("ok", "unreadable")
            assert (found.status == "ok") == (found.reason == "") == (found.width > 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"a note\n", NO_FORMAT),
        (b"\xff\xd8\xff", NO_FORMAT),
    ],
)
def test_no_image(tmp_path: Path, data: bytes, reason: str) -> None:
    found = probe(tmp_path, data)
    assert (found.status, found.reason, found.width) == ("unreadable", reason, 0)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert probe_image(tmp_path / "none.jpg").status == "missing"
    (tmp_path / "link.jpg").symlink_to("none.jpg")
    assert probe_image(tmp_path / "link.jpg").status == "missing"
    (tmp_path / "folder.jpg").mkdir()
    found = probe_image(tmp_path / "folder.jpg")
    assert (found.status, found.reason) == ("unreadable", "Is a directory")


def several(form: str, count: int, mode: str = "RGB") -> bytes:
    """An image file of ``count`` pictures."""
    first, *others = [Image.new(mode, (33, 17), (index * 40, 9, 90)) for index in range(count)]
    stream = BytesIO()
    first.save(stream, form, save_all=True, append_images=others)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["TIFF", "WEBP", "PNG", "AVIF", "GIF"])
@pytest.mark.parametrize("count", [1, 3])
def test_files_of_several_pictures_say_so(tmp_path: Path, form: str, count: int) -> None:
    found = probe(tmp_path, several(form, count), f"a.{form.lower()}")
    assert (found.status, found.width, found.height) == ("ok", 33, 17)
    note = "holds 3 pictures, only the first is looked at"
    assert found.note == ("" if count == 1 else note)
    assert other_pictures(several(form, count)) == found.note
    assert other_pictures(tmp_path / f"a.{form.lower()}") == found.note


def test_side_pictures_of_a_camera_are_no_pictures(tmp_path: Path) -> None:
    found = probe(tmp_path, several("MPO", 2))  # depth, a gain map, the other eye
    assert (found.status, found.note) == ("ok", "")


def test_damage_after_the_first_picture_is_said(tmp_path: Path) -> None:
    data = bytearray(several("TIFF", 2))
    first = int.from_bytes(data[4:8], "little")  # the first directory: entries, then the next one
    entries = int.from_bytes(data[first : first + 2], "little")
    after = first + 2 + 12 * entries
    data[after : after + 4] = (len(data) + 1000).to_bytes(4, "little")
    found = probe(tmp_path, bytes(data), "a.tif")
    assert found.status == "ok"
    assert found.note.startswith("damaged after its first picture (")


def test_label_file(tmp_path: Path) -> None:
    image, label = tmp_path / "a.jpg", tmp_path / "a.txt"
    image.write_bytes(picture())
    assert (probe_sample(image, label).label, probe_sample(image, label).label_error) == (None, "")
    label.write_bytes(b"")
    assert probe_sample(image, label).label == b""
    label.unlink()
    label.symlink_to("none.txt")
    assert probe_sample(image, label).label_error == "a link to a file that does not exist"
    label.unlink()
    label.mkdir()
    assert probe_sample(image, label).label_error == "Is a directory"
    label.rmdir()
    label.write_bytes(b"0 .5 .5 .1 .1")
    label.chmod(0)
    if not os.access(label, os.R_OK):
        assert probe_sample(image, label).label_error == "Permission denied"
