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

from yolov2.files import write_text

STYLE = """
:root { color-scheme: light dark; --line: #8885; --shade: #8881; --good: #1a7f37; --bad: #cf222e;
  --warn: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #ff7b72; --warn: #d4a72c; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 75rem; padding: 1rem 2rem; }
h1 { font-size: 1.5rem; } h2, h4, h5, h6 { font-size: 1.05rem; margin: .6rem 0 .3rem; }
a { color: #0969da; } @media (prefers-color-scheme: dark) { a { color: #6cb6ff; } }
table { border-collapse: collapse; margin: .5rem 0 1rem; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .8rem .3rem 0; text-align: left;
  vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.good, .text-success { color: var(--good); } .bad, .text-danger { color: var(--bad); }
.warn { color: var(--warn); }
.alert { background: var(--shade); border-left: 4px solid var(--line); padding: .3rem .8rem;
  margin-top: 1rem; }
.badge { background: var(--shade); border: 1px solid var(--line); border-radius: 4px;
  padding: 0 .3em; font-family: ui-monospace, monospace; font-size: .9em; }
.collapse { display: none; } .collapse:target { display: block; }
.cooltip .top { display: none; } .cooltip:hover .top { display: block; white-space: pre-wrap; }
ul { padding-left: 1.2rem; margin: .2rem 0; } .lead, .card p { color: #777; margin: 0; }
ol.breadcrumb { list-style: none; padding: 0; display: flex; gap: .6rem; }
"""

STYLES = {"✓": "good", "✗": "bad", "!": "warn"}

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
        folder / f"{stem}.html": html_page(
            title, ["<style>img { max-width: 100%; }</style>", body]
        ),
    }
    for path, content in files.items():
        write_text(path, content)
    return list(files)


def _embedded(file: Path) -> str:
    kind = mimetypes.guess_type(file.name)[0]
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def html_page(title: str, body: Iterable[str]) -> str:
    """A whole page with the style of the others; ``body`` is HTML."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="UTF-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1.0">',
            f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>",
            f"<h1>{html.escape(title)}</h1>",
            *body,
            "</body></html>\n",
        ]
    )


def html_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table of plain values; everything is escaped, numbers stand to the right."""
    lines = [_row("th", header), *(_row("td", row) for row in rows)]
    return "\n".join(["<table>", *lines, "</table>"])


def _row(tag: str, values: Sequence[object]) -> str:
    cells = []
    for value in values:
        text = html.escape(str(value))
        style = "number" if isinstance(value, int) else STYLES.get(str(value), "")
        cells.append(
            f'<{tag} class="{style}">{text}</{tag}>' if style else f"<{tag}>{text}</{tag}>"
        )
    return f"<tr>{''.join(cells)}</tr>"
