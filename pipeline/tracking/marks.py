"""By what a run is told from others in MLflow: name, tags, colour, what was changed. No MLflow."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.running import processes
from pipeline.workspace.identity import RunIdentity
from yolov2.evaluation.optimism import OPTIMISTIC

CHANGED = "changed"
"""Tag: what differs from the run of the same stage that finished before."""
SINCE = "changed.since"
"""Tag: the id of that run."""
COLOUR = "mlflow.runColor"
COLOURS = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),
    *("#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"),
)
"""MLflow's own choice may give neighbours nearly the same colour."""

COMBINING = ("train.augment.mosaic", "train.augment.mixup")
"""Parameters that ``train.augment.mosaic_off_epochs`` switches off in the last epochs."""

NAMED, LISTED = 2, 6
"""Changes that a run's name, and its tag, have room for."""
SHORT, BRIEF = 12, 60
"""Characters of a value that a name, and the tag, have room for."""


@dataclass(frozen=True, kw_only=True)
class RunChange:
    """A setting, or the code or data, that another run had otherwise; values None if unknown."""

    name: str
    before: str | None = None
    after: str | None = None

    def __str__(self) -> str:
        if self.before is None or self.after is None:
            return self.name
        return f"{self.name} {_brief(self.before)} → {_brief(self.after)}"


def _brief(value: str) -> str:
    return value if len(value) <= BRIEF else value[: BRIEF - 1] + "…"


def changes(
    before: Mapping[str, str],
    after: Mapping[str, str],
    tags_before: Mapping[str, str],
    tags_after: Mapping[str, str],
) -> list[RunChange]:
    """What a run does otherwise than another: parameters, then data, then code.

    A parameter that only one of them has was added to the pipeline or removed from it: that is
    code. One that had no effect in either is none.
    """
    before, after = _effective(before), _effective(after)
    both = (name for name in after if name in before)
    found = [RunChange(name=n, before=before[n], after=after[n]) for n in both]
    found = [each for each in found if each.before != each.after]
    for name in (*sorted(n for n in tags_after if n.startswith("data.")), "code"):
        one, other = tags_before.get(name), tags_after.get(name)
        if one and other and one != other and name != "data.all":
            found.append(RunChange(name=name.replace("data.", "data ")))
    return found


def _effective(parameters: Mapping[str, str]) -> Mapping[str, str]:
    """``parameters`` with mosaic and mixup off where no epoch of the training has them."""
    epochs = parameters.get("train.epochs")
    closing = parameters.get("train.augment.mosaic_off_epochs")
    if epochs is None or closing is None or int(closing) < int(epochs):
        return parameters
    off = {name: "0.0" for name in COMBINING if name in parameters}
    return {**parameters, **off}


def sentence(found: Sequence[RunChange] | None) -> str:
    """``train.lr 0.1 → 0.2, code``; ``first`` of a first run (None), ``nothing`` of the same."""
    if found is None:
        return "first"
    told = [str(each) for each in found[:LISTED]]
    if len(found) > LISTED:
        told.append(f"and {len(found) - LISTED} more")
    return ", ".join(told) or "nothing"


def run_name(
    stage: str, key: str, identity: RunIdentity, found: Sequence[RunChange] | None = None
) -> str:
    """``train-demo-epochs=30-1a2b3c4d``: stage, experiment, new values, start of the key.

    The experiment is DVC's, if any; a value is left out that is long, or not the only one.
    """
    short = [each for each in found or () if each.after is not None and len(each.after) <= SHORT]
    new = [f"{each.name.rpartition('.')[2]}={each.after}" for each in short]
    named = new if len(new) <= NAMED else []
    return "-".join(filter(None, (stage, identity.dvc_experiment, *named, key[:8])))


def next_colour(tags_before: Mapping[str, str]) -> str:
    """Another colour than the run before has."""
    last = tags_before.get(COLOUR, COLOURS[-1])
    return COLOURS[(COLOURS.index(last) + 1) % len(COLOURS) if last in COLOURS else 0]


def split_tags(split: str) -> dict[str, str]:
    """Which split the figures are on, and why they are better than on new images (or ``no``)."""
    return {"split": split, "optimistic": OPTIMISTIC.get(split, "no")}


def run_tags(stage: str, key: str, identity: RunIdentity) -> dict[str, str]:
    """What a run can be found by: stage, key, experiment, commit, digests of the data."""
    tags: dict[str, str | None] = {
        **processes.mark(),
        "stage": stage,
        "dvc.key": key,
        "dvc.exp": identity.dvc_experiment,
        "dvc.lock": identity.dvc_lock,
        "dvc.invocation": identity.invocation,
        "code": identity.code,
        "reproduces": identity.reproduces,
        "git.commit": identity.git_commit,
        "git.branch": identity.git_branch,
        "git.dirty": str(identity.git_dirty).lower(),
        "mlflow.user": os.environ.get("USER"),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": identity.command,
        "mlflow.source.git.commit": identity.git_commit,
    }
    tags |= {f"data.{split}": digest for split, digest in identity.data_digest.items()}
    hardware = identity.hardware
    tags |= {f"hardware.{name}": hardware.get(name) for name in ("gpu", "processor", "cores")}
    return {name: value[:5000] for name, value in tags.items() if value}
