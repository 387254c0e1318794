"""Settings of the machine: where and how often something runs; nothing that decides a result."""

from dataclasses import dataclass, field
from typing import Literal

from yolov2.config.section import Section, require_between


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig(Section):
    """When a training is saved, to go on from after an interruption.

    After ``every_minutes``, and where it is not 0 after ``every_steps`` optimiser steps; also
    with each new best, when it is asked to end, and at the end. Beside the newest, ``keep``
    earlier ones stay.
    """

    every_minutes: float = 5.0
    every_steps: int = 0
    keep: int = 1

    def __post_init__(self) -> None:
        require_between("every_minutes", self.every_minutes, 0.0, 1e6)
        require_between("every_steps", self.every_steps, 0, 1_000_000_000)
        require_between("keep", self.keep, 0, 1000)


@dataclass(frozen=True, kw_only=True)
class MachineConfig(Section):
    """What the machine at hand is asked for; no stage of the pipeline is stale when it changes.

    ``device`` is ``auto`` (CUDA if there is a card), ``cpu``, ``cuda``, ``cuda:1``; ``threads``
    the processor's threads for one network (0: as the environment says; another number may change
    the last bit of a sum); ``num_workers`` the processes that read images; ``cache`` where decoded
    images are kept; ``log_every`` the steps from one row of ``steps.csv`` to the next.
    """

    device: str = "auto"
    threads: int = 0
    num_workers: int = 4
    cache: Literal["none", "ram", "disk"] = "none"
    log_every: int = 50
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)

    def __post_init__(self) -> None:
        require_between("threads", self.threads, 0, 1024)
        require_between("num_workers", self.num_workers, 0, 1024)
        require_between("log_every", self.log_every, 1, 1_000_000)
