"""The command ``pipeline compare`` on checkpoints and on runs in a real sqlite store."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import cli, paths
from pipeline.params.schema import load
from pipeline.running.recorder import is_sent
from pipeline.tracking.runs import log_evaluation, open_training_run
from pipeline.workspace.identity import RunIdentity
from tests.pipeline.recorders import leave_evaluation_unrecorded
from tests.pipeline.small_training import make_workspace
from tests.pipeline.tracked import KEY, files, identity, open_store, runs
from yolov2.data.table import LabelTables
from yolov2.detection.detections import Detections
from yolov2.evaluation.annotated import AnnotatedImages, annotated_images
from yolov2.evaluation.detections_file import NAME, write_detections
from yolov2.network.checkpoint import save_checkpoint
from yolov2.network.yolov2 import YOLOv2

SETTINGS = {"tracking.experiment": "trial", "evaluate.conf_threshold": 0.1}


@pytest.fixture
def workspace(repository: Path) -> Path:
    return make_workspace(repository, SETTINGS)


def checkpoint(name: str, seed: int) -> Path:
    """An untrained network, the same for the same seed."""
    torch.manual_seed(seed)
    path = Path(name) / "best.pt"
    save_checkpoint(
        path,
        YOLOv2(2, [(0.6, 0.6), (1.0, 1.0)], width=0.05),
        class_names=("red", "blue"),
        image_size=64,
    )
    (path.parent / "parameters.json").write_text(json.dumps({"train": {"seed": seed}}))
    return path


def data() -> AnnotatedImages:
    """What the work space's data set has in the split val."""
    return annotated_images(LabelTables.read(paths.ARTIFACTS), "val", None)


def leave_tables(folder: Path, annotated: AnnotatedImages, found: bool) -> Path:
    """The files of an evaluation that found every object exactly, or none."""
    detections = {
        image_id: Detections(
            boxes_xyxy=some.boxes_xyxy[: len(some) * found],
            scores=np.full(len(some) * found, 0.9),
            class_ids=some.class_ids[: len(some) * found],
        )
        for image_id, some in annotated.truth.items()
    }
    write_detections(folder / "evaluate" / NAME, detections, annotated)
    (folder / "metrics.json").write_text("{}")
    return folder


def leave_evaluation(annotated: AnnotatedImages, lr: float, found: bool) -> str:
    """The run of such an evaluation; its id."""
    folder = leave_tables(Path(f"left-{lr}"), annotated, found)
    return log_evaluation(
        load().tracking,
        training_run={"run_id": f"train-{lr}", "key": KEY, "parameters": {"train": {"lr": lr}}},
        parameters={"train": {"lr": lr}, "evaluate": asdict(load().evaluate)},
        metrics={"AP": float(found)},
        artifacts=[folder / "metrics.json", folder / "evaluate" / NAME],
        identity=RunIdentity(data_digest={"val": annotated.digest}),
    )


def test_checkpoint_against_itself_is_identical(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkpoint("one", seed=1)
    cli.run(["compare", str(path), str(path), "--resamples", "20"])
    assert "identical, val AP" in capsys.readouterr().out
    (report,) = Path("reports/compare").rglob("comparison.json")
    content = json.loads(report.read_text())
    assert content["verdict"] == "identical"
    assert (content["AP"]["difference"], content["AP"]["low"], content["AP"]["high"]) == (0, 0, 0)
    assert content["candidates"]["A"][0]["speed"]["bytes"] == path.stat().st_size


def test_runs_are_compared_by_the_detections_they_left(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = leave_evaluation(data(), 0.25, found=False)
    perfect = leave_evaluation(data(), 0.5, found=True)
    cli.run(["compare", blind, perfect, "--resamples", "50"])
    line = capsys.readouterr().out.splitlines()[0]
    assert line.endswith(
        "B is better; val AP 0.0000 -> 1.0000, +1.0000 (95 % interval +1.0000 to +1.0000)"
    )
    store = open_store()
    (run,) = runs(store, "compare")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["compare/AP_difference"] == 1.0
    assert run.data.tags["compare.verdict"] == "B is better"
    stored = files(store, run.info.run_id)
    assert {"comparison.md", "comparison.html", "comparison.json", "changed-1.jpg"} <= stored
    (folder,) = Path("reports/compare").iterdir()
    text = (folder / "comparison.md").read_text()
    assert r"| train.lr | 0.25 | 0.5 |" in text
    assert "does not cover what another seed" in text
    assert "**optimistic**: a training chooses its checkpoint by the val split" in text
    assert json.loads((folder / "comparison.json").read_text())["optimistic"] == (
        "a training chooses its checkpoint by the val split"
    )
    assert run.data.tags["optimistic"] == "a training chooses its checkpoint by the val split"
    html = (folder / "comparison.html").read_text()
    sources = re.findall(r'src="([^"]{0,12})', html)
    assert sources
    assert set(sources) <= {"data:image/p", "data:image/j"}
    assert "http" not in re.sub(r"data:[^\"]+", "", html)


def test_several_runs_a_side_cover_the_seeds(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = leave_evaluation(data(), 0.25, found=False)
    perfect = leave_evaluation(data(), 0.5, found=True)
    cli.run(["compare", f"{blind},{perfect}", f"{perfect},{blind}", "--resamples", "100"])
    assert "no difference shown; val AP 0.5000 -> 0.5000" in capsys.readouterr().out
    (report,) = Path("reports/compare").rglob("comparison.json")
    assert json.loads(report.read_text())["covers_seeds"] is True


def test_run_on_other_data_needs_its_checkpoint(workspace: Path) -> None:
    run_id = leave_evaluation(data(), 0.25, found=True)
    tables = LabelTables.read(paths.ARTIFACTS)
    moved = tables.labels.assign(cx=tables.labels["cx"] + 0.01)
    LabelTables(images=tables.images, labels=moved, class_names=tables.class_names).write(
        paths.ARTIFACTS
    )
    with pytest.raises(ValueError, match="was not evaluated on the data of this work space"):
        cli.run(["compare", run_id, run_id])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gone/best.pt", "gone/best.pt: no such file"),
        ("@champion", r"@champion: yolov2 has no such version \(it has: none yet\)"),
        ("7", r"7: yolov2 has no such version"),
        ("models:/other/1", "the project's model is called yolov2"),
        (
            "0123abcd",
            "0123abcd: neither a file, nor a version .* nor a run of the experiment trial",
        ),
        ("it's", "it's: neither a file"),
    ],
)
def test_what_does_not_exist_is_named(workspace: Path, name: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        cli.run(["compare", name, name])


def test_detections_by_other_thresholds_are_not_compared(workspace: Path) -> None:
    run_id = leave_evaluation(data(), 0.25, found=True)
    text = Path("params.yaml").read_text()
    assert "conf_threshold: 0.1\n" in text
    Path("params.yaml").write_text(text.replace("conf_threshold: 0.1\n", "conf_threshold: 0.2\n"))
    with pytest.raises(ValueError, match="was not evaluated on the data .* with its thresholds"):
        cli.run(["compare", run_id, run_id])


def test_a_run_named_twice_is_refused(workspace: Path) -> None:
    run_id = leave_evaluation(data(), 0.25, found=True)
    with pytest.raises(ValueError, match="is named twice, and the same run again says nothing"):
        cli.run(["compare", f"{run_id},{run_id}", run_id])


@pytest.mark.parametrize("option", ["--resamples=0", "--seed=-1", "--pictures=-3"])
def test_counts_are_checked(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.run(["compare", "a", "b", option])
    assert "must be a whole number from" in capsys.readouterr().err


def test_one_side_is_not_enough(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run(["compare", "@champion"])
    assert ended.value.code == 2
    assert "the following arguments are required: B" in capsys.readouterr().err


def test_report_for_programs_has_all_that_the_page_shows(workspace: Path) -> None:
    a, b, c, d = (str(checkpoint(name, seed)) for seed, name in enumerate("abcd"))
    options = ["--resamples", "20", "--pictures", "2", "--device", "cpu"]
    cli.run(["compare", f"{a},{b}", f"{c},{d}", *options])
    (report,) = Path("reports/compare").rglob("comparison.json")
    content = json.loads(report.read_text())
    assert content["schema"] == 1
    assert content["runs"] == {"A": 2, "B": 2}
    assert set(content["errors"]["A"]) == {"Cls", "Loc", "Both", "Dupe", "Bkg", "Miss"}
    assert content["settings"] == {"train.seed": {"A": ["0", "1"], "B": ["2", "3"]}}
    speeds = [one["speed"] for side in content["candidates"].values() for one in side]
    assert all(speed["latency_ms"] > 0 and speed["device"] == "cpu" for speed in speeds)
    changes = [abs(one["after"] - one["before"]) for one in content["images_changed"]]
    assert changes == sorted(changes, reverse=True)


def test_json_is_all_that_programs_get(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = (str(checkpoint(name, seed)) for seed, name in enumerate("ab"))
    assert cli.run(["compare", a, b, b, "--resamples", "20", "--no-speed", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    written = {path: json.loads(path.read_text()) for path in Path(".").rglob("comparison.json")}
    assert len(findings) == 2
    assert findings[0] == findings[1]
    assert findings[0] in written.values()


def test_other_sides_have_another_folder(workspace: Path) -> None:
    """The ends of the names, of which a folder's name is made, are equal."""
    long = "a-name-of-more-than-forty-characters-in-a-folder"
    one, two = (str(checkpoint(f"{top}/{long}", 1)) for top in ("here", "there"))
    for pair in ([one, one], [one, two], [two, one], [one, one]):
        cli.run(["compare", *pair, "--resamples", "20", "--no-speed"])
    assert len(list(Path("reports/compare").iterdir())) == 3


def test_details_are_means_over_the_runs_of_a_side(workspace: Path) -> None:
    """Details of runs: means over a side; what varies on both sides alike is not a difference."""
    from pipeline.comparison.details import details_of
    from pipeline.comparison.measure import Measured, bench_of
    from pipeline.registry.references import Candidate
    from yolov2.evaluation.matches import match

    bench = bench_of(load())
    exact = {
        image_id: Detections(
            boxes_xyxy=some.boxes_xyxy,
            scores=np.full(len(some), 0.9, dtype=np.float32),
            class_ids=some.class_ids,
        )
        for image_id, some in bench.truth.items()
    }
    nothing = {image_id: some.above(1.0) for image_id, some in exact.items()}

    def one(detections: dict[int, Detections], lr: str, seed: str) -> Measured:
        settings = {"train.lr": lr, "train.seed": seed}
        return Measured(
            candidate=Candidate(reference=seed, name=seed, parameters=settings),
            detections=detections,
            matches=match(bench.truth, detections, 2),
            evaluated_anew=False,
            speed=None,
        )

    a = [one(exact, "0.1", "0"), one(nothing, "0.1", "1")]
    b = [one(exact, "0.2", "0"), one(exact, "0.2", "1")]
    details = details_of(bench, a, b)
    boxes = sum(len(some) for some in bench.truth.values())
    assert details.errors_a["Miss"].count == boxes / 2
    assert details.errors_b["Miss"].count == 0
    assert {(change.before, change.after) for change in details.images} == {(0.5, 1.0)}
    assert details.settings is not None
    found = {each.name: each.differs for each in details.settings}
    assert found == {"train.lr": True, "train.seed": False}


def test_an_evaluation_that_waits_to_be_recorded_is_recorded_first(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load().tracking
    parameters = {"evaluate": asdict(load().evaluate), "tracking": asdict(config)}
    with open_training_run(config, parameters={}, key=KEY, identity=identity()) as training:
        pass
    tables = leave_tables(Path("left"), data(), found=True)
    trained = {"key": KEY, "parameters": {}}
    folder = leave_evaluation_unrecorded(trained, parameters, tables)
    cli.run(["compare", training.run_id, training.run_id, "--resamples", "20", "--no-speed"])
    assert "identical, val AP" in capsys.readouterr().out
    assert is_sent(folder)
