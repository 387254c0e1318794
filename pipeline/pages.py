"""A report as Markdown, and the same as one HTML file that needs nothing beside it.

What a person or a data set has named (classes, files) passes through ``cell``, so that no name
can change a table.
"""

import base64
import html
import mimetypes
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from markdown import markdown

from pipeline.validation.data_docs import page
from yolov2.runs.folder import write_text

_IMAGE = re.compile(r'(<img [^>]*src=")([^":]+)(")')


def cell(value: object) -> str:
    """A value as the text of a table's cell."""
    text = html.escape(str(value), quote=False)
    return re.sub(r"([\\`*_{}\[\]|~$#!])", r"\\\1", text).replace("\n", " ")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers. Cells are Markdown already."""
    lines = [header, [":--", *("--:" for _ in header[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def picture(title: str, file: str) -> str:
    """The picture in the report's folder."""
    return f"![{cell(title)}]({file})"


def write_pages(folder: Path, stem: str, title: str, paragraphs: Sequence[str]) -> list[Path]:
    """Write ``stem.md`` and ``stem.html`` to ``folder``, where the pictures lie; their paths.

    ``paragraphs`` are Markdown. In the HTML the pictures are part of the file.
    """
    text = "\n\n".join(paragraphs) + "\n"
    body = markdown(text, extensions=["tables"])
    body = _IMAGE.sub(lambda found: found[1] + _embedded(folder / found[2]) + found[3], body)
    files = {
        folder / f"{stem}.md": f"# {cell(title)}\n\n{text}",
        folder / f"{stem}.html": page(title, ["<style>img { max-width: 100%; }</style>", body]),
    }
    for path, content in files.items():
        write_text(path, content)
    return list(files)


def _embedded(file: Path) -> str:
    kind = mimetypes.guess_type(file.name)[0]
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
