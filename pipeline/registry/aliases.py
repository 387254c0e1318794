"""Moving ``champion`` and ``previous``: one process at a time, on any number of machines.

MLflow sets one alias in one transaction, but neither two together nor one on condition. So
whoever moves them first makes a registered model of a fixed name, which MLflow's database
accepts once only, and deletes it afterwards. What is intended is written down before, so that
the next one finishes what a killed process has begun.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.registry.models import CHAMPION, PREVIOUS, Registry
from pipeline.running import processes
from pipeline.tracking.address import TrackingError
from yolov2.config.section import require
from yolov2.termination import undisturbed

LOCK = "{}.moving-aliases"
INTENDED = "aliases.intended"
"""Tag of the registered model: the aliases that are being moved, and where to."""
PATIENCE = 60.0
"""Seconds to wait for another process; a lock of another machine is taken for dead after them."""
PAUSE = 0.2


def move_champion(registry: Registry, number: int, *, expected: int | None) -> None:
    """Make version ``number`` the champion, and the champion so far ``previous``.

    Raises:
        ValueError: the champion is no longer version ``expected``, on which the decision rests.
        TrackingError: the store cannot be used.
    """
    with one_at_a_time(registry):
        found = registry.aliases().get(CHAMPION)
        require(
            found == expected,
            f"{registry.name} got another champion meanwhile ({_shown(found)} instead of"
            f" {_shown(expected)}): decide again",
        )
        wanted = {CHAMPION: number} | ({} if found is None else {PREVIOUS: found})
        client = registry.store.client
        client.set_registered_model_tag(registry.name, INTENDED, json.dumps(wanted))
        _finish(registry)


def _shown(number: int | None) -> str:
    return "none" if number is None else f"version {number}"


@contextmanager
def one_at_a_time(
    registry: Registry,
    *,
    patience: float = PATIENCE,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the registry's lock; what a killed process left half done is done first.

    Raises:
        TrackingError: the store cannot be used.
    """
    mark = json.dumps(processes.mark() | {"since": time.time_ns()})
    _take(registry, mark, patience, wait)
    try:
        _finish(registry)
        yield
    finally:
        with undisturbed():
            _release(registry, mark)


def _take(registry: Registry, mark: str, patience: float, wait: Callable[[float], None]) -> None:
    """Make the lock; one whose process is dead, or that stays too long, is removed."""
    name, seen, waited = LOCK.format(registry.name), "", 0.0
    while True:
        try:
            registry.store.client.create_registered_model(name, description=mark)
            return
        except TrackingError as error:
            if getattr(error.__cause__, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
                raise
        holder = _holder(registry)
        if holder != seen:
            seen, waited = holder, 0.0
        if holder and (_is_dead(holder) or waited >= patience):
            _release(registry, holder)
            continue
        wait(PAUSE)
        waited += PAUSE


def _holder(registry: Registry) -> str:
    """The mark of who holds the lock; empty when nobody does."""
    name = LOCK.format(registry.name)
    found = registry.store.client.search_registered_models(f"name = '{name}'")
    return str(found[0].description) if found else ""


def _is_dead(holder: str) -> bool:
    """Whether the holder was a process of this machine that is no more."""
    tags: dict[str, Any] = json.loads(holder)
    return processes.is_here(tags) and not processes.is_alive(tags)


def _release(registry: Registry, mark: str) -> None:
    """Delete the lock if it is still that of ``mark``."""
    if _holder(registry) == mark:
        registry.store.client.delete_registered_model(LOCK.format(registry.name))


def _finish(registry: Registry) -> None:
    """Do what is intended; the champion first, because that is what serves."""
    intended = registry.tag(INTENDED)
    if intended is None:
        return
    for alias, number in json.loads(intended).items():
        registry.set_alias(alias, number)
    registry.store.client.delete_registered_model_tag(registry.name, INTENDED)
