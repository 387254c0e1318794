"""``pipeline status`` in a tiny project, with the real DVC and a real store."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline import cli, paths
from pipeline.overview.status import render, status
from pipeline.params.tracking import TrackingConfig
from pipeline.registry.models import CHALLENGER, CHAMPION, Registry
from tests.pipeline import tiny
from tests.pipeline.tracked import write_json

MIB = 2**20


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def reproduced(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        folder = tiny.copy(fresh, tmp_path_factory.mktemp("reproduced") / "here")
        patch.chdir(folder)
        tiny.dvc("repro", "-q")
    return folder


@pytest.fixture
def here(reproduced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: the project, all of it up to date."""
    monkeypatch.chdir(tiny.copy(reproduced, tmp_path / "here"))
    return Path.cwd()


def test_where_nothing_ran_the_page_says_what_to_do(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tiny.copy(fresh, tmp_path / "here"))
    before = tiny.listed(Path.cwd())
    assert cli.run(["status"]) == 3
    assert capsys.readouterr().out.splitlines() == [
        "data       data/digits/digits.yaml",
        "stages     up to date: none",
        "           validate: never ran",
        "           evaluate: never ran",
        "last run   nothing was evaluated here yet",
        "champion   none",
        "runs       no store yet",
        "disk       checkpoints 0 MiB; free it: nothing to remove, no training is finished and"
        " recorded",
        "disk       DVC cache 0 MiB; free it: dvc gc --workspace --all-commits --all-experiments"
        " (what none of these names goes)",
        "disk       MLflow 0 MiB; free it: mlflow gc, after runs were deleted on its pages",
        "to do      dvc repro (nothing ran yet)",
    ]
    assert tiny.listed(Path.cwd()) == before  # looking makes no store


def test_where_all_is_done_the_status_is_0(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "data       data/digits/digits.yaml: train 5 images",
        "stages     up to date: validate, evaluate",
        "last run   test AP 0.500, AP50 0.750",
    ]
    assert lines[-1] == "to do      nothing"
    assert not (here / "mlflow.db").exists()


def test_what_is_stale_and_why_as_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = here / "params.yaml"
    before, after = "zero_size: error", "zero_size: drop"
    params.write_text(params.read_text().replace(before, after))
    assert cli.run(["status", "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["state"]) for one in found["stages"]] == [
        ("validate", "stale"),
        ("evaluate", "stale"),
    ]
    assert "validate" in found["stages"][0]["why"]
    assert found["stages"][1]["why"] == "comes after validate"
    assert found["to_do"] == ["dvc repro (stale: validate, evaluate)"]


def test_disk_is_what_lies_there(here: Path) -> None:
    files = {
        "checkpoints/one/last.pt": 3 * MIB,
        "checkpoints/one/recording/start.json": 5,
        "recordings/two/files/x": 7,
        "mlartifacts/1/a/b": 2 * MIB,
        "elsewhere": 9 * MIB,
    }
    for name, size in files.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(b"\0" * size)
    (here / "checkpoints/broken").symlink_to("nowhere")
    cache = [path for path in (here / ".dvc/cache").rglob("*") if path.is_file()]
    assert cache
    found = status()
    link = len("nowhere")
    assert found["disk"] == {
        "checkpoints": 3 * MIB + 5 + 7 + link,
        "DVC cache": sum(path.stat().st_size for path in cache),
        "MLflow": 2 * MIB,
    }
    assert "disk       checkpoints 3 MiB; free it: " in render(found)


def test_what_is_advised_removes_no_training_that_can_go_on_or_be_sent(here: Path) -> None:
    for name in ("unfinished", "unsent", "done"):
        write_json(here / f"checkpoints/{name}/recording/start.json", began=1)
        (here / f"checkpoints/{name}/last.pt").write_bytes(b"weights")
    for name in ("unsent", "done"):
        write_json(here / f"checkpoints/{name}/hashes.json", weights="0")
    write_json(here / "checkpoints/done/recording/sent.json", began=1)
    command, _, why = status()["free"]["checkpoints"].partition(" (")
    assert (command, why) == ("rm -r checkpoints/done", "finished and recorded)")


def test_what_is_advised_keeps_the_data_of_experiments(here: Path) -> None:
    stage = (
        "cmd: grep seed params.yaml > seed.txt\n    params: [evaluate.seed]\n    outs: [seed.txt]"
    )
    (here / "dvc.yaml").write_text(f"stages:\n  one:\n    {stage}\n")
    tiny.dvc("repro", "-q")
    run("git", "add", ".")
    run("git", "commit", "-qm", "one stage")
    first = Path("seed.txt").read_text()
    tiny.dvc("exp", "run", "-q", "-n", "demo", "-S", "evaluate.seed=55")
    assert Path("seed.txt").read_text() != first
    run("git", "checkout", "-q", ".")
    tiny.dvc("checkout", "-q")
    assert Path("seed.txt").read_text() == first
    program, *advised = status()["free"]["DVC cache"].partition(" (")[0].split()
    assert program == "dvc"
    tiny.dvc(*advised, "--force")
    tiny.dvc("exp", "apply", "demo")
    tiny.dvc("checkout")
    assert "seed: 55" in Path("seed.txt").read_text()


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def test_a_store_elsewhere_is_measured_there(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.db").write_bytes(b"\0" * 11)
    (here / "mlflow.db").write_bytes(b"\0" * 100)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    found = status()
    assert found["disk"]["MLflow"] == 11
    assert "other.db is not a database: move that file away" in found["store"]
    assert found["champion"] == ""


def test_what_waits_is_to_be_done(here: Path) -> None:
    write_json(here / "recordings/evaluate-1/start.json", id="1", stage="evaluate")
    (here / paths.ONNX).parent.mkdir(parents=True)
    (here / paths.ONNX).write_bytes(b"graph")
    assert status()["to_do"] == [
        "models/exported/model.onnx is not registered: `pipeline register`",
        "pipeline track send (1 recordings that MLflow may lack)",
    ]


def test_champion_and_challenger(here: Path, empty_store: Path) -> None:
    shutil.copyfile(empty_store, here / "mlflow.db")
    registry = Registry(TrackingConfig())
    client, name = registry.store.client, registry.name
    client.create_registered_model(name)
    for alias, tags in ((CHAMPION, {"split": "test", "AP": "0.612000"}), (CHALLENGER, {})):
        made = client.create_model_version(name, source="file:///no/such/folder", tags=tags)
        registry.set_alias(alias, int(made.version))
    found = status()
    assert found["champion"] == "version 1, test AP 0.612000"
    assert found["to_do"] == ["version 2 of yolov2 waits for a decision: `pipeline promote`"]
    assert found["store"] == f"sqlite:///{here}/mlflow.db"


def test_a_damaged_table_is_one_sentence(here: Path) -> None:
    (here / paths.METRICS).write_text("{")
    with pytest.raises(ValueError, match=r"^reports/metrics.json is damaged .* `dvc repro evaluat"):
        status()


def test_no_pipeline_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("{}\n")
    with pytest.raises(ValueError, match="^no dvc.yaml: run from the repository's root$"):
        status()
