"""How plots of an evaluation look: one colour and line style a class, legible on any page.

The background is white and opaque, so that a plot reads the same on paper, on a dark page and on
a light one; lines differ in style and not in colour alone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolov2.detection.draw import class_colour
from yolov2.detection.fonts import families, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED_CLASSES = 20
"""With more classes only the worst of them get a name and a colour in the curves."""

LONGEST_NAME = 28
"""Characters of a class name in a plot."""

LINE_STYLES = ("-", "--", "-.", ":")
NEUTRAL = "#4c6a92"
"""Of what is not of one class."""


def plain_text(name: str) -> str:
    """A class name as plain text that can be drawn.

    matplotlib reads what stands between dollars as mathematics, and warns of what no font has.
    """
    half = LONGEST_NAME // 2
    name = readable(name)
    short = name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[1 - half :]}"
    return short.replace("$", r"\$")


def rgb(class_id: int) -> tuple[float, float, float]:
    """Colour of a class as matplotlib takes it."""
    red, green, blue = class_colour(class_id)
    return red / 255, green / 255, blue / 255


def class_line(class_id: int) -> dict[str, Any]:
    """Colour, style and width of a class's line."""
    style = LINE_STYLES[class_id % len(LINE_STYLES)]
    return {"color": rgb(class_id), "linestyle": style, "linewidth": 1.5}


OTHER_LINE: Mapping[str, Any] = {"color": "0.8", "linewidth": 0.7}
"""Of classes beyond the named ones."""

MEAN_LINE: Mapping[str, Any] = {"color": "black", "linewidth": 2.5}


def lowest(values: Mapping[str, float], count: int = NAMED_CLASSES) -> set[str]:
    """The names of the ``count`` lowest values."""
    return set(sorted(values, key=lambda name: values[name])[:count])


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, inches in size, that arranges what is put on it."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: "Figure", path: Path) -> None:
    """Write the figure as a PNG with an opaque white background, in fonts that have its letters."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _take_fonts(figure)
    figure.savefig(path, dpi=120, facecolor="white")


def _take_fonts(figure: "Figure") -> None:
    """Let all texts of the figure fall back on the fonts that its letters need."""
    from matplotlib.text import Text

    for axes in figure.axes:  # their labels come to be when they are asked for
        axes.get_xticklabels(), axes.get_yticklabels()
    texts = figure.findobj(Text)
    names = families("".join(text.get_text() for text in texts))
    if len(names) > 1:
        for text in texts:
            text.set_fontfamily(names)


def say_nothing(axes: "Axes", text: str) -> None:
    """Put ``text`` where data would be, and take the axes away."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color="0.35")
