import json
from pathlib import Path

import pytest

from flows.people.report import ap_table, class_table, headline, mlflow_page

RUNS = {"training": "1a2b", "evaluation": "3c4d"}


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    files = {
        "reports/metrics.json": {
            "AP": 0.51234567,
            "AP50": 0.875,
            "split": "test",
            "images": 600,
            "boxes": 1481,
            "per_class": {
                "three": {"AP": 0.7, "AP50": 0.9},
                "four": {"AP": 0.4, "AP50": 0.8},
                "absent": {},
            },
        },
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    return tmp_path


def test_headline(finished: Path) -> None:
    assert headline(finished) == "test AP 0.512, AP50 0.875"
    metrics = finished / "reports/metrics.json"
    told = json.loads(metrics.read_text()) | {"split": "val", "optimistic": "chosen by val"}
    metrics.write_text(json.dumps(told))
    assert headline(finished) == "val AP 0.512, AP50 0.875 (optimistic: chosen by val)"


def test_figures_stand_after_the_split_and_its_size(finished: Path) -> None:
    assert ap_table(finished) == [
        {"figure": "split", "value": "test"},
        {"figure": "images", "value": 600},
        {"figure": "boxes", "value": 1481},
        {"figure": "AP", "value": 0.5123},
        {"figure": "AP50", "value": 0.875},
    ]


def test_worst_class_comes_first_and_undefined_last(finished: Path) -> None:
    assert class_table(finished) == [
        {"class": "four", "AP": 0.4, "AP50": 0.8},
        {"class": "three", "AP": 0.7, "AP50": 0.9},
        {"class": "absent"},
    ]


def test_runs_of_a_server_are_links_without_the_password(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.lan:5000/base/?token=x")
    page = mlflow_page(finished, RUNS)
    assert "| training | [1a2b](https://mlflow.lan:5000/base/#/runs/1a2b) |" in page
    assert "| evaluation | [3c4d](https://mlflow.lan:5000/base/#/runs/3c4d) |" in page
    assert "secret" not in page
    assert "token" not in page


@pytest.mark.parametrize("address", [None, "sqlite:////data/mlflow.db"])
def test_runs_of_the_embedded_store_name_the_command(
    finished: Path, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    if address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    page = mlflow_page(finished, RUNS)
    assert "| training | [1a2b](http://127.0.0.1:5000/#/runs/1a2b) |" in page
    assert page.endswith(f"The links work while `make ui` runs in {finished}.")
