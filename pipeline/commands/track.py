"""``pipeline track``."""

import argparse
from pathlib import Path

from yolov2.command_line import add_branch

SUMMARY = "runs that MLflow could not follow while they happened"
DESCRIPTION = """\
Runs that MLflow could not follow while they happened: of a machine without MLflow, of a time when
the store was away, of processes that were killed.
"""
EXAMPLE = """\
example:
  pipeline track import runs/a     a folder of `yolov2 train`; a second import adds nothing
  pipeline track send              what stages have left while the store was away
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline track``."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    command = add_branch(
        commands,
        "import",
        help="make runs of a run folder",
        example="pipeline track import runs/a",
        more="A second import adds nothing.",
    )
    command.add_argument("folder", type=Path, help="what `yolov2 train --save-dir` named")
    add_branch(
        commands,
        "send",
        help="tell MLflow what stages have left in this folder",
        example="pipeline track send",
        more="So do the next stage that is recorded and every command that needs a run.",
    )
    add_branch(
        commands,
        "reap",
        help="mark runs as KILLED whose process on this machine is gone",
        example="pipeline track reap",
    )


def run(args: argparse.Namespace) -> None:
    """Do it, a line for each run."""
    from pipeline.params.reading import read_section
    from pipeline.params.tracking import TrackingConfig
    from pipeline.tracking.connection import connect
    from pipeline.tracking.follow import follow
    from pipeline.tracking.imports import import_folder
    from pipeline.tracking.reap import reap
    from pipeline.tracking.recordings import send_pending

    config = read_section("tracking", TrackingConfig)
    if args.what == "import":
        print(*import_folder(config, args.folder), sep="\n")
    elif args.what == "send":
        print("\n".join(send_pending(follow)) or "nothing waits to be sent")
    else:
        store = connect(config.experiment)
        ended = reap(store.client, store.experiment_id)
        print("\n".join(f"run {run_id}: KILLED" for run_id in ended) or "no run to end")
