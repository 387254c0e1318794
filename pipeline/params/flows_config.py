"""The sections ``flows`` and ``schedule`` of ``params.yaml``: what the Prefect flows go by."""

from dataclasses import dataclass
from typing import Literal
from zoneinfo import available_timezones

from yolov2.section import Section, require, require_between

Occasion = Literal[
    "promoted", "refused", "awaiting approval", "nothing to do", "failed", "cancelled"
]
"""How a retraining may end."""


@dataclass(frozen=True, kw_only=True)
class FlowsConfig(Section):
    """How flows go about their work.

    A stage that failed for a passing reason (a server away, a death without a word) is tried
    ``retries`` times more, first after ``retry_seconds``, then after twice as long each time.
    ``stage_hours`` is the longest that a stage may take (0: no limit). ``if_busy`` says what a run
    does that finds another one at work in its folder. With ``approval`` a model that the rules
    accept stays challenger until a person promotes it. ``notify_on`` names the ends of a retraining
    that people are told of.
    """

    retries: int = 3
    retry_seconds: float = 30.0
    stage_hours: float = 0.0
    if_busy: Literal["skip", "wait"] = "skip"
    approval: bool = False
    notify_on: tuple[Occasion, ...] = ("promoted", "refused", "awaiting approval", "failed")

    def __post_init__(self) -> None:
        require_between("retries", self.retries, 0, 20)
        require_between("retry_seconds", self.retry_seconds, 0, 3600)
        require_between("stage_hours", self.stage_hours, 0, 10_000)


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig(Section):
    """When the scheduled retraining runs: five cron fields and a time zone name."""

    cron: str = "0 3 * * 1"
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        require(
            len(self.cron.split()) == 5,
            f"cron must have five fields (minute hour day month weekday), not '{self.cron}'",
        )
        require(
            self.timezone in available_timezones(),
            f"timezone must be a name like UTC or Europe/Berlin, not '{self.timezone}'",
        )
