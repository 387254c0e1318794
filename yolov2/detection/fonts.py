r"""Names in any script, in plots and pictures: by the fonts that are installed.

Pillow's own font has ASCII alone, matplotlib's DejaVu Sans no Chinese, Japanese, Korean or Thai.
What more is needed is looked for among the fonts of the machine; a character that none of them has
is written as its number, ``\u732b``, rather than as a box that is the same for all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageFont

DEFAULT = "DejaVu Sans"
"""matplotlib's font, which comes with it."""

BOXES = "Last Resort"
"""A font of matplotlib's that has a box for every character."""


@dataclass(frozen=True)
class Face:
    """A font file, and the family that matplotlib knows it by."""

    family: str
    file: str


def families(text: str) -> list[str]:
    """The font families that have the characters of ``text``, as matplotlib takes them."""
    return [face.family for face in _chosen(_special(text))[0]]


def readable(text: str) -> str:
    """``text`` with the characters that no installed font has written as numbers."""
    missing = _chosen(_special(text))[1]
    return _numbered(text, lambda char: char not in missing)


def legible(
    texts: Sequence[str], size: float
) -> "tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, list[str]]":
    """A font of ``size`` pixels for Pillow, and ``texts`` as it can draw them.

    A picture has one font: that with most of the characters, the rest become numbers.
    """
    from PIL import ImageFont

    if not (special := _special("".join(texts))):
        return ImageFont.load_default(size=size), list(texts)
    letters = set("".join(texts))
    face = max(_chosen(special)[0], key=lambda one: sum(map(_has(one), letters)))
    has = _has(face)
    shown = [_numbered(text, lambda char: char.isascii() or has(char)) for text in texts]
    return ImageFont.truetype(face.file, size), shown


def _special(text: str) -> str:
    """The characters of ``text`` that a font may lack, each once, in order."""
    return "".join(sorted({char for char in text if not char.isascii()}))


def _numbered(text: str, known: Callable[[str], bool]) -> str:
    return "".join(
        char if char.isascii() or known(char) else char.encode("unicode_escape").decode()
        for char in text
    )


@cache
def _chosen(characters: str) -> tuple[tuple[Face, ...], frozenset[str]]:
    """The faces that ``characters`` need, the default first, and those that none of them has."""
    default, *others = _faces()
    faces, missing = [default], {char for char in characters if not _has(default)(char)}
    while missing:
        # the first of those that have most
        best = max(others, key=lambda face: sum(map(_has(face), missing)), default=default)
        found = {char for char in missing if _has(best)(char)}
        if not found:
            break
        faces.append(best)
        missing -= found
    return tuple(faces), frozenset(missing)


@cache
def _faces() -> tuple[Face, ...]:
    """The upright fonts that are installed, the default first, then those of usual weight."""
    # where it is used: what is all ASCII needs none of it
    from matplotlib.font_manager import FontProperties, findfont, fontManager

    upright = [
        one
        for one in fontManager.ttflist
        if one.style == one.variant == "normal" and not one.name.startswith(BOXES)
    ]
    upright.sort(key=lambda one: (one.weight not in (400, "normal", "regular"), one.name))
    default = Face(DEFAULT, findfont(FontProperties(family=DEFAULT)))
    return (default, *(Face(one.name, one.fname) for one in upright))


@cache
def _has(face: Face) -> Callable[[str], bool]:
    """Whether a face has a character; one that cannot be opened has none."""
    from matplotlib.font_manager import get_font

    try:
        known = frozenset(get_font(face.file).get_charmap())
    except (OSError, RuntimeError):  # gone, or no font, since matplotlib made its list
        known = frozenset()
    return lambda char: ord(char) in known
