"""Great Expectations' Data Docs as pages that render without a network.

As written, they take style sheets, icons and scripts from elsewhere: offline they are unstyled
and do not show what passed. Here they get a style sheet of their own, ✓ and ✗ for the icons,
and links to the front page.
"""

import re

from pipeline.pages import STYLE, STYLES

_REMOVED = re.compile(
    r"<script\b.*?</script>|<style\b.*?</style>|<footer\b.*?</footer>|<link\b[^>]*>|<img\b[^>]*>"
    r"|<title>\s*</title>|<label\b.*?</label>|<input\b[^>]*>",
    flags=re.DOTALL,
)
_ICON = re.compile(r"<i\b[^>]*class=\"([^\"]*)\"[^>]*>\s*</i>")
_HOME = re.compile(r"href=\"(?:\.\./)+index\.html\"")
_SUITE = re.compile(r"<a href=\"[^\"]*expectations/[^\"]*\"[^>]*>(.*?)</a>")
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
            return f'<span class="{STYLES[mark]}">{mark}</span>'
    return ""
