"""The tables of a training: a row an epoch, a row every few steps, and the speed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from yolov2.files import write_text
from yolov2.runs.folder import HISTORY, SPEED, STEPS
from yolov2.training.reports import EpochReport, Event, StepReport

Row = Mapping[str, Any]


class Records:
    """Rows by the name of their file in the run folder.

    They live in the checkpoint, and the files are written from them after it, so that no file
    tells of a step that an interrupted training would repeat.
    """

    def __init__(self, rows: Mapping[str, list[Row]] | None = None) -> None:
        self.rows: dict[str, list[Row]] = {HISTORY: [], STEPS: [], SPEED: []}
        self.rows |= {name: list(each) for name, each in (rows or {}).items()}

    def add(self, event: Event) -> None:
        """Keep what a report says."""
        if isinstance(event, StepReport) and event.row is not None:
            self.rows[STEPS].append(event.row)
        if isinstance(event, EpochReport):
            self.rows[HISTORY].append(event.history_row())
            self.rows[SPEED].append(event.speed_row())

    def write(self, folder: Path) -> None:
        """Write the files, each as a whole."""
        for name, rows in self.rows.items():
            if rows:
                _write_rows(folder / name, rows)


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line an epoch as CSV, atomically; what an epoch did not measure stays empty."""
    write_text(path, pd.DataFrame(list(rows)).to_csv(index=False))
