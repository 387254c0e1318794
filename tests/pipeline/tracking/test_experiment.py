"""The experiment's page: written once, left to people, and no run ever fails for it."""

import json
from pathlib import Path

import pytest

from pipeline.tracking import experiment, links
from pipeline.tracking.experiment import NOTE, WRITTEN, arrange, splits, to_write
from pipeline.tracking.store import Store
from pipeline.tracking.views import FIRST, TAG, View, evaluations, trainings
from tests.pipeline import tracked
from tests.pipeline.tracked import CONFIG, open_store

MLFLOW_ENVELOPE, MLFLOW_LIMIT = {"name", "createdAt", "updatedAt", "state"}, 20_000


def tags(store: Store) -> dict[str, str]:
    return dict(store.client.get_experiment(store.experiment_id).tags)


@pytest.mark.parametrize("view", [evaluations("test"), evaluations("val"), trainings()])
def test_a_view_is_what_mlflow_s_page_saves(view: View) -> None:
    name, value = view.as_tag(1_700_000_000_000)
    envelope = json.loads(value)
    assert name == TAG + view.key
    assert envelope.keys() == MLFLOW_ENVELOPE
    assert len(value) < MLFLOW_LIMIT
    state = json.loads(envelope["state"])
    sections = [section["uuid"] for section in state["compareRunSections"]]
    cards = state["compareRunCharts"]
    assert len({card["uuid"] for card in cards}) == len(cards)
    assert {card["metricSectionId"] for card in cards} <= set(sections)
    assert len(set(sections)) == len(sections)
    charted = [card["metricKey"] for card in cards if "metricKey" in card]
    assert len(set(charted)) == len(charted)  # one chart per meaning
    assert state["columnOrder"] == [*FIRST, *state["selectedColumns"]]
    assert state["columnWidths"].keys() == set(state["columnOrder"])


def test_a_view_of_evaluations_sorts_by_its_split() -> None:
    state = evaluations("val").state
    assert state["searchFilter"] == "tags.stage = 'evaluate' and tags.split = 'val'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`val/AP`", False)
    first = [f"metrics.`val/{name}`" for name in ("AP", "AP50")]
    assert state["selectedColumns"][:3] == [*first, "tags.`changed`"]


def test_what_a_view_names_is_what_runs_have(repository: Path) -> None:
    tracked.leave_result(repository)
    store = open_store()
    for view in (evaluations("test"), trainings()):
        order = [f"{view.state['orderByKey']} DESC"]
        found = store.client.search_runs(
            [store.experiment_id], view.state["searchFilter"], order_by=order
        )
        assert len(found) == 1
        assert "changed" in found[0].data.tags
    assert "best/val_AP" in found[0].data.metrics


def test_the_page_is_written_once(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracked.leave_result(repository)
    store = open_store()
    written = tags(store)
    assert splits(written) == ["test"]
    assert f"{TAG}trainings" in written
    assert "viewStateShareKey=evaluations-test&compareRunsMode=CHART" in written[NOTE]
    written_again: list[object] = []
    monkeypatch.setattr(
        type(store.client._client), "set_experiment_tag", lambda *args: written_again.append(args)
    )
    arrange(store, "test")
    arrange(store)
    assert not written_again
    monkeypatch.undo()
    arrange(store, "val")
    assert splits(tags(store)) == ["test", "val"]
    assert "evaluations-val" in tags(store)[NOTE]


def test_what_a_person_wrote_or_removed_stays(repository: Path) -> None:
    store = open_store()
    store.client.set_experiment_tag(store.experiment_id, NOTE, "Ask Ada before deleting.")
    arrange(store, "test")
    assert tags(store)[NOTE] == "Ask Ada before deleting."
    view = f"{TAG}evaluations-test"
    store.client.set_experiment_tag(store.experiment_id, view, "{}")
    arrange(store, "test")
    assert tags(store)[view] == "{}"


def test_ours_is_renewed_and_theirs_is_not() -> None:
    first = to_write({}, {"a": "1", "b": "1", "c": "1"})
    known = first | {"b": "a person's"}
    del known["c"]
    second = to_write(known, {"a": "2", "b": "2", "c": "2"})
    assert second.keys() == {"a", WRITTEN}
    assert to_write(known | second, {"a": "2", "b": "2", "c": "2"}) == {}
    assert to_write({WRITTEN: "no JSON", "a": "1"}, {"a": "2", "b": "2"}).keys() == {"b", WRITTEN}


def test_a_page_that_cannot_be_written_costs_no_run(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(client: object, *arguments: object) -> None:
        raise OSError("tags of experiments are not allowed")

    monkeypatch.setattr(type(open_store().client._client), "set_experiment_tag", refuse)
    tracked.leave_result(repository)
    assert [run.info.status for run in tracked.runs(open_store(), "evaluate")] == ["FINISHED"]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2  # of the training, and of the evaluation
    assert said[0].startswith("the experiment's page in MLflow is left as it is: the MLflow store ")
    assert "tags of experiments are not allowed" in said[0]


def test_addresses(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    assert experiment.links(CONFIG)[0].name == "Trainings, newest first"
    tracked.leave_result(repository)
    first = experiment.links(CONFIG)[0]
    root = "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning"
    assert first.name == "Evaluations on test, best first"
    assert first.table == f"{root}&viewStateShareKey=evaluations-test"
    assert first.charts == f"{first.table}&compareRunsMode=CHART"
    monkeypatch.setenv("PORT", "5999")
    assert links.page_root("sqlite:////x/mlflow.db") == "http://127.0.0.1:5999"
    server = "https://me:secret@runs.example/mlflow/"
    assert links.page_root(server) == "https://runs.example/mlflow"
    assert links.run_link("3", "ab") == "#/experiments/3/runs/ab"
    assert links.run_link("3", "ab", "http://h") == "http://h/#/experiments/3/runs/ab"
