"""The trials of a sweep in Optuna's store, which several processes and machines may share."""

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline import store_address
from pipeline.store_address import TrackingError, plainly, without_password
from pipeline.sweep.space import Space, at_present
from pipeline.worktree import WorkTree

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

VARIABLE = "PIPELINE_SWEEPS"
"""Environment variable: the database that machines share, with a password if need be."""
FILE = "sweeps.db"
OF = "of"
"""A study's mark: digest of code, data, settings and space that its trials have in common."""
EXPERIMENT = "experiment"
RUN_ID = "run_id"
"""A study's experiment and a trial's run in MLflow."""
HEARTBEAT, GRACE = 15, 60
"""Seconds between a worker's signs of life, and after the last one until its trial is repeated."""
ANSWER_SECONDS = 30.0
"""How long the store may take to answer a question."""
UNJUDGED, WARM_UP = 3, 2
"""Trials, and validations of each later one, before any is stopped early."""


def address() -> str:
    """Where the trials are kept: ``PIPELINE_SWEEPS``, else ``sweeps.db`` in the root."""
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return f"{store_address.SQLITE}{store_address.store_root() / FILE}"
    if urlsplit(given).scheme.partition("+")[0] not in ("sqlite", "postgresql", "mysql"):
        raise ValueError(
            f"{VARIABLE} is {without_password(given)}: name a database, such as"
            " postgresql+pg8000://USER:PASSWORD@HOST/DATABASE, or sqlite:////absolute/path.db"
        )
    return given


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

    storage = _storage()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.BruteForceSampler()
        if space.combinations <= trials
        else optuna.samplers.TPESampler(constant_liar=True),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNJUDGED, n_min_trials=UNJUDGED),
    )
    known = study.user_attrs.get(OF)
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


def find(name: str) -> "Study":
    """The study ``name``.

    Raises:
        ValueError: there is none; the message has the names of all.
    """
    import optuna

    storage = _storage()
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


def _storage() -> "RDBStorage":
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
    from sqlalchemy.exc import SQLAlchemyError

    uri = address()
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)  # farewells to dead connections
    try:
        store_address.probe(uri)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # Optuna's word for its heartbeat
            return RDBStorage(
                uri,
                engine_kwargs={"pool_pre_ping": True, "connect_args": _limits(uri)},
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=2),
            )
    except (SQLAlchemyError, ModuleNotFoundError, TrackingError) as error:
        raise ValueError(
            f"the sweeps' store {without_password(uri)} cannot be used: {plainly(str(error))}"
        ) from None


def _limits(uri: str) -> dict[str, object]:
    """Nobody waits for ever for a store that has gone without a word; these drivers can be told."""
    scheme = urlsplit(uri).scheme
    return {"timeout": ANSWER_SECONDS} if scheme in ("sqlite", "postgresql+pg8000") else {}


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
            }
        )
    return sorted(rows, key=lambda row: -float(str(row["AP"] or 0)))


def folder(name: str, reports: Path) -> Path:
    """Where the pages of a sweep go."""
    return reports / "sweeps" / name
