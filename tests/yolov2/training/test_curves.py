import numpy as np
import pandas as pd
from PIL import Image

from yolov2.training.curves import plot_training_curves

RED = 0xD62728  # the line of the validation AP


def history(**columns):
    losses = {name: [3.0, 2.0, 1.0] for name in ("loss", "coord", "objectness", "class")}
    return pd.DataFrame({"epoch": [1, 2, 3], "step": [9, 18, 27], "lr": 0.001} | losses | columns)


def colours(path):
    with Image.open(path) as image:
        rgb = np.asarray(image.convert("RGB"), dtype=np.int64)
    return set(np.unique(rgb @ [1 << 16, 1 << 8, 1]).tolist())


def test_validation_is_drawn_where_it_was_measured(tmp_path):
    scores = {"AP": [np.nan, 0.2, 0.4], "AP50": [np.nan, 0.5, 0.6]}
    plot_training_curves(history(**scores), tmp_path / "report" / "curves.png")
    assert RED in colours(tmp_path / "report" / "curves.png")
    never = {"AP": [np.nan] * 3}
    plot_training_curves(history(**never), tmp_path / "curves.png")
    assert RED not in colours(tmp_path / "curves.png")


def test_one_epoch_is_visible(tmp_path):
    plot_training_curves(history(AP=0.3, AP50=0.5).head(1), tmp_path / "curves.png")
    assert RED in colours(tmp_path / "curves.png")
