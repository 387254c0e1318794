"""What a sweep tells MLflow of its trials' runs."""

from pathlib import Path

import optuna
import pytest

from pipeline.sweep import report, study
from pipeline.tracking.runs import open_training_run
from tests.pipeline.tracked import CONFIG, KEY, PARAMETERS, identity, open_store, runs

PARAMS = f"tracking: {{experiment: {CONFIG.experiment}}}\n"


def test_the_run_of_a_trial_is_found_by_its_id_and_else_by_its_key(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "params.yaml").write_text(PARAMS)
    trained = []
    for key in (KEY, "f" * 64):
        with open_training_run(CONFIG, parameters=PARAMETERS, key=key, identity=identity()) as run:
            trained.append(run.run_id)
    sweep = optuna.create_study(study_name="lr", direction="maximize")
    sweep.set_user_attr(study.EXPERIMENT, CONFIG.experiment)
    for attributes in ({study.RUN_ID: trained[0]}, {study.RUN_ID: "", study.KEY: "f" * 64}, {}):
        trial = sweep.ask()
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        sweep.tell(trial, 0.25)
    monkeypatch.setattr(study, "find", lambda name: sweep)
    report.report("lr")
    marked = {
        run.info.run_id: run.data.tags.get("sweep.trial") for run in runs(open_store(), "train")
    }
    assert marked == {trained[0]: "0", trained[1]: "1"}
    assert (repository / "reports" / "sweeps" / "lr" / "trials.csv").is_file()
