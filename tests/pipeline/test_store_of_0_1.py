"""A store that version 0.1 has left (``golden/store-0.1.tar.xz``) is gone on with."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cli, digits, paths
from pipeline.params.schema import load
from pipeline.params.tracking import TrackingConfig
from pipeline.registry.weights import find
from pipeline.reproduction.passes import find_source
from pipeline.tracking.runs import resolve_training_run
from pipeline.tracking.trace import trace
from pipeline.workspace.identity import RunIdentity
from tests.pipeline.golden.unpack import unpack
from tests.pipeline.project import copy_project, run
from tests.pipeline.test_staleness import dvc
from yolov2.network.checkpoint import load_detector
from yolov2.runs.identity import weights_hash

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = Path(__file__).parent / "golden" / "store-0.1.tar.xz"
COMMITS = Path(__file__).parent / "golden" / "runs-0.1.bundle"
"""The commits of its runs, on top of the last one of 0.1."""
LAST_OF_0_1 = "da75453"
CONFIG = TrackingConfig()
TRAINED = ("8bc1bcdf3db040038d1cfe478f249702", "c4b63b3c7a9047c78b5ba6fa6cc4135d")
EVALUATED = "ffa3fc537d1f4a95b5d4685efdf4e6d8"
EXPORTED = "475948980a12432ea35eccd47d20c4f5"
WEIGHTS = (
    "28271fe3c5109ff496a73566853aab00ab29943398a81b7ccd8f37697a153e06",
    "3a7bd4c317a327340531262cb8aa11f4a4736c1f62da103a8494f3dc801221c4",
)
"""Of the two trainings, and of version 1 and 2 (FACTS.md where the archive was made)."""


def taken_over(folder: Path) -> Path:
    """The store in a project of this release, its parameters moved by the command for it."""
    unpack(ARCHIVE, folder)
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    return folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for the tests that change nothing another one looks at."""
    return taken_over(tmp_path_factory.mktemp("a place") / "project")


@pytest.fixture
def project(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shared)
    cli.run(["params", "upgrade"])
    return shared


def test_parameters_say_how_they_are_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken_over(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"train\.\w+'.*`pipeline params upgrade` moves it"):
        load()
    assert cli.run(["params", "upgrade"]) == 0
    params = load()
    assert (params.machine.device, params.machine.cache) == ("cpu", "ram")
    assert (params.machine.log_every, params.machine.checkpoint.keep) == (5, 1)
    assert (params.train.amp, params.train.seed, params.model.width) == ("off", 1, 0.05)


def test_standing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.run(["standing"]) == 0
    said = capsys.readouterr().out
    assert "version 2 of yolov2 is the champion already" in said


def test_versions_are_compared(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digits.main()
    capsys.readouterr()
    assert cli.run(["compare", "1", "2"]) == 0
    assert (
        "version 2 against version 1: no difference shown; test AP 0.0030 -> 0.0007, -0.0023"
        " (95 % interval -0.0152 to +0.0005)"
    ) in capsys.readouterr().out


def test_rollback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken_over(tmp_path)
    monkeypatch.chdir(tmp_path)
    cli.run(["params", "upgrade"])
    capsys.readouterr()
    assert cli.run(["rollback", "--reason", "a trial"]) == 0
    assert capsys.readouterr().out == (
        "version 1 of yolov2 is the champion again, version 2 is previous: a trial\n"
    )


SERVE = """
import json, sys, warnings
from pathlib import Path
import yolov2.config.section, yolov2.config.evaluate, yolov2.data.images.reading
from pipeline.registry.package import _example, scoring_app
app = scoring_app(Path(sys.argv[1]))
warnings.simplefilter("ignore")
from fastapi.testclient import TestClient
body = {"dataframe_records": _example().to_dict("records"), "params": {"conf_threshold": 0.0001}}
answer = TestClient(app).post("/invocations", json=body)
print(json.dumps([answer.status_code, answer.json(), sys.modules["yolov2"].__file__]))
"""


def test_a_version_is_served_by_the_code_that_it_carries(project: Path) -> None:
    place = next((project / "mlartifacts" / "models").glob("m-4043*")) / "artifacts"
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(place)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    status, answer, code = json.loads(done.stdout.splitlines()[-1])
    assert status == 200, answer
    (row,) = answer["predictions"]
    assert (row["image_width"], row["image_height"]) == (64, 48)
    assert {found["class_name"] for found in json.loads(row["detections"])} <= set("0123456789")
    assert Path(code).is_relative_to(place / "code")


@pytest.mark.parametrize("number", [1, 2])
def test_a_version_is_loaded(project: Path, number: int) -> None:
    checkpoint = find(f"models:/yolov2/{number}", (".pt", ".onnx"))
    assert weights_hash(load_detector(checkpoint).network) == WEIGHTS[number - 1]


def test_what_a_run_was_made_from_is_read(project: Path) -> None:
    source, first = find_source(CONFIG, "1")
    assert source.commit == "77fd257f3ea5ac549fafe0320577682511af922f"
    assert (source.patch, first.training, first.weights) == (b"", TRAINED[0], WEIGHTS[0])
    assert first.metrics["test/AP"] == 0.002968673373591526
    assert first.exported["onnx"] == (
        "3f91556cba29b03cb10118a7543c4fe1a4a0f4169d8fd59f4f3f654ff955c4c3"
    )
    assert first.threads == {"train": "1", "evaluate": "1", "export": "1"}
    source, second = find_source(CONFIG, "@champion")
    assert source.commit == "a202d2977172e1339b611e6a8e409c38bba87265"
    assert source.patch.startswith(b"diff --git a/params.yaml")
    assert (second.evaluation, second.weights) == (EVALUATED, WEIGHTS[1])
    assert (second.hardware["threads"], second.versions["torch"]) == ("1", "2.14.1")


def test_old_records_are_traced(project: Path) -> None:
    if not (project / ".dvc").exists():
        dvc(project, "init", "--no-scm")
    stages = {stage["name"]: stage["run"] for stage in trace(CONFIG)["stages"]}
    made = {"train": TRAINED[1], "evaluate": EVALUATED, "export": EXPORTED}
    assert {name: stages[name]["run_id"] for name in made} == made
    assert {stages[name]["where"] for name in made} == {"here"}
    assert stages["evaluate"]["training"] == TRAINED[1]


def test_an_old_record_names_its_training(project: Path) -> None:
    record = json.loads((project / "artifacts" / "train_run.json").read_text())
    found = resolve_training_run(CONFIG, record, paths.HISTORY, RunIdentity())
    assert found == (TRAINED[1], record["model_id"])


@pytest.mark.slow
@pytest.mark.parametrize("version", ["@champion", "1"])
def test_a_run_is_reproduced(tmp_path: Path, version: str) -> None:
    ask = ["git", "rev-parse", "--verify", "--quiet", f"{LAST_OF_0_1}^{{commit}}"]
    found = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("a clone without the history of 0.1")
    project = copy_project(tmp_path, {})
    for fetch in ([str(ROOT), found.stdout.strip()], [str(COMMITS), "golden:golden"]):
        subprocess.run(["git", "fetch", "-q", *fetch], cwd=project, check=True)
    unpack(ARCHIVE, project)
    run(project, "pipeline", "params", "upgrade")
    said = run(project, "pipeline", "reproduce", version)
    # on another processor sums may round otherwise
    assert "identical (tolerance of AP 0.005)" in said or "within tolerance" in said
