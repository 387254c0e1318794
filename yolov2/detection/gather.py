"""Everything that a command line may name as a source, as inputs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from yolov2.data.images import ImageError
from yolov2.detection.inputs import ImageInput, Input, Unreadable, VideoInput, file_input
from yolov2.detection.sources import find_inputs, lines_of
from yolov2.detection.video import VideoReader, opencv
from yolov2.detection.web import fetch, is_address, read_standard_input
from yolov2.section import require

STANDARD_INPUT = "-"


def gather(
    sources: Sequence[str], downloads: Path, *, recursive: bool = False, apart: Path | None = None
) -> list[Input]:
    """The inputs of ``find_inputs``, after those behind http addresses and ``-``.

    What is fetched is put into ``downloads``, each address into a folder of its own. An address
    that cannot be fetched and a video without OpenCV are ``Unreadable``, and do not stop the rest.

    Raises:
        ValueError: as of ``find_inputs``; no standard input; a camera that does not answer;
            nothing is left that could be read.
    """
    inputs: list[Input] = []
    local = []
    for source in sources:
        if source == STANDARD_INPUT:
            inputs.append(ImageInput(name="stdin", content=read_standard_input()))
            continue
        listed = lines_of(source)
        addresses = [each for each in listed or [source] if is_address(each)]
        for address in addresses:
            inputs.append(_fetched(address, downloads / str(len(inputs))))
        require(
            bool(addresses or listed) or "://" not in source,
            f"{source}: of addresses only http:// and https:// can be looked at",
        )
        if len(addresses) < len(listed or [source]):
            local.append(source)
    inputs += find_inputs(local, recursive=recursive, apart=apart) if local else []
    names: set[str] = set()
    for one in inputs:
        require(one.name not in names, f"two sources are called {one.name}: name one at a time")
        names.add(one.name)
    return _require_some(list(_playable(inputs)))


def _fetched(address: str, folder: Path) -> Input:
    folder.mkdir()
    try:
        path = fetch(address, folder)
    except ValueError as error:
        return Unreadable(name=address, problem=str(error))
    return file_input(path.name, path)


def _playable(inputs: Sequence[Input]) -> Iterator[Input]:
    """The inputs, of which videos without OpenCV cannot be read; a camera has to answer."""
    for one in inputs:
        if not isinstance(one, VideoInput):
            yield one
        elif isinstance(one.content, int):
            VideoReader(one.content).close()
            yield one
        else:
            try:
                opencv()
            except ImageError as error:
                yield Unreadable(name=one.name, problem=f"{one.content}: {error}")
            else:
                yield one


def _require_some(inputs: list[Input]) -> list[Input]:
    problems = [one.problem for one in inputs if isinstance(one, Unreadable)]
    if len(problems) == len(inputs):
        several = f"none of the {len(inputs)} sources can be read, the first: "
        raise ValueError(f"{several if len(inputs) > 1 else ''}{problems[0]}")
    return inputs
