"""A sweep: an Optuna study whose trials several processes and machines may share."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.sweep.space import Space, at_present
from pipeline.sweep.store import address, open_store
from pipeline.tracking.address import database_file
from pipeline.workspace.git import WorkTree

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

OF = "of"
"""A study's mark: digest of code, data, settings and space that its trials have in common."""
EXPERIMENT = "experiment"
RUN_ID, KEY = "run_id", "key"
"""A study's experiment; a trial's run in MLflow, where it is known, and the training's key."""
BEGIN_SECONDS = 30.0
"""How long another process may take to begin a sweep before it counts as having died of it."""
UNJUDGED, WARM_UP = 3, 2
"""Trials, and validations of each later one, before any is stopped early."""


def digest(space: Space, tree: WorkTree) -> str:
    """16 hex digits of all that decides what a trial gives: commit, uncommitted changes, space."""
    said = [space.fixed, {key: str(value) for key, value in space.drawn.items()}]
    content = f"{tree.commit}\n{tree.patch}\n{json.dumps(said, sort_keys=True)}"
    return hashlib.sha256(content.encode(errors="surrogateescape")).hexdigest()[:16]


def begin(name: str, space: Space, mark: str, experiment: str, trials: int) -> "Study":
    """The study ``name``, new or gone on with; its first trial is what is in use.

    Where ``trials`` are enough to try everything, each combination is tried once.

    Raises:
        ValueError: a sweep of this name has tried other things, or the store cannot be used.
    """
    import optuna

    storage = open_store()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        optuna.create_study(study_name=name, storage=storage, direction="maximize")
        begun_by_others = False
    except optuna.exceptions.DuplicatedStudyError:
        begun_by_others = True
    study = optuna.load_study(
        study_name=name,
        storage=storage,
        sampler=optuna.samplers.BruteForceSampler()
        if space.combinations <= trials
        else optuna.samplers.TPESampler(constant_liar=True),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNJUDGED, n_min_trials=UNJUDGED),
    )
    known = _mark(study, BEGIN_SECONDS if begun_by_others else 0.0)
    if known not in (None, mark):
        raise ValueError(
            f"the sweep {name} is of other code, data, settings or choices, and its figures cannot"
            " be compared with new ones: give this one another --name"
        )
    if known is None:
        study.set_user_attr(EXPERIMENT, experiment)
        present = at_present(space)
        if present is not None:
            study.enqueue_trial(present, skip_if_exists=True)
        study.set_user_attr(OF, mark)  # last: what was cut short before is begun again
    return study


def _mark(study: "Study", seconds: float) -> str | None:
    """What the study is of; None if nobody has said so within ``seconds``."""
    deadline = time.monotonic() + seconds
    while (known := study.user_attrs.get(OF)) is None and time.monotonic() < deadline:
        time.sleep(0.2)
    return known


def find(name: str) -> "Study":
    """The study ``name``.

    Raises:
        ValueError: there is none; the message has the names of all.
    """
    import optuna

    file = database_file(address())
    if file is not None and not file.exists():  # looking makes no store
        raise ValueError(f"no sweep {name}; there are: none yet")
    storage = open_store()
    names = optuna.get_all_study_names(storage)
    if name not in names:
        raise ValueError(f"no sweep {name}; there are: {', '.join(sorted(names)) or 'none yet'}")
    return optuna.load_study(study_name=name, storage=storage)


def counted(study: "Study") -> int:
    """Trials that gave an answer: trained to their end, or stopped because they were worse."""
    from optuna.trial import TrialState

    return len(study.get_trials(False, (TrialState.COMPLETE, TrialState.PRUNED)))


def best(study: "Study") -> "FrozenTrial | None":
    """The trial with the highest AP of those that were trained to their end."""
    from optuna.trial import TrialState

    complete = study.get_trials(False, (TrialState.COMPLETE,))
    return max(complete, key=lambda trial: trial.value or 0.0, default=None)


def options(settings: Mapping[str, object]) -> str:
    """``-S train.lr=0.001 -S ...``: the words by which a run gets these settings."""
    return " ".join(f"-S '{key}={value}'" for key, value in settings.items())


def settings_of(trial: "FrozenTrial") -> dict[str, object]:
    """What a trial was run with, as ``Trial.user_attrs`` keeps it; its draws if it never began."""
    return dict(trial.user_attrs.get("settings") or trial.params)


def table(study: "Study") -> list[dict[str, object]]:
    """A row a trial, best first: number, state, AP, epochs that were validated, its settings."""
    rows = []
    for trial in study.get_trials(deepcopy=False):
        seen = list(trial.intermediate_values.values())
        rows.append(
            {
                "trial": trial.number,
                "state": "stopped early"
                if trial.state.name == "PRUNED"
                else trial.state.name.lower(),
                "AP": round(max([trial.value or 0.0, *seen]), 4) if seen or trial.value else None,
                "epochs": max(trial.intermediate_values, default=None),
                **settings_of(trial),
                "run": trial.user_attrs.get(RUN_ID, ""),
                "key": trial.user_attrs.get(KEY, ""),
            }
        )
    return sorted(rows, key=lambda row: -float(str(row["AP"] or 0)))


def folder(name: str, reports: Path) -> Path:
    """Where the pages of a sweep go."""
    return reports / "sweeps" / name
