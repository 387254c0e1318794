"""The page of the experiment in MLflow: a description that says how to read it, and saved views.

Written once, and again when a new version of the pipeline has others; what a person has changed
or removed stays as the person left it.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.params.tracking import TrackingConfig
from pipeline.tracking.address import TrackingError
from pipeline.tracking.connection import connect
from pipeline.tracking.links import page_root, view_link
from pipeline.tracking.store import Store
from pipeline.tracking.views import TAG, View, evaluations, trainings

NOTE = "mlflow.note.content"
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""So that MLflow opens the experiment with its runs, not with traces of language models."""
WRITTEN = "mlflow.pipeline.page"
"""Tag: short hash of each tag as the pipeline wrote it last. MLflow shows no ``mlflow.`` tags."""
_EVALUATIONS = f"{TAG}evaluations-"


def arrange(store: Store, split: str | None = None) -> None:
    """Give the experiment its description and views, with one of the evaluations on ``split``.

    The only thing in the store that is no result: where it cannot be written, a line on standard
    error says so and the run goes on.
    """
    try:
        experiment = store.client.get_experiment(store.experiment_id)
        known = dict(experiment.tags)
        views = views_of({*splits(known), *([split] if split else [])})
        wanted = _wanted(store.experiment_id, views, int(experiment.creation_time or 0))
        for name, value in to_write(known, wanted).items():
            store.client.set_experiment_tag(store.experiment_id, name, value)
    except TrackingError as error:
        print(f"the experiment's page in MLflow is left as it is: {error}", file=sys.stderr)


@dataclass(frozen=True, kw_only=True)
class ViewLinks:
    """Where MLflow shows a view: the addresses of its table and of its charts."""

    name: str
    table: str
    charts: str


def links(config: TrackingConfig) -> list[ViewLinks]:
    """The addresses of each view of the experiment.

    Raises:
        TrackingError: the store cannot be used.
    """
    store = connect(config.experiment)
    arrange(store)
    tags = dict(store.client.get_experiment(store.experiment_id).tags)
    root = page_root(store.uri)
    return [
        ViewLinks(
            name=view.name,
            table=view_link(store.experiment_id, view.key, root),
            charts=view_link(store.experiment_id, view.key, root, charts=True),
        )
        for view in views_of(splits(tags))
    ]


def splits(tags: Mapping[str, str]) -> list[str]:
    """The splits that the experiment has a view of, by its tags."""
    return sorted(n.removeprefix(_EVALUATIONS) for n in tags if n.startswith(_EVALUATIONS))


def views_of(evaluated: Iterable[str]) -> list[View]:
    """A view of the evaluations on each split, and one of the trainings."""
    return [*(evaluations(split) for split in sorted(evaluated)), trainings()]


def to_write(known: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """The tags to set, of those wanted: missing ones, and old ones of ours; no person's."""
    try:
        ours = dict(json.loads(known.get(WRITTEN, "{}")))
    except (ValueError, TypeError):
        ours = {}
    new = {}
    for name, value in wanted.items():
        untouched = _hash(known[name]) == ours.get(name) if name in known else name not in ours
        if known.get(name) != value and untouched:
            new[name] = value
    if not new:
        return {}
    return new | {WRITTEN: json.dumps(ours | {n: _hash(v) for n, v in new.items()})}


def description(experiment_id: str, views: Iterable[View]) -> str:
    """The description: where to look for what, and what can be filtered by. Markdown."""
    lines = []
    for view in views:
        table = view_link(experiment_id, view.key)
        charts = view_link(experiment_id, view.key, charts=True)
        lines.append(f"* {view.name}: [table]({table}), [charts]({charts})")
    return "\n".join(
        [
            "One training is one run; each evaluation and each export is a run of its own below"
            " it, with all parameters and final figures. What DVC takes from its cache makes no"
            " run: the tag `train.origin` of the run after it says `cache`.",
            "",
            *lines,
            "",
            "Filter: `tags.stage = 'train'` (or `evaluate`, `export`, `compare`, `promote`),"
            ' `metrics."test/AP" > 0.5`, `tags."dvc.exp" = \'demo\'`.'
            " The column `changed` says what differs from the run of that stage before.",
            "",
            "Metrics: `train/`, `val/` curves over epochs, `step/` over optimiser steps, `best/`"
            " the best epoch; `test/` (or another split) the final figures of an evaluation.",
        ]
    )


def _wanted(experiment_id: str, views: list[View], created: int) -> dict[str, str]:
    tags = dict(view.as_tag(created) for view in views)
    return tags | KIND | {NOTE: description(experiment_id, views)}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
