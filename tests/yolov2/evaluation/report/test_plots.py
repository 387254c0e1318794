import numpy as np
import pandas as pd
import pytest
from PIL import Image

from yolov2.detection.draw import class_colour
from yolov2.evaluation.report.curves import save_confidence_plot, save_pr_plot
from yolov2.evaluation.report.plots import save_confusion_plot, save_sizes_plot
from yolov2.evaluation.rows import FIGURES, BestThreshold

AWKWARD = ["a $1 or $2", "_hidden", "50%_off"]


def curves(names, precision):
    recall = np.linspace(0, 1, 101)
    columns = {name: np.full(101, value) for name, value in zip(names, precision, strict=True)}
    return pd.DataFrame({"recall": recall, "mean": np.mean(precision), **columns})


def pixels(path):
    """Every pixel as one number 0xRRGGBB."""
    with Image.open(path) as image:
        return number(np.asarray(image.convert("RGB"), dtype=np.int64)).ravel()


def number(rgb):
    return np.asarray(rgb) @ [1 << 16, 1 << 8, 1]


def test_curves_have_the_class_colours_and_any_name(tmp_path):
    path = tmp_path / "new" / "pr.png"
    # the class at index 1 has no objects: colours go by class, not by column
    present = [AWKWARD[0], AWKWARD[2]]
    per_class = {name: {"AP": 0.5, "AP50": 0.5} for name in present}
    save_pr_plot(curves(present, [0.9, 0.3]), per_class, AWKWARD, path)
    seen = [bool((pixels(path) == number(class_colour(i))).any()) for i in range(3)]
    assert seen == [True, False, True]


@pytest.mark.parametrize("classes", [1, 80])
def test_any_number_of_classes(tmp_path, classes):
    names = [f"class {i}" for i in range(classes)]
    per_class = {name: {"AP": i / classes, "AP50": i / classes} for i, name in enumerate(names)}
    save_pr_plot(curves(names, [0.5] * classes), per_class, names, tmp_path / "pr.png")
    counts = np.eye(classes + 1, dtype=np.int64)
    save_confusion_plot(counts, names, tmp_path / "confusion.png")
    for name in ("pr.png", "confusion.png"):
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 300


def test_names_in_any_script_are_quiet(tmp_path):
    # warnings are errors here: a letter without a glyph is one; the second name is in STIX alone
    names = ["Käfer ж", "part \u2313", "猫", "ห", "$\U000e0fff$"]
    per_class = {name: {"AP": 0.5, "AP50": 0.5} for name in names}
    save_pr_plot(curves(names, [0.5] * 5), per_class, names, tmp_path / "pr.png")
    save_confusion_plot(np.eye(6, dtype=np.int64), names, tmp_path / "confusion.png")
    sizes = pd.DataFrame({"size": ["small", "medium", "large"], "mean": [0.1, 0.2, 0.3]})
    sizes = sizes.assign(**{name: [0.1, 0.2, 0.3] for name in names})
    save_sizes_plot(sizes, names, tmp_path / "sizes.png")
    figures = {
        name: pd.DataFrame({"confidence": [0, 1], "mean": [0, 1], **{n: [0, 1] for n in names}})
        for name in FIGURES
    }
    best = {name: BestThreshold(threshold=0.5, f1=0.5, precision=0.5, recall=0.5) for name in names}
    save_confidence_plot(figures, best, names, tmp_path / "confidence.png")


def test_confusion_colours_are_shares_of_the_row(tmp_path):
    # 30 of 30 and 1 of 1 are both whole rows: the darkest blue twice; the empty row is white
    counts = np.array([[30, 0, 0], [0, 1, 0], [0, 0, 0]])
    save_confusion_plot(counts, AWKWARD[:2], tmp_path / "confusion.png")
    darkest = number([8, 48, 107])  # of matplotlib's Blues
    assert (pixels(tmp_path / "confusion.png") == darkest).sum() > 2 * 40 * 40
