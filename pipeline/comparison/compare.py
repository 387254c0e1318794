"""Which is better, by how much, and how sure is that: models measured on the same data.

Detections that an evaluation left are used if they are of the very data in the work space (equal
digest) by the same thresholds; otherwise the checkpoint is evaluated anew.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from pipeline import paths
from pipeline.comparison.finding import Finding, find
from pipeline.comparison.measure import Bench, Measured, Split, bench_of, measure_speed
from pipeline.comparison.page import write_page
from pipeline.params.schema import load
from pipeline.params.tracking import TrackingConfig
from pipeline.registry.references import (
    Candidate,
    download_detections,
    find_candidate,
    find_checkpoint,
)
from pipeline.tracking.follow import follow
from pipeline.tracking.recordings import send_pending
from pipeline.tracking.runs import log_report
from yolov2.config.section import require
from yolov2.detection.detections import Detections
from yolov2.evaluation.detections_file import read_detections
from yolov2.evaluation.evaluate import evaluate_checkpoint
from yolov2.evaluation.matches import match
from yolov2.network.device import resolve_device

OUTPUT = paths.REPORTS / "compare"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be compared, and how: see ``pipeline compare --help``."""

    sides: tuple[str, ...]
    split: Split | None = None
    device: str | None = None
    resamples: int = 1000
    seed: int = 0
    pictures: int = 8
    speed: bool = True
    folder: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A finding, its page, and the MLflow run that has it."""

    finding: Finding
    page: Path
    run_id: str


def compare(wanted: Wanted) -> Iterator[Compared]:
    """Compare the first side with each other one: findings, pages, a run in MLflow for each.

    Raises:
        ValueError: a side names nothing, or cannot be measured.
        TrackingError: the store cannot be used.
    """
    params = load()
    bench = bench_of(params, wanted.split, wanted.device)
    send_pending(follow, wait=True)  # a side may be a run that waits to be recorded
    sides = [_find_side(params.tracking, side) for side in wanted.sides]
    # all are found before the first is measured
    measured = [
        [measure(bench, candidate, speed=wanted.speed) for candidate in side] for side in sides
    ]
    for other in measured[1:]:
        finding = find(bench, measured[0], other, resamples=wanted.resamples, seed=wanted.seed)
        folder = (wanted.folder or OUTPUT) / finding.folder_name()
        files = write_page(finding, folder, pictures=wanted.pictures)
        run_id = log_report(
            params.tracking, "compare", finding.name(), finding.figures(), finding.tags(), files
        )
        yield Compared(finding=finding, page=folder / "comparison.html", run_id=run_id)


def _find_side(config: TrackingConfig, side: str) -> list[Candidate]:
    """The runs of one side, each named once.

    Raises:
        ValueError: none is named, or one is named twice, or one does not exist.
    """
    names = [name for name in side.split(",") if name]
    require(bool(names), f"'{side}' names no run, version or checkpoint")
    found = [find_candidate(config, name) for name in names]
    known = [one.run_id or one.reference for one in found]
    twice = next(
        (one.reference for one, key in zip(found, known, strict=True) if known.count(key) > 1), None
    )
    require(
        twice is None,
        f"{side}: {twice} is named twice, and the same run again says nothing about seeds",
    )
    return found


def measure(bench: Bench, candidate: Candidate, *, speed: bool = True) -> Measured:
    """What a candidate detects on the bench's split, and how fast it is.

    Raises:
        ValueError: it has no detections of these data, and no checkpoint that could make them.
        TrackingError: the store cannot be used.
    """
    detections = stored = _stored(bench, candidate)
    needed = stored is None or speed
    weights = find_checkpoint(bench.params.tracking, candidate) if needed else None
    if detections is None:
        if weights is None:
            raise ValueError(
                f"{candidate.name} was not evaluated on the data of this work space with its"
                " thresholds, and its checkpoint is not at hand to do that: restore it (`git"
                " checkout`, `dvc checkout`) and name the file, or register the run"
            )
        detections = _evaluate(bench, candidate, weights)
    return Measured(
        candidate=candidate,
        detections=detections,
        matches=match(bench.truth, detections, len(bench.tables.class_names)),
        evaluated_anew=stored is None,
        speed=measure_speed(weights, bench.device) if speed and weights else None,
    )


def _evaluate(bench: Bench, candidate: Candidate, weights: Path) -> Mapping[int, Detections]:
    return evaluate_checkpoint(
        weights,
        bench.tables,
        bench.root,
        bench.evaluate,
        device=resolve_device(bench.device),
        num_workers=bench.params.machine.num_workers,
        progress=partial(tqdm, desc=candidate.name, disable=None, leave=False, unit="batch"),
    ).detections


def _stored(bench: Bench, candidate: Candidate) -> Mapping[int, Detections] | None:
    """The detections that an evaluation left, if they are of the bench's very data."""
    if candidate.run_id is None or not _same_thresholds(bench, candidate):
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = download_detections(bench.params.tracking, candidate.run_id, Path(folder))
        if file is None:
            return None
        saved = read_detections(file)
    if (saved.data_digest, len(saved.detections)) != (bench.digest, len(bench.truth)):
        return None
    # equal digests are of the same images in the same order, whatever their ids
    return dict(
        zip(
            sorted(bench.truth),
            (saved.detections[i] for i in sorted(saved.detections)),
            strict=True,
        )
    )


def _same_thresholds(bench: Bench, candidate: Candidate) -> bool:
    """Whether the candidate was evaluated with the thresholds of the bench."""
    wanted = {
        f"evaluate.{name}": json.dumps(asdict(bench.evaluate)[name])
        for name in ("conf_threshold", "nms_threshold", "max_detections")
    }
    return all(candidate.parameters.get(name) == value for name, value in wanted.items())
