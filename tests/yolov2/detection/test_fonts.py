"""Names in any script: DejaVu Sans and STIX come with matplotlib, so that both ways are tried."""

import numpy as np
import pytest
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from yolov2.detection.detections import Detections
from yolov2.detection.draw import draw_detections
from yolov2.detection.fonts import families, legible, readable

KEYBOARD = "\u2328"  # in DejaVu Sans
SLICE = "\u2313"  # a segment: in STIXGeneral, not in DejaVu Sans
NOWHERE = "\U000e0fff"  # no character yet
DEJAVU = findfont(FontProperties(family="DejaVu Sans"))


def test_what_no_font_has_is_written_as_its_number() -> None:
    name = f"Käfer ж {KEYBOARD}{SLICE}{NOWHERE}"
    assert readable(name) == f"Käfer ж {KEYBOARD}{SLICE}\\U000e0fff"
    assert readable("plain \\ ascii\n2") == "plain \\ ascii\n2"


def test_families_name_what_is_needed_and_no_more() -> None:
    assert families("cat") == families(f"Käfer ж {KEYBOARD}") == ["DejaVu Sans"]
    assert families(f"cat {SLICE}")[0] == "DejaVu Sans"
    assert len(families(f"cat {SLICE}{NOWHERE}")) == 2


def test_pictures_keep_their_font_for_ascii() -> None:
    font, texts = legible(["cat 0.90", "dog"], 15)
    assert texts == ["cat 0.90", "dog"]
    assert font.getmask("cat").getbbox() == ImageFont.load_default(size=15).getmask("cat").getbbox()


@pytest.mark.parametrize("letter", ["é", "ж", KEYBOARD])
def test_pictures_show_letters_beyond_ascii(letter: str) -> None:
    # without a glyph, a font draws the same empty box for every letter
    font, texts = legible([f"{letter} 0.9"], 40)
    assert texts == [f"{letter} 0.9"]
    assert bytes(font.getmask(letter)) == bytes(ImageFont.truetype(DEJAVU, 40).getmask(letter))
    assert bytes(font.getmask(letter)) != bytes(font.getmask(NOWHERE))


def test_a_picture_has_one_font_and_numbers_for_the_rest() -> None:
    _, texts = legible(["猫" if readable("猫") != "猫" else NOWHERE], 15)
    assert texts[0].isascii()
    assert texts[0].startswith("\\")


def test_labels_of_boxes_are_drawn_with_it() -> None:
    found = Detections(
        boxes_xyxy=np.array([[20, 100, 180, 180]], dtype=np.float32),
        scores=np.array([0.9], dtype=np.float32),
        class_ids=np.array([0]),
    )
    pictures = [
        np.asarray(draw_detections(Image.new("RGB", (200, 200)), found, [name]))
        for name in ("ж", "ф", "é")
    ]
    # three letters, three labels; before, three times the same empty box
    assert (pictures[0] != pictures[1]).any()
    assert (pictures[1] != pictures[2]).any()
    pen = ImageDraw.Draw(Image.new("RGB", (9, 9)))
    assert pen.textlength("ж", font=legible(["ж"], 15)[0]) > 0
