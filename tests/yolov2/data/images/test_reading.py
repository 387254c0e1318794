"""One reader for all: what it reads, what it refuses, and that nothing but ImageError leaves it."""

import ast
import base64
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import EpsImagePlugin, ExifTags, Image, ImageOps, TiffImagePlugin

from tests.conftest import ROOT
from tests.datasets import picture
from yolov2.data.images.given import given_image
from yolov2.data.images.pixels import read_pixels
from yolov2.data.images.probe import probe_image
from yolov2.data.images.reading import ImageError, read_image, to_rgb
from yolov2.detection.inputs.frames import read_frames
from yolov2.detection.inputs.kinds import ImageInput, Unreadable
from yolov2.evaluation.slices import brightness

NO_FORMAT = "not an AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, TIFF or WebP image"


def exif_with_bad_rational(orientation: int) -> bytes:
    """EXIF with an orientation and a resolution of -1/0, which Pillow reads but cannot write."""
    entries = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    entries += struct.pack(">HHII", 0x011A, 10, 1, 8 + 2 + 2 * 12 + 4)
    ifd = struct.pack(">H", 2) + entries + struct.pack(">I", 0) + struct.pack(">ii", -1, 0)
    return b"Exif\0\0MM\0*" + struct.pack(">I", 8) + ifd


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_damaged_exif_does_not_hinder_the_turn(tmp_path: Path, form: str) -> None:
    stream, path = BytesIO(), tmp_path / "a.jpg"
    with Image.open(BytesIO(picture(33, 17))) as plain:
        plain.save(stream, form, exif=exif_with_bad_rational(6))
    path.write_bytes(stream.getvalue())
    with Image.open(stream) as upright:
        wanted = upright.convert("RGB").transpose(Image.Transpose.ROTATE_270)
    for image in (read_image(path), given_image(stream.getvalue())):
        np.testing.assert_array_equal(np.asarray(image), np.asarray(wanted))
        # whoever turns it again, or saves it with its EXIF, must not turn it twice
        assert ExifTags.Base.Orientation not in image.getexif()
    found = probe_image(path)
    assert (found.status, found.width, found.height) == ("ok", 17, 33)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "RGB"])
@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_a_plain_tiff_is_turned_from_disk_as_from_memory(
    tmp_path: Path, mode: str, orientation: int
) -> None:
    """Pillow's shortcut for files on disk gives such a picture with its rows cut up."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / "a.tif"
    with Image.open(BytesIO(picture(33, 17))) as plain:
        plain.convert(mode).save(path, exif=exif)
        upright = plain.convert(mode).convert("RGB")
    upright.getexif()[ExifTags.Base.Orientation] = orientation
    turned = ImageOps.exif_transpose(upright)  # Pillow's own table, not ours
    np.testing.assert_array_equal(read_pixels(path), np.asarray(turned))
    np.testing.assert_array_equal(np.asarray(given_image(path.read_bytes())), np.asarray(turned))
    assert (probe_image(path).width, probe_image(path).height) == turned.size
    assert brightness(path) == pytest.approx(np.asarray(turned.convert("L")).mean(), abs=3)


def tiff(values: object, **tags: int) -> bytes:
    stream = BytesIO()
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        info[getattr(TiffImagePlugin, name)] = value
    Image.fromarray(np.asarray(values)).save(stream, "TIFF", tiffinfo=info)
    return stream.getvalue()


def grey_by_hand(bits: int, pixels: bytes) -> bytes:
    """A grey TIFF of two pixels, unsigned, which Pillow does not write; ``pixels``: 8 bytes."""
    tags = {256: 2, 257: 1, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: len(pixels)}
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, n, 0) for tag, n in tags.items())
    ifd = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 16) + pixels + ifd


UNKNOWN_WHITE = {
    "float32": (tiff(np.array([[0.0, 0.5, 1.0]], np.float32)), "32-bit"),
    "int32": (tiff(np.array([[0, 70_000]], np.int32)), "signed"),
    "uint32": (grey_by_hand(32, struct.pack("<II", 0, 70_000)), "32-bit"),
    "int16": (tiff(np.array([[0, 30_000]], np.int32), SAMPLEFORMAT=2, BITSPERSAMPLE=16), "signed"),
    "int8": (tiff(np.array([[0, 255]], np.uint8), SAMPLEFORMAT=2), "signed"),
    "12 bits": (grey_by_hand(12, b"\x00\x0f\xff" + bytes(5)), "12-bit"),
    "16 bits, white is zero": (
        tiff(np.array([[0, 65_535]], np.uint16), PHOTOMETRIC_INTERPRETATION=0),
        "16-bit with white as 0",
    ),
}


@pytest.mark.parametrize("kind", UNKNOWN_WHITE)
def test_values_without_a_known_white_are_refused_by_all(tmp_path: Path, kind: str) -> None:
    """Pillow cuts such values off at 0 and 255: a black or a white picture, without a word."""
    path = tmp_path / "a.tif"
    content, what = UNKNOWN_WHITE[kind]
    path.write_bytes(content)
    reason = f"{what} values, which have no set black and white: save it as 8 or 16 bits unsigned"
    assert probe_image(path).reason == reason
    for reader in (read_image, read_pixels, given_image, brightness):
        with pytest.raises(ImageError) as error:
            reader(path)
        assert str(error.value) == f"{path}: {reason}"
    with pytest.raises(ImageError) as error:
        given_image(content)
    assert str(error.value) == f"image: {reason}"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_every_kind_of_tiff_is_read_by_all(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(np.full((6, 5), 130, np.uint8))
    if mode == "LAB":
        neutral = Image.new("L", grey.size, 128)
        image = Image.merge("LAB", [grey, neutral, neutral])
    else:
        image = grey.convert("1", dither=Image.Dither.NONE) if mode == "1" else grey.convert(mode)
    image.save(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as written:
        assert written.mode == mode
    # L* is 100 * 130 / 255 = 51, which sRGB writes as 121
    shade = {"1": 255, "LAB": 121}.get(mode, 130)
    pixels = read_pixels(tmp_path / "a.tif")
    assert np.abs(pixels.astype(int) - shade).max() <= 1
    assert (pixels.shape, probe_image(tmp_path / "a.tif").status) == ((6, 5, 3), "ok")
    assert brightness(tmp_path / "a.tif") == pytest.approx(shade, abs=1)


def test_grey_multiplied_by_its_alpha_is_read() -> None:
    grey = Image.new("LA", (2, 3), (100, 255)).convert("La")
    assert np.asarray(to_rgb(grey)).tolist() == [[[100] * 3] * 2] * 3


def test_brightness_of_sixteen_bits_is_that_of_the_picture(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 32_896, dtype=np.uint16)).save(tmp_path / "a.png")
    assert brightness(tmp_path / "a.png") == 128  # 32,896 of 65,535; Pillow would say 255


@pytest.fixture
def ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Ghostscript that only tells that it was started."""
    marker = tmp_path / "started"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    return marker


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n"


def test_postscript_in_a_jpg_starts_nothing(tmp_path: Path, ghostscript: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(EPS)
    with Image.open(path) as image, suppress(OSError):
        image.load()
    assert ghostscript.exists(), "else this test could not fail"
    ghostscript.unlink()
    assert probe_image(path).reason == NO_FORMAT
    for reader in (read_image, read_pixels, given_image, brightness):
        with pytest.raises(ImageError, match=f"^{path}: {NO_FORMAT}$"):
            reader(path)
    for request in (EPS, base64.b64encode(EPS).decode()):
        with pytest.raises(ImageError, match=f"^image: {NO_FORMAT}$"):
            given_image(request)
    assert not ghostscript.exists()


@pytest.mark.parametrize("form", ["PPM", "TGA", "PCX", "ICO", "ICNS", "SGI", "DDS", "QOI"])
def test_other_formats_are_not_opened(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(picture(32, 32, form))
    with Image.open(path) as written:
        assert written.format == form
    assert probe_image(path).reason == NO_FORMAT
    with pytest.raises(ImageError, match=f"^{path}: {NO_FORMAT}$"):
        read_image(path)


@pytest.mark.parametrize(
    "form", ["AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "TIFF", "WEBP"]
)
def test_the_documented_formats_are_opened(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(picture(32, 32, form))
    assert probe_image(path).status == "ok"
    assert read_image(path).size == (32, 32)


def test_nobody_else_opens_images() -> None:
    """Every ``Image.open`` says which formats; and there are no more than these."""
    calls: list[str] = []
    for folder in ("yolov2", "pipeline", "flows", "examples"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "Image.open":
                    said = [ast.unparse(one.value) for one in node.keywords if one.arg == "formats"]
                    calls.append(f"{file.relative_to(ROOT)} {' '.join(said)}")
    assert calls == ["yolov2/data/images/reading.py FORMATS"]


FUZZED = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "MPO", "JPEG2000")


def seeds_of(form: str) -> list[bytes]:
    """Small files of a format: with EXIF, as palettes, compressed, of several pictures."""
    options: list[dict[str, object]] = [{}]
    if form in ("JPEG", "PNG", "WEBP"):
        options += [{"exif": exif_with_bad_rational(6)}, {"exif": exif_with_bad_rational(3)}]
    if form == "TIFF":
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        options += [{"compression": kind} for kind in ("tiff_lzw", "jpeg", "tiff_deflate")]
        options += [{"exif": exif}, {"compression": "tiff_lzw", "exif": exif}]
    result = []
    if form in ("GIF", "TIFF"):
        options.append({"save_all": True, "append_images": [Image.new("L", (9, 8))]})
    for mode in ("RGB", "L") if form == "AVIF" else ("RGB", "L", "RGBA", "P"):
        if mode in ("RGBA", "P") and form in ("JPEG", "MPO"):
            continue
        if mode == "P" and form == "JPEG2000":
            continue
        with Image.open(BytesIO(picture(40, 30))) as plain:
            image = plain.convert(mode)
        for some in options:
            if some.get("compression") == "jpeg" and mode not in ("RGB", "L"):
                continue
            stream = BytesIO()
            image.save(stream, form, **some)
            result.append(stream.getvalue())
    return result


def mutate(data: bytes, random: np.random.Generator) -> bytes:
    """Some bytes of a file changed, exchanged, cut out, or its end cut off."""
    broken = bytearray(data)
    reach = len(data) if random.random() < 0.5 else min(len(data), 200)
    for _ in range(int(random.integers(1, 6))):
        place = int(random.integers(0, reach))
        kind = random.random()
        if kind < 0.6:
            broken[place : place + 1] = bytes([int(random.integers(0, 256))])
        elif kind < 0.75:
            broken[place : place + 4] = random.choice([b"\xff" * 4, bytes(4), b"\0\0\0\1"])
        elif kind < 0.85:
            del broken[place : place + int(random.integers(1, 9))]
        elif kind < 0.95:
            broken[place:place] = random.bytes(int(random.integers(1, 9)))
        else:
            del broken[place:]
    return bytes(broken)


def outcome(reader: Callable[[Any], Any], source: Path | bytes) -> tuple[Any, str]:
    """What ``reader`` gives, or what its ``ImageError`` says; any other error is the test's."""
    try:
        return reader(source), ""
    except ImageError as error:
        return None, str(error)


def fuzz(form: str, folder: Path, count: int) -> None:
    random = np.random.default_rng(sum(form.encode()))
    seeds = seeds_of(form)
    path = folder / {"GIF": "fuzzed.gif", "TIFF": "fuzzed.tif"}.get(form, "fuzzed.jpg")
    outcomes = {"ok": 0, "unreadable": 0}
    for number in range(count):
        path.write_bytes(mutate(seeds[number % len(seeds)], random))
        found = probe_image(path)
        outcomes[found.status] += 1
        where = (form, number, found)
        image, problem = outcome(read_image, path)
        # what validation lets pass is trained on, in the size that it found
        assert (found.width, found.height) == (image.size if image else (0, 0)), where
        assert image or problem.startswith(f"{path}: "), where
        assert "\n" not in problem, where
        if found.status == "ok":  # evaluation and serving read it as well; else it is ImageError
            brightness(path)
            assert given_image(path.read_bytes()).tobytes() == image.tobytes(), where
        else:
            outcome(brightness, path)
            assert outcome(given_image, path.read_bytes())[0] is None, where
        (frame,) = read_frames([ImageInput(name="x", content=path)], 64, ahead=1)
        assert isinstance(frame, Unreadable) == (found.status != "ok"), where
    assert min(outcomes.values()) > 0, "the mutations are too mild or too wild to try anything"


@pytest.fixture
def quiet() -> Iterator[None]:
    """Pillow warns of what it reads nevertheless; here only what is raised counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("form", FUZZED)
def test_fuzzed_files_are_pictures_or_one_sentence(tmp_path: Path, form: str) -> None:
    fuzz(form, tmp_path, 60)


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("form", FUZZED)
def test_thousands_of_fuzzed_files(tmp_path: Path, form: str) -> None:
    fuzz(form, tmp_path, 2_000)
