"""The stage ``train`` killed at chosen moments, and what it leaves compared with another's."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.pipeline.small_training import (
    make_workspace,
    start_stage,
)

POLL_SECONDS = 0.01
CHECKPOINT_STEPS = 3
RECIPE: dict[str, Any] = {
    "train.batch_size": 4,
    "train.nominal_batch": 8,
    "train.ema_decay": 0.99,
    "machine.num_workers": 1,
    "machine.log_every": 1,
    "train.validate_every": 3,
    "train.multi_scale.every": 2,
    "train.multi_scale.smallest": 0.66,
    "train.multi_scale.largest": 1.5,
    "train.augment.mosaic": 0.5,
    "train.augment.mixup": 0.3,
    "train.augment.mosaic_off_epochs": 2,
    "train.augment.jitter": 0.3,
    "train.augment.translate": 1.0,
    "train.augment.hue": 0.1,
    "train.augment.saturation": 1.5,
    "train.augment.exposure": 1.5,
    "train.augment.flip": 0.5,
    "machine.checkpoint.every_minutes": 1e6,
    "machine.checkpoint.every_steps": CHECKPOINT_STEPS,
}
"""All that draws random numbers or keeps a state, switched on."""
SPEED = ("seconds", "images_per_second", "data_wait", "flop_utilisation", "memory_gib")
"""Curves ``train/...`` that are different each time."""

Phase = Literal["starting", "training", "ending", "missed"]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """An uninterrupted stage: seconds before, in and after the training, and its steps."""

    starting: float
    training: float
    ending: float
    steps: int

    @property
    def total(self) -> float:
        """Seconds from the start to the exit of the process."""
        return self.starting + self.training + self.ending


def newest_step(root: Path) -> int:
    """The step of the newest checkpoint, 0 before the first."""
    names = (path.stem for path in root.glob("checkpoints/*/step-*.pt"))
    return max((int(name.removeprefix("step-")) for name in names), default=0)


def is_trained(root: Path) -> bool:
    """Whether the training itself is complete; MLflow may still lack something."""
    return any(root.glob("checkpoints/*/hashes.json"))


def run_whole(root: Path, settings: Mapping[str, Any], images: int) -> Timeline:
    """A training from beginning to end, and how long its parts took."""
    make_workspace(root, RECIPE | settings, images=images)
    marks: dict[str, float] = {}
    started = time.perf_counter()
    process = start(root)
    while process.poll() is None:
        if newest_step(root) > 0:
            marks.setdefault("training", time.perf_counter() - started)
        if is_trained(root):
            marks.setdefault("ending", time.perf_counter() - started)
        time.sleep(POLL_SECONDS)
    require_success(process, root)
    end = time.perf_counter() - started
    return Timeline(
        starting=marks["training"],
        training=marks["ending"] - marks["training"],
        ending=end - marks["ending"],
        steps=newest_step(root),
    )


def run_killed(
    root: Path, settings: Mapping[str, Any], images: int, timeline: Timeline, kills: int, seed: int
) -> Counter[Phase]:
    """The same training, killed ``kills`` times and started again each time; what was hit."""
    make_workspace(root, RECIPE | settings, images=images)
    rng = random.Random(seed)
    hit: Counter[Phase] = Counter()
    for moment in moments(timeline, kills, rng):
        hit[_kill_once(root, moment, timeline, rng)] += 1
    process = start(root)
    process.wait()
    require_success(process, root)
    return hit


def moments(timeline: Timeline, kills: int, rng: random.Random) -> list[float]:
    """Seconds of the uninterrupted stage, one in each of ``kills`` equal parts of it.

    Those of the training rise, as it goes on; those of the start come at random between them,
    so that taking up a training is hit as well as beginning it.
    """
    chosen = [timeline.total * (part + rng.random()) / kills for part in range(kills)]
    early = [moment for moment in chosen if moment < timeline.starting]
    order = [moment for moment in chosen if moment >= timeline.starting]
    for moment in early:
        order.insert(rng.randint(0, len(order)), moment)
    return order


def _kill_once(root: Path, moment: float, timeline: Timeline, rng: random.Random) -> Phase:
    """Start the stage and kill its process group when it has come as far as ``moment``."""
    before, was_trained = newest_step(root), is_trained(root)
    process = start(root)
    step_seconds = timeline.training / timeline.steps
    if moment < timeline.starting:
        _wait(process, lambda: False, at_most=moment)
    elif moment < timeline.starting + timeline.training and not was_trained:
        step = max(int((moment - timeline.starting) / step_seconds), before + 1)
        _wait(process, lambda: newest_step(root) >= step or is_trained(root))
        _wait(process, lambda: False, at_most=rng.uniform(0, CHECKPOINT_STEPS * step_seconds))
    else:
        into = max(0.0, moment - timeline.starting - timeline.training)
        _wait(process, lambda: is_trained(root))
        _wait(process, lambda: False, at_most=into + was_trained * timeline.starting)
    if process.poll() is not None:
        require_success(process, root)
        return "missed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if newest_step(root) > before and not is_trained(root):
        return "training"
    return "starting" if moment < timeline.starting else "ending"


def _wait(process: "subprocess.Popen[str]", until: Any, at_most: float = 600.0) -> None:
    end = time.perf_counter() + at_most
    while process.poll() is None and not until() and time.perf_counter() < end:
        time.sleep(min(POLL_SECONDS, at_most))


def start(root: Path) -> "subprocess.Popen[str]":
    """The stage, its words in ``stage.log``."""
    with (root / "stage.log").open("a") as log:
        return start_stage(root, stdout=log, stderr=log)


def require_success(process: "subprocess.Popen[str]", root: Path) -> None:
    """End here, with what it said, if the stage has failed by itself."""
    if process.returncode != 0:
        text = (root / "stage.log").read_text()
        sys.exit(f"the stage ended by itself with status {process.returncode}:\n{text[-3000:]}")
