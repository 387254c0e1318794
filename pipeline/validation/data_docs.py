"""Great Expectations' Data Docs as pages that render without a network.

As written, they take style sheets, icons and scripts from elsewhere: offline they are unstyled
and do not show what passed. Here they get a style sheet of their own, ✓ and ✗ for the icons,
and links to the front page, which is made of the parts at the end of this file.
"""

import html
import re
from collections.abc import Iterable, Sequence

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

_REMOVED = re.compile(
    r"<script\b.*?</script>|<style\b.*?</style>|<footer\b.*?</footer>|<link\b[^>]*>|<img\b[^>]*>"
    r"|<title>\s*</title>|<label\b.*?</label>|<input\b[^>]*>",
    flags=re.DOTALL,
)
_ICON = re.compile(r"<i\b[^>]*class=\"([^\"]*)\"[^>]*>\s*</i>")
_HOME = re.compile(r"href=\"(?:\.\./)+index\.html\"")
_SUITE = re.compile(r"<a href=\"[^\"]*expectations/[^\"]*\"[^>]*>(.*?)</a>")
_STYLES = {"✓": "good", "✗": "bad", "!": "warn"}
_MARKS = {"fa-check": "✓", "fa-times": "✗", "fa-exclamation": "!"}


def make_self_contained(page: str) -> str:
    """``page`` without anything that is fetched from elsewhere, and readable so."""
    page = _ICON.sub(_mark, _REMOVED.sub("", page))
    page = _SUITE.sub(r"\1", _HOME.sub('href="index.html"', page))
    page = page.replace("<br> Data asset: None", "").replace(" / __none__", "")
    # the buttons in this box worked by the scripts that are gone
    page = page.replace('<div class="card mb-3">', '<div class="card mb-3" hidden>')
    return page.replace("</head>", f"<style>{STYLE}</style></head>", 1)


def _mark(icon: re.Match[str]) -> str:
    for name, mark in _MARKS.items():
        if name in icon[1]:
            return f'<span class="{_STYLES[mark]}">{mark}</span>'
    return ""


def page(title: str, body: Iterable[str]) -> str:
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


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table of plain values; everything is escaped, numbers stand to the right."""
    lines = [_row("th", header), *(_row("td", row) for row in rows)]
    return "\n".join(["<table>", *lines, "</table>"])


def _row(tag: str, values: Sequence[object]) -> str:
    cells = []
    for value in values:
        text = html.escape(str(value))
        style = "number" if isinstance(value, int) else _STYLES.get(str(value), "")
        cells.append(
            f'<{tag} class="{style}">{text}</{tag}>' if style else f"<{tag}>{text}</{tag}>"
        )
    return f"<tr>{''.join(cells)}</tr>"
