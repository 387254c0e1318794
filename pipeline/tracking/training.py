"""The MLflow run of a training: its curves come from the tables of the run folder."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.tracking import layout
from pipeline.tracking.store import Store, TimedRow, now
from yolov2.runs.folder import HISTORY, SPEED, STEPS

WEIGHTS_TAG = "weights_sha256"
"""Tag of a training: ``weights_hash`` of its best checkpoint."""

TABLES = {
    HISTORY: ("train/loss", layout.history_metrics),
    SPEED: ("train/images_per_second", layout.speed_metrics),
    STEPS: ("step/loss", layout.step_metrics),
}
"""Tables of a run folder: the curve that each row has a point of, and how its rows read."""


@dataclass(kw_only=True)
class TrainingRun:
    """The run of a training that is going on; ``model_id`` is its model, files follow later.

    ``newest`` is the last step of each curve that the store is known to have, and ``seen`` the
    milliseconds since the epoch at which each row was first to be sent. ``status`` is what the run
    is left with.
    """

    store: Store
    run_id: str
    model_id: str
    newest: dict[str, int] = field(default_factory=dict)
    seen: dict[tuple[str, int], int] = field(default_factory=dict)
    status: str = "FINISHED"

    def log_tables(self, folder: Path) -> None:
        """Add the rows of a run folder's tables that the run does not have yet.

        Raises:
            TrackingError: the store does not answer; nothing is lost, call it again.
        """
        self._log({name: folder / name for name in TABLES if (folder / name).exists()})

    def log_history(self, history: Path) -> None:
        """Add the epochs of a ``history.csv``, by whatever name, that the run lacks."""
        self._log({HISTORY: history})

    def log_artifacts(self, paths: Iterable[Path], folder: str) -> None:
        """Store files under ``folder`` of the run, as they lie below their common folder."""
        self.store.log_files(self.run_id, layout.placed(paths, folder))

    def mark(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run."""
        self.store.set_tags(self.run_id, tags)

    def set_description(self, text: str) -> None:
        """Put ``text`` where MLflow's page shows the run's description; of a long one the end."""
        if len(text) > layout.DESCRIPTION_LENGTH:
            text = "…" + text[1 - layout.DESCRIPTION_LENGTH :]
        self.store.set_tags(self.run_id, {"mlflow.note.content": text})

    def _log(self, files: Mapping[str, Path]) -> None:
        rows: list[TimedRow] = []
        newest = {}
        for name, file in files.items():
            curve, read = TABLES[name]
            # a row is stored as a whole or not at all, so its curve tells which rows are there
            newest[curve] = self._newest(curve)
            for step, metrics in read(file, newest[curve]):
                # a row that is sent again is the same to the last bit: a call that was taken for
                # lost, but arrives after all, then adds nothing
                at = self.seen.setdefault((curve, step), now())
                rows.append((step, metrics, at))
                newest[curve] = step
        self.newest.clear()  # until the call has returned, nobody knows
        self.store.log_metrics(self.run_id, rows)
        self.newest.update(newest)
        self.seen.clear()

    def _newest(self, curve: str) -> int:
        known = self.newest.get(curve)
        return self.store.newest_step(self.run_id, curve) if known is None else known
