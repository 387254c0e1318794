"""Runs whose process has died without a word (SIGKILL, power cut) are still RUNNING: end them."""

from typing import Any

from pipeline.running import processes
from pipeline.tracking.address import TrackingError

SIGNS = ("train/loss", "step/loss")
"""Curves of a training that grow while it lives."""


def reap(client: Any, experiment_id: str, key: str | None = None) -> list[str]:
    """Mark as KILLED what no living process of this machine writes to; the run ids.

    ``client`` is an MLflow client; ``key`` restricts it to the trainings of that key. Runs of
    other machines are left alone: whether their processes live cannot be seen from here.
    """
    wanted = "attributes.status = 'RUNNING'" + (f" and tags.`dvc.key` = '{key}'" if key else "")
    found = client.search_runs([experiment_id], wanted)
    dead = [
        run
        for run in found
        if processes.is_here(run.data.tags) and not processes.is_alive(run.data.tags)
    ]
    for run in dead:
        client.set_terminated(run.info.run_id, "KILLED", end_time=_last_sign(client, run))
    return [str(run.info.run_id) for run in dead]


def require_free(run: Any) -> None:
    """Raise ``TrackingError`` if another living process of this machine writes to ``run``."""
    writer = run.data.tags.get("pid")
    if run.info.status != "RUNNING" or not processes.is_here(run.data.tags):
        return
    if writer != processes.mark()["pid"] and processes.is_alive(run.data.tags):
        raise TrackingError(
            f"process {writer} is still writing to the training run {run.info.run_id}: wait for"
            f" it or end it with `kill {writer}`"
        )


def _last_sign(client: Any, run: Any) -> int:
    """Milliseconds since the epoch of the run's last figure, else of its start."""
    curves = [client.get_metric_history(run.info.run_id, name) for name in SIGNS]
    figures = (int(metric.timestamp) for curve in curves for metric in curve)
    return max([int(run.info.start_time), *figures])
