import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yolov2.data.images import given
from yolov2.data.images.reading import NO_FORMAT, ImageError, read_image


def png(width: int, height: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height), (9, 8, 7)).save(file, "PNG")
    return file.getvalue()


def test_all_kinds_give_the_same_pixels(tmp_path: Path) -> None:
    data, path = png(3, 2), tmp_path / "a.png"
    path.write_bytes(data)
    array = np.full((2, 3, 3), (9, 8, 7), dtype=np.uint8)
    for value in (data, base64.b64encode(data).decode(), path, array):
        np.testing.assert_array_equal(np.asarray(given.given_image(value)), array)


def test_text_is_never_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("abcd").write_bytes(png(3, 2))  # the name is valid base64
    with pytest.raises(ImageError, match=f"^image: {NO_FORMAT}$"):
        given.given_image("abcd")


def test_size_is_judged_by_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given, "MOST_PIXELS", 6)
    assert given.given_image(png(3, 2)).size == (3, 2)
    cut = png(7, 1)[:60]  # its pixels are missing: they are not looked at
    with pytest.raises(ImageError, match="^image: 7 x 1 pixels, of at most 6 in all$"):
        given.given_image(cut)
    assert read_image(png(7, 1)).size == (7, 1)
