"""``pipeline compare A B``: which is better, by how much, and how sure is that.

A and B are MLflow runs, versions of the registered model (3, @champion) or checkpoints; several
runs of one recipe, which differ in their seed, are joined by commas. Each further one is compared
with A as well. Detections that an evaluation left are used if they are of the very data in the
work space (equal digest) by the same thresholds; otherwise the checkpoint
is evaluated anew. The pages go to
reports/compare/ and to MLflow.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tqdm import tqdm

from pipeline import paths
from pipeline.comparison.finding import find
from pipeline.comparison.measure import Bench, Measured, bench_of, measure_speed
from pipeline.comparison.page import write_page
from pipeline.params.schema import TrackingConfig, load
from pipeline.registry.references import (
    Candidate,
    download_detections,
    find_candidate,
    find_checkpoint,
)
from pipeline.running.entry import run_stage
from pipeline.tracking.runs import log_report
from yolov2.config.section import require
from yolov2.detection.detections import Detections
from yolov2.evaluation.detections_file import read_detections
from yolov2.evaluation.evaluate import evaluate_checkpoint
from yolov2.evaluation.matches import match
from yolov2.network.device import resolve_device

OUTPUT = paths.REPORTS / "compare"


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, write the pages, log them, print a line for each pair."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if len(chosen.sides) < 2:
        parser.error("name two or more to compare, for example: @champion @challenger")
    params = load()
    bench = bench_of(params, chosen.split, chosen.device)
    sides = [_find_side(params.tracking, side) for side in chosen.sides]
    # all are found before the first is measured
    measured = [
        [measure(bench, candidate, speed=chosen.speed) for candidate in side] for side in sides
    ]
    for other in measured[1:]:
        finding = find(bench, measured[0], other, resamples=chosen.resamples, seed=chosen.seed)
        folder = chosen.output_dir / finding.folder_name()
        files = write_page(finding, folder, pictures=chosen.pictures)
        run_id = log_report(
            params.tracking, "compare", finding.name(), finding.figures(), finding.tags(), files
        )
        print(finding.sentence())
        print(f"  {folder / 'comparison.html'}, MLflow run {run_id}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pipeline compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sides", nargs="+", metavar="A B", help="A, then what is held against it")
    parser.add_argument("--split", choices=("train", "val", "test"), help="default: evaluate.split")
    parser.add_argument("--resamples", type=_count(1), default=1000, metavar="N")
    parser.add_argument("--seed", type=_count(0), default=0, metavar="N", help="of the resamples")
    parser.add_argument("--pictures", type=_count(0), default=8, metavar="N", help="images to show")
    parser.add_argument(
        "--device", default=None, help="auto, cpu, cuda, cuda:1, ...; default: train.device"
    )
    parser.add_argument(
        "--no-speed", dest="speed", action="store_false", help="do not measure milliseconds"
    )
    parser.add_argument("--output-dir", type=Path, default=OUTPUT, metavar="FOLDER")
    return parser


def _count(least: int) -> Callable[[str], int]:
    """Reads a whole number of at least ``least``."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} on, not {text}")
        return int(text)

    return number


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
        num_workers=bench.params.train.num_workers,
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


if __name__ == "__main__":
    run_stage(main)
