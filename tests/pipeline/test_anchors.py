import json
from pathlib import Path

import pytest

from pipeline import anchors
from tests.tables import make_tables


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Runs the stage on a small label table with the given ``anchors`` section."""
    monkeypatch.chdir(tmp_path)
    boxes = [(0, 0, 0, 32, 32), (0, 0, 0, 64, 32), (0, 0, 0, 64, 64), (0, 0, 0, 64, 64)]
    make_tables([("train", 320, 320, boxes)], ["thing"]).write(Path("artifacts"))

    def run(section):
        Path("params.yaml").write_text(f"model: {{image_size: 320}}\nanchors: {section}\n")
        anchors.main()
        return json.loads(Path("artifacts/anchors.json").read_text())

    return run


def test_stage_writes_anchors_and_prints_a_table(stage, capsys):
    result = stage("{k: 3, restarts: 5}")
    assert result["anchors"] == [[1, 1], [2, 1], [2, 2]]
    assert (result["method"], result["image_size"], result["boxes"]) == ("kmeans", 320, 4)
    assert result["mean_iou"]["found"] == 1
    assert set(result["spread"]) == {"lowest", "highest"}
    assert "3 anchors (kmeans) for 320 px input" in capsys.readouterr().out


def test_stage_says_why_it_cannot_cluster(stage):
    with pytest.raises(ValueError, match=r"lower anchors\.k or set anchors\.method"):
        stage("{k: 4}")


def test_stage_keeps_darknets_anchors_when_asked(stage):
    result = stage("{method: default}")
    assert result["anchors"][0] == [0.57273, 0.677385]
    assert len(result["anchors"]) == 5


def test_an_edit_while_the_table_is_printed_leaves_the_stage_stale(stage, monkeypatch):
    Path("dvc.yaml").write_text("stages: {anchors: {params: [anchors]}}\n")

    def then_edit(report):
        Path("params.yaml").write_text("model: {image_size: 320}\nanchors: {k: 2}\n")

    monkeypatch.setattr(anchors, "anchor_table", then_edit)
    with pytest.raises(ValueError, match="stage anchors ran: params.yaml: anchors.k 3, now 2"):
        stage("{k: 3}")
