"""Everything that a command line may name as a source, as inputs."""

from collections.abc import Sequence
from pathlib import Path

from yolov2.detection.sources import ImageInput, Input, VideoInput, find_inputs, is_video
from yolov2.detection.video import VideoReader
from yolov2.detection.web import fetch, is_address, read_standard_input
from yolov2.section import require

STANDARD_INPUT = "-"


def gather(
    sources: Sequence[str], downloads: Path, *, recursive: bool = False, apart: Path | None = None
) -> list[Input]:
    """The inputs of ``find_inputs``, after those behind http addresses and ``-``.

    What is fetched is put into ``downloads``, each address into a folder of its own.

    Raises:
        ValueError: as of ``find_inputs``; an address that cannot be fetched; no standard input;
            a camera that does not answer.
    """
    inputs: list[Input] = []
    local = []
    for source in sources:
        if source == STANDARD_INPUT:
            inputs.append(ImageInput(name="stdin", content=read_standard_input()))
        elif is_address(source):
            folder = downloads / str(len(inputs))
            folder.mkdir()
            path = fetch(source, folder)
            kind = VideoInput if is_video(path) else ImageInput
            inputs.append(kind(name=path.name, content=path))
        else:
            require(
                "://" not in source,
                f"{source}: of addresses only http:// and https:// can be looked at",
            )
            local.append(source)
    inputs += find_inputs(local, recursive=recursive, apart=apart) if local else []
    names: set[str] = set()
    for one in inputs:
        require(one.name not in names, f"two sources are called {one.name}: name one at a time")
        names.add(one.name)
        if isinstance(one.content, int):
            VideoReader(one.content).close()
    return inputs
