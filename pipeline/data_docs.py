"""Great Expectations' Data Docs as pages that render without a network.

As written, they take style sheets, icons and scripts from elsewhere: offline they are unstyled
and do not show what passed. Here they get a style sheet of their own, ✓ and ✗ for the icons,
links between plain file names, and a front page that says what the outcome was.
"""

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

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
td.file { font-family: ui-monospace, monospace; font-size: .85em; overflow-wrap: anywhere; }
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
_LINK = re.compile(r"href=\"(?:\.\./)*(?:(expectations)/(\w+)|index)\.html\"")
_MARKS = (("fa-check", "✓", "good"), ("fa-times", "✗", "bad"), ("fa-exclamation", "!", "warn"))


def publish_site(site: Path, tables: Iterable[str], folder: Path) -> None:
    """Copy the pages of each table from Great Expectations' ``site`` to ``folder``.

    ``<table>.html`` has the results, ``<table>_rules.html`` the expectations.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        (results,) = site.glob(f"validations/{table}/**/*.html")
        rules = site / "expectations" / f"{table}.html"
        for source, name in ((results, table), (rules, f"{table}_rules")):
            page = make_self_contained(source.read_text(encoding="utf-8"))
            (folder / f"{name}.html").write_text(page, encoding="utf-8")


def make_self_contained(page: str) -> str:
    """``page`` without anything that is fetched from elsewhere, and readable so."""
    page = _REMOVED.sub("", page)
    page = _ICON.sub(_mark, page)
    page = _LINK.sub(lambda link: f'href="{f"{link[2]}_rules" if link[1] else "index"}.html"', page)
    page = page.replace('<div class="card mb-3">', '<div class="card mb-3" hidden>')
    return page.replace("</head>", f"<style>{STYLE}</style></head>", 1)


def _mark(icon: re.Match[str]) -> str:
    for name, mark, style in _MARKS:
        if name in icon[1]:
            return f'<span class="{style}">{mark}</span>'
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
    """An HTML table; numbers stand to the right, everything is escaped."""
    def cell(tag: str, value: object, number: bool) -> str:
        style = ' class="number"' if number else ""
        return f"<{tag}{style}>{html.escape(str(value))}</{tag}>"
    body = [list(row) for row in rows]
    numbers = [bool(body) and all(isinstance(row[i], int) for row in body) for i in range(len(header))]
    lines = ["<tr>" + "".join(cell("th", v, n) for v, n in zip(header, numbers, strict=True)) + "</tr>"]
    for row in body:
        lines.append("<tr>" + "".join(cell("td", v, n) for v, n in zip(row, numbers, strict=True)) + "</tr>")
    return "<table>\n" + "\n".join(lines) + "\n</table>"
