"""MkDocs' hook: pages that lie elsewhere in the repository join the site, links lead to them.

On a forge the same files are read where they are, so their links are those of the repository. In
the site a link to a page goes to that page, and one to any other file is its text alone.
"""

import os.path
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "deploy/README.md": "deploy.md",
    "examples/weekly_retraining/README.md": "weekly-retraining.md",
}
"""Where pages lie in the repository, and what they are called in the site."""

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)|(!)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie elsewhere."""
    from mkdocs.structure.files import File  # here, so that tests need no MkDocs to read the above

    for source, name in ELSEWHERE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """The page's text with its links as they are in the site."""
    places = {name: source for source, name in ELSEWHERE.items()}
    place = places.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def moved(match: re.Match[str]) -> str:
        text, target = match[1] or match[4] or "", match[2] or match[5]
        new = in_site(target, place)
        if new is None:
            return text
        return f"{match[3] or ''}[{text}]({new})"

    return _LINK.sub(moved, markdown)


def in_site(target: str, place: str) -> str | None:
    """A link of the file ``place`` as it is in the site; None where that has no such page."""
    address, sign, anchor = target.partition("#")
    if "://" in address or not address:
        return target
    named = os.path.normpath(os.path.join(os.path.dirname(place), address))
    if named in ELSEWHERE:
        return ELSEWHERE[named] + sign + anchor
    if os.path.dirname(named) == "docs":
        return os.path.basename(named) + sign + anchor
    return None
