"""A command's answer for programs: one JSON document, on standard output or in a file."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

from yolov2.files import write_text


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument(
        "--json", action="store_true", help="the answer as JSON on standard output, for programs"
    )


def add_summary(parser: argparse.ArgumentParser) -> None:
    """``--summary FILE``, for who shows people what the command says: the flows."""
    parser.add_argument(
        "--summary", type=Path, metavar="FILE", help="what --json prints, in a file, too"
    )


class Reply:
    """Takes the answer of a command: plain data for programs, lines for people."""

    content: Any = None
    lines: tuple[str, ...] = ()

    def __call__(self, content: Any, *lines: str) -> None:
        """Take it; what was taken before is forgotten."""
        self.content, self.lines = content, lines


@contextmanager
def replying(as_json: bool, file: Path | None = None) -> Iterator[Reply]:
    """Takes the answer of the block and prints it at the end, for people or ``as_json``.

    Then standard output has nothing but the JSON: what the block prints, and the programs that it
    starts, goes to standard error. A ``file`` gets the JSON in any case.
    """
    reply = Reply()
    with _aside() if as_json else nullcontext():
        yield reply
    text = json.dumps(reply.content, indent=2)
    if file is not None:
        write_text(file, f"{text}\n")
    for line in [text] if as_json else reply.lines:
        print(line)


@contextmanager
def _aside() -> Iterator[None]:
    """What is written to standard output meanwhile goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)  # for the programs that are started
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
