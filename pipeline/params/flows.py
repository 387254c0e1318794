"""The sections ``flows`` and ``schedule`` of ``params.yaml``: what the Prefect flows go by."""

from dataclasses import dataclass
from typing import Literal
from zoneinfo import available_timezones

from yolov2.config.section import Section, require, require_between

Occasion = Literal[
    "promoted",
    "refused",
    "declined",
    "awaiting approval",
    "data refused",
    "nothing to do",
    "failed",
    "cancelled",
]
"""What people may be told of."""


@dataclass(frozen=True, kw_only=True)
class FlowsConfig(Section):
    """How flows go about their work.

    A stage that failed for a passing reason (a server away, a death without a word) is tried
    ``retries`` times more, first after ``retry_seconds``, then after twice as long each time.
    ``stage_hours`` is the longest that a stage may take (0: no limit). ``if_busy`` says what a run
    does that finds another one at work in its folder. With ``approval`` a model that the rules
    accept stays challenger until a person agrees; a run waits ``approval_hours`` for the answer.
    With ``share`` a run fetches data and results from the DVC remote first and pushes its own.
    ``incoming`` is the folder where new data arrive. A scheduled run whose process died is started
    again, ``take_ups`` times in a row at most. ``notify_on`` names what people are told of.
    """

    retries: int = 3
    retry_seconds: float = 30.0
    stage_hours: float = 0.0
    if_busy: Literal["skip", "wait"] = "skip"
    approval: bool = False
    approval_hours: float = 168.0
    share: bool = False
    incoming: str = "data/incoming"
    take_ups: int = 2
    notify_on: tuple[Occasion, ...] = (
        "promoted",
        "refused",
        "declined",
        "awaiting approval",
        "data refused",
        "failed",
    )

    def __post_init__(self) -> None:
        require_between("retries", self.retries, 0, 20)
        require_between("retry_seconds", self.retry_seconds, 0, 3600)
        require_between("stage_hours", self.stage_hours, 0, 10_000)
        require_between("approval_hours", self.approval_hours, 0.01, 10_000)
        require_between("take_ups", self.take_ups, 0, 20)


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig(Section):
    """When the scheduled retraining runs: five cron fields and a time zone name.

    With ``catch_up`` a time that passed while nothing was there to run it is made up for at the
    next start, once. ``poll_seconds`` is how often ``flows.incoming`` is looked at (0: never).
    """

    cron: str = "0 3 * * 1"
    timezone: str = "UTC"
    catch_up: bool = True
    poll_seconds: float = 30.0

    def __post_init__(self) -> None:
        require(
            len(self.cron.split()) == 5,
            f"cron must have five fields (minute hour day month weekday), not '{self.cron}'",
        )
        require_between("poll_seconds", self.poll_seconds, 0, 86_400)
        require(
            self.timezone in available_timezones(),
            f"timezone must be a name like UTC or Europe/Berlin, not '{self.timezone}'",
        )
