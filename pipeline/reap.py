"""Runs whose process has died without a word (SIGKILL, power cut) are still RUNNING: end them."""

import os
from typing import Any

from pipeline.store_address import TrackingError


def reap(client: Any, experiment_id: str, key: str | None = None) -> list[str]:
    """Mark as KILLED what no living process of this machine writes to; the run ids.

    ``client`` is an MLflow client; ``key`` restricts it to the trainings of that key. Runs of
    other machines are left alone: whether their processes live cannot be seen from here.
    """
    wanted = "attributes.status = 'RUNNING'" + (f" and tags.`dvc.key` = '{key}'" if key else "")
    dead = [run for run in client.search_runs([experiment_id], wanted) if _is_dead(run.data.tags)]
    for run in dead:
        client.set_terminated(run.info.run_id, "KILLED", end_time=_last_sign(client, run))
    return [str(run.info.run_id) for run in dead]


def require_free(run: Any) -> None:
    """Raise ``TrackingError`` if another living process of this machine writes to ``run``."""
    tags = run.data.tags
    writer = tags.get("pid", "")
    if run.info.status != "RUNNING" or tags.get("host") != os.uname().nodename:
        return
    if writer != str(os.getpid()) and _is_alive(writer):
        raise TrackingError(
            f"process {writer} is still writing to the training run {run.info.run_id}: wait for"
            f" it or end it with `kill {writer}`"
        )


def _is_dead(tags: dict[str, str]) -> bool:
    return tags.get("host") == os.uname().nodename and not _is_alive(tags.get("pid", ""))


def _is_alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and belongs to somebody else
        return True
    return True


def _last_sign(client: Any, run: Any) -> int:
    """Milliseconds since the epoch of the run's last figure, else of its start."""
    losses = client.get_metric_history(run.info.run_id, "train/loss")
    return max([int(run.info.start_time), *(int(metric.timestamp) for metric in losses)])
