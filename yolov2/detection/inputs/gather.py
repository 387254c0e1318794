"""Everything that a command line may name as a source, as inputs."""

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path, PurePosixPath

from yolov2.config.section import require
from yolov2.data.images.reading import ImageError
from yolov2.detection.inputs.kinds import (
    ImageInput,
    Input,
    Unreadable,
    VideoInput,
    file_input,
    fitting,
)
from yolov2.detection.inputs.sources import find_inputs, lines_of
from yolov2.detection.inputs.video import VideoReader, opencv
from yolov2.detection.inputs.web import fetch, is_address, read_standard_input

STANDARD_INPUT = "-"


def gather(
    sources: Sequence[str], downloads: Path, *, recursive: bool = False, apart: Path | None = None
) -> list[Input]:
    """The inputs of ``find_inputs``, after those behind http addresses and ``-``.

    What is fetched is put into ``downloads``, each address into a folder of its own. An address
    that cannot be fetched and a video without OpenCV are ``Unreadable``, and do not stop the rest.
    Of inputs of one name, those that are no files here get a number, and a note that says so.

    Raises:
        ValueError: as of ``find_inputs``, or an address is named twice, which is said before
            anything is fetched; no standard input; a camera that does not answer; nothing is
            left that could be read.
    """
    elsewhere, local = _sorted_out(sources)
    files = find_inputs(local, recursive=recursive, apart=apart) if local else []
    names = {one.name for one in files}
    inputs: list[Input] = []
    for source in elsewhere:
        one = _fetched(source, downloads / str(len(inputs)))
        inputs.append(one if isinstance(one, Unreadable) else _renamed(one, names))
        names.add(inputs[-1].name)
    return _require_some(list(_playable([*inputs, *files])))


def _sorted_out(sources: Sequence[str]) -> tuple[list[str], list[str]]:
    """The addresses, also those in lists, and ``-``; the sources that are, or name, files here."""
    elsewhere, local = [], []
    for source in sources:
        if source == STANDARD_INPUT:
            elsewhere.append(source)
            continue
        listed = lines_of(source)
        found = [each for each in listed or [source] if is_address(each)]
        require(
            bool(found or listed) or "://" not in source,
            f"{source}: of addresses only http:// and https:// can be looked at",
        )
        elsewhere += found
        if len(found) < len(listed or [source]):
            local.append(source)
    twice = [source for source, times in Counter(elsewhere).items() if times > 1]
    require(not twice, f"{twice[0] if twice else ''} is named twice among the sources")
    return elsewhere, local


def _fetched(source: str, folder: Path) -> Input:
    if source == STANDARD_INPUT:
        return ImageInput(name="stdin", content=read_standard_input())
    folder.mkdir()
    try:
        path = fetch(source, folder)
    except ValueError as error:
        return Unreadable(name=source, problem=str(error))
    one = file_input(path.name, path)
    return one if isinstance(one, Unreadable) else replace(one, origin=source)


def _renamed(one: ImageInput | VideoInput, taken: Container[str]) -> ImageInput | VideoInput:
    """The input by a name that is not ``taken``."""
    if one.name not in taken:
        return one
    stem, suffix = PurePosixPath(one.name).stem, PurePosixPath(one.name).suffix
    names = (fitting(f"{stem}-{number}", suffix) for number in count(2))
    name = next(name for name in names if name not in taken)
    note = f"{one.origin or 'standard input'}: is called {name}, as there is another {one.name}"
    return replace(one, name=name, note=note)


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
                yield one.unreadable(f"{one.content}: {error}")
            else:
                yield one


def _require_some(inputs: list[Input]) -> list[Input]:
    problems = [one.problem for one in inputs if isinstance(one, Unreadable)]
    if len(problems) == len(inputs):
        several = f"none of the {len(inputs)} sources can be read, the first: "
        raise ValueError(f"{several if len(inputs) > 1 else ''}{problems[0]}")
    return inputs
