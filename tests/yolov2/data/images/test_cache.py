"""Kept images are those that would be read, and too many of them are refused."""

import hashlib
import os
import pickle
import shutil
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.datasets import picture
from yolov2.data.images import disk_cache, pixels, ram_cache, room
from yolov2.data.images.cache import CacheKind, open_images
from yolov2.data.images.pixels import Images
from yolov2.data.images.reading import ImageError
from yolov2.data.images.room import CacheError, free_memory

SIZES = [(17, 33), (40, 12), (8, 9)]  # height, width
MD5S = ["00" * 16] * 3
KINDS: tuple[CacheKind, ...] = ("none", "ram", "disk")


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{index}.png" for index in range(3)]
    for path, (height, width) in zip(found, SIZES, strict=True):
        path.write_bytes(picture(width, height, "PNG"))
    return found


def refuse(text: str) -> None:
    raise AssertionError(text)


def opened(paths: list[Path], kind: CacheKind) -> Images:
    """As a data set opens them whose table was made just now."""
    md5s = [hashlib.md5(path.read_bytes()).hexdigest() for path in paths]
    return open_images(paths, SIZES, md5s, kind, paths[0].parent / "cache", tell=refuse)


def decoded(path: Path) -> list[list[list[int]]]:
    values: list[list[list[int]]] = np.asarray(Image.open(BytesIO(path.read_bytes()))).tolist()
    return values


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files decoded so far."""
    names: list[str] = []
    plain = pixels.read_pixels

    def read(path: Path) -> object:
        names.append(path.name)
        return plain(path)

    for module in (pixels, ram_cache, disk_cache):
        monkeypatch.setattr(module, "read_pixels", read)
    return names


@pytest.mark.parametrize("kind", KINDS)
def test_every_cache_gives_the_decoded_images(
    paths: list[Path], kind: CacheKind, reads: list[str]
) -> None:
    images = opened(paths, kind)
    for _ in range(2):
        for position in (2, 0, 1):
            assert images(position).tolist() == decoded(paths[position])
    assert len(reads) == (6 if kind == "none" else 3)


@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_another_process_finds_what_one_has_read(
    paths: list[Path], kind: CacheKind, reads: list[str]
) -> None:
    images = opened(paths, kind)
    child = os.fork()
    if child == 0:
        images(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert images(1).tolist() == decoded(paths[1])
    assert reads == []


def test_the_disk_is_read_by_a_later_training(paths: list[Path], reads: list[str]) -> None:
    opened(paths, "disk")(1)
    assert opened(paths, "disk")(1).tolist() == decoded(paths[1])
    assert reads == ["1.png"]
    assert [path.suffix for path in (paths[0].parent / "cache").iterdir()] == [".pixels"]


def test_a_changed_image_is_decoded_anew(paths: list[Path]) -> None:
    images = opened(paths, "disk")
    images(1)
    paths[1].write_bytes(picture(21, 22, "PNG"))
    assert images(1).tolist() == decoded(paths[1])
    # as long and other content: only the time tells
    data = bytearray(paths[2].read_bytes())
    images(2)
    paths[2].write_bytes(picture(9, 8, "BMP")[: len(data)].ljust(len(data), b"\0"))
    os.utime(paths[2], ns=(1, 1))
    assert images(2).tolist() == decoded(paths[2])


def test_the_tables_md5_tells_a_file_that_was_replaced_unseen(
    paths: list[Path], reads: list[str]
) -> None:
    """By one of equal size and time stamp, as archives and ``rsync --times`` leave them."""
    paths[2] = paths[2].with_suffix(".bmp")  # not compressed, so that all are of one size
    for colour in ((10, 20, 30), (250, 0, 130), (10, 20, 30)):
        height, width = SIZES[2]
        Image.new("RGB", (width, height), colour).save(paths[2])
        os.utime(paths[2], ns=(1, 1))
        for _ in range(2):
            assert opened(paths, "disk")(2)[0, 0].tolist() == list(colour)
    assert len(reads) == 3
    assert len(list((paths[0].parent / "cache").iterdir())) == 1  # no heap of old ones


def test_kept_images_keep_no_files_open(paths: list[Path]) -> None:
    images = opened(paths, "disk")
    before = len(os.listdir("/proc/self/fd"))
    kept = [images(position) for position in (0, 1, 2) * 10]
    assert len(kept) == 30
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_that_takes_no_more_is_told_once_and_done_without(paths: list[Path]) -> None:
    told: list[str] = []
    folder = paths[0].parent / "cache"
    images = open_images(paths, SIZES, MD5S, "disk", folder, tell=told.append)
    images(0)
    shutil.rmtree(folder)
    folder.write_text("in the way")
    for position in (0, 1, 2):
        assert images(position).tolist() == decoded(paths[position])
    assert told == [
        f"{folder}: no more decoded images can be kept there (Not a directory): those that are"
        " missing are decoded each time; make room, or set cache: ram or none"
    ]


def test_a_cached_file_that_is_cut_short_is_made_anew(paths: list[Path]) -> None:
    images = opened(paths, "disk")
    images(0)
    (file,) = (paths[0].parent / "cache").iterdir()
    for length in (0, 10, 100, file.stat().st_size - 1):
        file.write_bytes(file.read_bytes()[:length])
        assert images(0).tolist() == decoded(paths[0])
    shutil.rmtree(file.parent)
    file.parent.mkdir()
    assert images(0).tolist() == decoded(paths[0])


def test_memory_does_not_keep_an_image_of_another_size(paths: list[Path]) -> None:
    images = opened(paths, "ram")
    paths[2].write_bytes(picture(21, 22, "PNG"))
    for _ in range(2):
        assert images(2).tolist() == decoded(paths[2])


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_image_is_named(paths: list[Path], kind: CacheKind) -> None:
    images = opened(paths, kind)
    paths[0].unlink()
    with pytest.raises(ImageError, match="0.png: no such image file"):
        images(0)


def test_too_little_memory(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    needed = sum(height * width * 3 for height, width in SIZES)
    monkeypatch.setattr(room, "free_memory", lambda: needed / 0.9 + 1)
    opened(paths, "ram")
    monkeypatch.setattr(room, "free_memory", lambda: 3 * 2**30)
    with pytest.raises(CacheError) as error:
        open_images(paths, [(40_000, 30_000)] * 3, MD5S, "ram", tell=refuse)
    assert str(error.value) == (
        "cache: ram needs 10.1 GiB for the decoded images, of 3.0 GiB free memory: use cache:"
        " disk or none, or smaller images"
    )


def test_too_little_disk(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30))
    with pytest.raises(CacheError, match="disk needs 10.1 GiB .* of 1.0 GiB free in .*cache: use"):
        open_images(
            paths, [(40_000, 30_000)] * 3, MD5S, "disk", paths[0].parent / "cache", tell=refuse
        )


def test_free_memory_is_at_most_what_the_container_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:    5000 kB\n")
    monkeypatch.setattr(room, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(room, "CONTAINER", tmp_path)
    assert free_memory() == 5000 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert free_memory() == 5000 * 1024
    (tmp_path / "memory.max").write_text("4000\n")
    assert free_memory() == 3000
    monkeypatch.setattr(room, "MEMORY", tmp_path / "absent")
    assert free_memory() is None


def test_memory_cannot_be_handed_to_a_process_that_is_not_forked(paths: list[Path]) -> None:
    with pytest.raises(CacheError, match="needs loader workers that are forked"):
        pickle.dumps(opened(paths, "ram"))


def test_the_default_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert disk_cache.default_folder() == tmp_path / "yolov2" / "images"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert disk_cache.default_folder() == Path.home() / ".cache" / "yolov2" / "images"
