"""Files that a reader sees old or new, never half."""

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from yolov2.files import file_sha256, write_json, write_text


def test_a_reader_sees_the_old_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    contents = [{"row": [version] * 20_000} for version in range(2)]
    write_json(path, contents[0])
    seen, done = [], threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(json.loads(path.read_text()))

    reader = threading.Thread(target=read)
    reader.start()
    for version in range(40):
        write_json(path, contents[version % 2])
    done.set()
    reader.join()
    assert len(seen) > 1
    assert [content for content in seen if content not in contents] == []


def test_a_failure_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notes.md"
    write_text(path, "old")

    def half(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(OSError, match="No space left"):
            write_text(path, "new and longer")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\udce9")
    with pytest.raises(TypeError):
        write_json(path, {"not": object()})
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["notes.md"]


@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd"])
def test_an_open_file_is_written_through(folder: str, tmp_path: Path) -> None:
    with (tmp_path / "said").open("w") as file:
        file.write("a table\n")
        file.flush()
        write_text(Path(folder, str(file.fileno())), "and more\n")
    assert (tmp_path / "said").read_text() == "a table\nand more\n"
    assert os.listdir(tmp_path) == ["said"]


def test_a_pipe_is_written_through(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(pipe.read_text()))
    reader.start()
    write_json(pipe, {})
    reader.join()
    assert said == ["{}\n"]
    assert pipe.is_fifo()


def test_folders_are_made_and_text_is_kept(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.md", "Größe\r\n")
    assert (tmp_path / "a" / "b" / "c.md").read_bytes() == "Größe\r\n".encode()


@pytest.mark.parametrize(
    "content",
    [
        {"name": "Größe 図", "number": 0.1, "nothing": None},
        # a file name that is Latin-1, and a patch of such a file
        {os.fsdecode(b"M\xfcll.jpg"): "+\udce9\n"},
        {"text": "a\\udc80 \\ \u2028 \x00"},
    ],
)
def test_json_is_readable_and_nothing_is_lost(content: dict[str, Any], tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_bytes().decode()
    assert json.loads(text) == content
    assert text.endswith("}\n")
    if "name" in content:
        assert text.splitlines()[1] == '  "name": "Größe 図",'


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_a_file_is_known_by_its_bytes(size: int, tmp_path: Path) -> None:
    content = bytes(i % 251 for i in range(size))
    (tmp_path / "x").write_bytes(content)
    assert file_sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()
