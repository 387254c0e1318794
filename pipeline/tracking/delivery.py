"""The figures of a training on their way to MLflow, which may be away for a while.

The run folder's tables hold only what a checkpoint holds too, so nothing is sent that an
interrupted training would repeat. They are also the spool: what could not be sent is sent from
them later, and rows that the run already has are left out.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.running.recorder import read_notices
from pipeline.tracking.address import TrackingError
from pipeline.tracking.training import TrainingRun

ARTIFACTS = "training"
"""Folder of a training's files in its run."""
PAUSE = 15.0
"""Seconds after a failed delivery before the next is tried; doubled with each further failure."""
LONGEST_PAUSE = 600.0
LAST_TRIES = 5
"""Deliveries that are tried at the end, when nothing else remains to be done."""


class Delivery:
    """Sends the tables of a run folder, and files that are enclosed, to the run.

    Args:
        run: where to.
        folder: the run folder.
        pause: seconds before a failed delivery is tried again.
        wait: waits so many seconds; for tests.
    """

    def __init__(
        self,
        run: TrainingRun,
        folder: Path,
        *,
        pause: float = PAUSE,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.run, self.folder, self.pause, self.wait = run, folder, pause, wait
        self.failures, self.not_before = 0, 0.0
        self.enclosed: list[Path] = []
        self.described = ""
        self.seen: tuple[int, ...] = ()

    def enclose(self, *files: Path) -> None:
        """Have files sent with the next figures, those of them that exist then."""
        self.enclosed += files

    def send(self) -> None:
        """Send what is new; a store that does not answer is told of and tried again later."""
        if time.monotonic() < self.not_before:
            return
        try:
            self._send()
        except TrackingError as error:
            self._put_off(error)

    def finish(self) -> None:
        """Send what is left, patiently.

        Raises:
            TrackingError: the store does not answer; the training itself is safe.
        """
        for attempt in range(1, LAST_TRIES + 1):
            try:
                self._send()
                return
            except TrackingError as error:
                if attempt == LAST_TRIES:
                    raise type(error)(
                        f"the training is kept in {self.folder}, but its figures could not be"
                        f" sent: {error}. When the store answers, `pipeline track send` sends"
                        " them, and so does the stage, which will not train again"
                    ) from error
                self._put_off(error, "trying again for some minutes")
                self.wait(self.pause * 2 ** (attempt - 1))

    def _send(self) -> None:
        self.run.store.probe()  # a server that is away is known at once, not after MLflow's retries
        self.run.log_tables(self.folder)
        told = read_notices(self.folder)
        if told != self.described:
            self.run.set_description(told)
            self.described = told
        while self.enclosed:
            self.run.log_artifacts(self.enclosed[:1], ARTIFACTS)
            del self.enclosed[0]
        if self.failures:
            print("the tracking store answers again: all figures are sent", file=sys.stderr)
        self.failures, self.not_before = 0, 0.0

    def _put_off(self, error: TrackingError, meanwhile: str = "training goes on") -> None:
        """Tell of the first of several failures."""
        if self.failures == 0:
            print(f"{error}; {meanwhile}, figures wait in {self.folder}", file=sys.stderr)
        pause = min(LONGEST_PAUSE, self.pause * 2 ** min(self.failures, 16))
        self.not_before = time.monotonic() + pause
        self.failures += 1
