"""The work of ``yolov2 detect``: every input through the detector, to every output."""

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path

from yolov2.commands.detect_report import Report
from yolov2.commands.detect_show import Shower
from yolov2.commands.progress import announce, bar
from yolov2.detection.detect import Detector
from yolov2.detection.inputs.frames import count_frames
from yolov2.detection.inputs.kinds import Input, Unreadable, is_live
from yolov2.detection.outputs.coco_ids import GroundTruthIds, RunningIds
from yolov2.detection.outputs.names import Names
from yolov2.detection.outputs.whole import Unwritten
from yolov2.detection.outputs.writers import Writer, open_writers
from yolov2.detection.stream import detect_inputs


def open_outputs(
    args: argparse.Namespace,
    kinds: Sequence[str],
    inputs: Sequence[Input],
    detector: Detector,
    report: Report,
) -> AbstractContextManager[Sequence[Writer]]:
    """The outputs of ``kinds`` in the folder and with the ids that the command line names.

    What could not be written is told, and in the report.

    Raises:
        ValueError: the annotations lack an image or class, or are none.
    """
    folder, truth = Path(args.output_dir), args.annotations
    readable = [one for one in inputs if not isinstance(one, Unreadable)]
    names = [one.name for one in readable]
    ids = GroundTruthIds(Path(truth), names, detector.wanted) if truth else RunningIds()

    def tell(name: str, problem: str) -> None:
        report.add_unwritten(name)
        announce(problem)

    scores, unwritten = args.label_scores, Unwritten(tell)
    return open_writers(folder, kinds, Names(readable), ids, unwritten, label_scores=scores)


def work(
    detector: Detector,
    inputs: Sequence[Input],
    writers: Sequence[Writer],
    report: Report,
    shower: Shower | None,
) -> None:
    """Every result to every writer, to the report and to the window.

    Ctrl-C interrupts; but of a camera, which has no end, it is the end.
    """
    try:
        _work(detector, inputs, writers, report, shower)
    except KeyboardInterrupt:
        if not any(map(is_live, inputs)):
            raise


def _work(
    detector: Detector,
    inputs: Sequence[Input],
    writers: Sequence[Writer],
    report: Report,
    shower: Shower | None,
) -> None:
    with closing(detect_inputs(detector, inputs)) as results:
        for result in bar(results, total=count_frames(inputs), unit="image"):
            if isinstance(result, Unreadable):
                report.add_unreadable()
                announce(f"skipped: {result.problem}")
                continue
            if result.note:
                announce(f"note: {result.note}")
            report.add(result.detections.names)
            for write in writers:
                write(result)
            if shower is not None and not shower.show(result):
                return
