"""Whether the training below an evaluation or export was made by the same call of DVC.

DVC takes a stage that it knows from its cache, and then nothing runs that could say so; so the
run of the stage after it says it. No MLflow here.
"""

from collections.abc import Mapping

from pipeline.tracking.links import run_link
from pipeline.tracking.marks import CHANGED, SINCE
from pipeline.workspace.identity import RunIdentity
from yolov2.evaluation.optimism import caution

ORIGIN, RUN = "train.origin", "train.run"
"""Tags: one of the two words below, and the id of the training's run."""
SAME_CALL, CACHE = "this invocation", "cache"

NOTE = "mlflow.note.content"
"""Tag that MLflow shows as the description on a run's page."""

_WORDS = {
    SAME_CALL: "made by the same call of `dvc` as this run",
    CACHE: "taken from DVC's cache, not trained again by the call of `dvc` that made this run",
}


def origin_tags(
    training_id: str, training: Mapping[str, str], identity: RunIdentity
) -> dict[str, str]:
    """What a run says of its training, whose own tags are ``training``.

    Outside DVC nothing is claimed, unless the training was imported: then it came from elsewhere.
    """
    tags = {RUN: training_id}
    if training.get("imported"):
        return tags | {ORIGIN: CACHE}
    if identity.invocation is None:
        return tags
    same = training.get("dvc.invocation") == identity.invocation
    return tags | {ORIGIN: SAME_CALL if same else CACHE}


def describe_origin(
    experiment_id: str, training: Mapping[str, str], own: Mapping[str, str], headline: str = ""
) -> str:
    """The description of a run with tags ``own``: Markdown with a link to its training."""
    name = training.get("mlflow.runName") or own[RUN]
    said = _WORDS.get(own.get(ORIGIN, ""), "")
    if training.get("imported"):
        where = training.get("imported.run_id", "another store")
        said = f"made on another machine (there: run `{where}`) and imported from DVC's files"
    link = f"[{name}]({run_link(experiment_id, own[RUN])})"
    lines = [headline, f"Training: {link}{', ' if said else ''}{said}."]
    if own.get(SINCE):
        before = run_link(experiment_id, own[SINCE])
        lines.append(f"Changed since [the {own['stage']} run before]({before}): {own[CHANGED]}.")
    return "\n\n".join(filter(None, lines))


def headline(split: str, figures: Mapping[str, float]) -> str:
    """The figures that decide, in bold: ``test AP 0.564 (0.550 to 0.579), AP50 0.954``.

    Behind them a word of caution where the training has seen the split.
    """
    told = []
    for name in ("AP", "AP50"):
        low, high = figures.get(f"{split}/{name}_low"), figures.get(f"{split}/{name}_high")
        between = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
        if f"{split}/{name}" in figures:
            told.append(f"{name} {figures[f'{split}/{name}']:.3f}{between}")
    warned = f" ({caution(split)})" if caution(split) else ""
    return f"**{split} {', '.join(told)}**{warned}" if told else ""
