import json
import os
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from pipeline import paths
from pipeline.registry.models import CHALLENGER, CHAMPION, Registry
from pipeline.registry.register import register
from pipeline.tracking.runs import log_export
from tests.pipeline import tracked
from tests.pipeline.tracked import CONFIG, PARAMETERS, open_store, png


@pytest.fixture
def result(repository: Path) -> Path:
    """The root with all that a pipeline run leaves."""
    return tracked.leave_result(repository)


def test_registered_version(result: Path) -> None:
    done = register(CONFIG)
    assert done.version == 1
    assert done.sentence == "registered version 1 of trial-model: test AP 0.500, alias challenger"
    registry = Registry(CONFIG)
    assert registry.aliases() == {CHALLENGER: 1}
    version = registry.with_alias(CHALLENGER)
    assert version is not None
    train, evaluate = (tracked.runs(open_store(), stage)[0] for stage in ("train", "evaluate"))
    assert version.run_id == train.info.run_id
    assert done.runs == {"training": train.info.run_id, "evaluation": evaluate.info.run_id}
    assert version.tags["AP"] == "0.500000"
    assert version.tags["AP50"] == "0.750000"
    assert version.tags["split"] == "test"
    assert version.tags["data_digest"] == tracked.TEST_DIGEST
    assert version.tags["evaluation_run"] == evaluate.info.run_id
    assert version.tags["onnx_sha256"] == tracked.sha256(result / paths.ONNX)
    found = registry.store.client.get_model_version("trial-model", "1")
    assert found.description.startswith("YOLOv2, test AP **0.500**, AP50 **0.750**")
    assert f"runs/{evaluate.info.run_id}" in found.description
    model_id = open_store().model_of(train.info.run_id)
    assert found.source == f"models:/{model_id}"
    model = registry.store.client.get_logged_model(model_id)
    assert model.status == "READY"
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "trial-model", "version": 1}]
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_registered_model_detects(result: Path, pyfunc: ModuleType) -> None:
    register(CONFIG)
    registry = Registry(CONFIG)
    place = registry.store.client.get_model_version_download_uri("trial-model", "1")
    model = pyfunc.load_model(place)
    table = model.predict(pd.DataFrame({"image": [png(255)]}))
    assert [item["class_name"] for item in json.loads(table["detections"][0])] == ["cat", "dog"]
    (train,) = tracked.runs(open_store(), "train")
    assert model.metadata.run_id == train.info.run_id
    assert (Path(place.removeprefix("file://")) / "artifacts" / "best.pt").exists()


def test_registering_twice_makes_one_version(result: Path) -> None:
    register(CONFIG)
    assert register(CONFIG).sentence == "version 1 of trial-model exists: it is this very graph"
    assert Registry(CONFIG).aliases() == {CHALLENGER: 1}
    assert len(open_store().client.search_model_versions("name = 'trial-model'")) == 1


def test_other_graph_of_the_same_training_leaves_the_first_as_it_was(result: Path) -> None:
    register(CONFIG)
    client = open_store().client
    first = Path(client.get_model_version_download_uri("trial-model", "1").removeprefix("file://"))
    before = tracked.sha256(first / "artifacts" / "model.onnx")
    tracked.leave_result(result, scale=0.9, train=False)
    assert register(CONFIG).sentence.startswith("registered version 2")
    assert Registry(CONFIG).aliases() == {CHALLENGER: 2}
    assert tracked.sha256(first / "artifacts" / "model.onnx") == before


def test_new_evaluation_of_a_registered_graph_replaces_its_figures(result: Path) -> None:
    register(CONFIG)
    run_id = tracked.leave_evaluation(result, tracked.SCORES | {"AP": 0.6, "AP50": 0.7})
    register(CONFIG)
    version = Registry(CONFIG).with_alias(CHALLENGER)
    assert version is not None
    assert (version.number, version.tags["AP"], version.tags["evaluation_run"]) == (
        1,
        "0.600000",
        run_id,
    )


def test_a_version_measured_on_what_its_training_has_seen_says_so(result: Path) -> None:
    def evaluated_on(split: str) -> tuple[str, str]:
        tracked.leave_evaluation(result, tracked.SCORES | {"split": split})
        register(CONFIG)
        found = Registry(CONFIG).store.client.get_model_version("trial-model", "1")
        return str(found.tags["optimistic"]), str(found.description)

    why, description = evaluated_on("val")
    assert why == "a training chooses its checkpoint by the val split"
    assert f"\n- optimistic: {why}; on new images expect less\n" in description
    # the same graph, measured on the test split since
    assert evaluated_on("test")[0] == "no"


def test_result_of_another_store_is_registered_with_its_runs(
    result: Path, empty_store: Path
) -> None:
    (result / "mlflow.db").write_bytes(empty_store.read_bytes())  # everything logged is lost
    register(CONFIG)
    register(CONFIG)
    store = open_store()
    (train,), (evaluate,) = tracked.runs(store, "train"), tracked.runs(store, "evaluate")
    assert train.data.tags["imported"] == evaluate.data.tags["imported"] == "true"
    assert evaluate.data.metrics == {"test/AP": 0.5, "test/AP50": 0.75, "test/AP/cat": 0.25}
    version = Registry(CONFIG).with_alias(CHALLENGER)
    assert version is not None
    assert version.tags["evaluation_run"] == evaluate.info.run_id


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (paths.TRAINING, "artifacts/training.json not found: make it with `dvc repro train`"),
        (paths.METRICS, "reports/metrics.json not found: make it with `dvc repro evaluate`"),
        (paths.EXPORT, "reports/export.json not found: make it with `dvc repro export`"),
        (paths.ONNX, "models/exported/model.onnx not found: make it with `dvc repro export`"),
    ],
)
def test_missing_file_says_which_stage_makes_it(result: Path, missing: Path, sentence: str) -> None:
    missing.unlink()
    with pytest.raises(ValueError, match=sentence):
        register(CONFIG)


def test_files_that_do_not_belong_together(result: Path) -> None:
    paths.ONNX.write_bytes(b"another graph")
    with pytest.raises(ValueError, match="is not the file that reports/export.json has checked"):
        register(CONFIG)
    tracked.leave_result(result, train=False)
    paths.BEST.write_bytes(b"weights of another training")
    with pytest.raises(ValueError, match="is the evaluation of another training than artifacts/"):
        register(CONFIG)
    paths.METRICS.write_text("[1]")
    with pytest.raises(ValueError, match=r"reports/metrics.json is damaged \(no JSON object\)"):
        register(CONFIG)


def test_an_export_of_another_training_is_refused(result: Path) -> None:
    """As after ``dvc repro evaluate`` with other settings: the graph is still the old one's."""
    other = {"key": "9" * 64, "parameters": PARAMETERS}
    tags = {"result": tracked.sha256(paths.EXPORT)}
    log_export(
        CONFIG,
        training_run=other,
        parameters=PARAMETERS,
        metrics={"onnx/AP": 0.5},
        artifacts=[],
        identity=tracked.identity(),
        tags=tags,
    )
    with pytest.raises(ValueError, match="reports/export.json is of another training than artif"):
        register(CONFIG)
    log_export(
        CONFIG,
        training_run=json.loads(paths.TRAINING.read_text()),
        parameters=PARAMETERS,
        metrics={"onnx/AP": 0.5},
        artifacts=[],
        identity=tracked.identity(),
        tags=tags,
    )
    assert register(CONFIG).version == 1


def test_empty_registry(repository: Path) -> None:
    registry = Registry(CONFIG)
    assert registry.aliases() == {}
    assert registry.with_alias(CHAMPION) is None
    assert registry.find("onnx_sha256", "0" * 64) is None
