"""``pipeline params``."""

import argparse
from pathlib import Path

from yolov2.command_line import add_branch

SUMMARY = "write a preset into params.yaml, check it, or move it to this version"
DESCRIPTION = """\
Write a preset into params.yaml, check the file that is there, or move the keys of an older version
to where they are now.
"""
EXAMPLE = """\
example:
  pipeline params use own --data ../blood/data.yaml --hours 3
  pipeline params upgrade
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline params``."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    use = add_branch(
        commands,
        "use",
        help="write a preset into params.yaml (the old file is kept as params.yaml.bak)",
        example="pipeline params use own --data my/data.yaml --hours 3",
        more="Sections that no recipe decides (validate, tracking, promote, flows, schedule) stay"
        " as they were set. For `own` some real training steps are timed, about half a minute.",
    )
    use.add_argument(
        "preset",
        choices=("own", "full", "demo"),
        help="own: what learns most from own images, sized by them and this machine; full: the"
        " published recipe for the full network; demo: the embedded digits",
    )
    use.add_argument("--data", type=Path, help="description of the data set (Ultralytics form)")
    use.add_argument(
        "--hours", type=float, metavar="H", help="own: what can be trained in this time"
    )
    use.add_argument(
        "--no-timing", action="store_true", help="own: choose by the data alone, say no duration"
    )
    add_branch(
        commands,
        "check",
        help="read params.yaml and say what is wrong, if anything",
        example="pipeline params check",
    )
    add_branch(
        commands,
        "upgrade",
        help="move keys of version 0.1 to where they are now (params.yaml.bak is kept)",
        example="pipeline params upgrade",
    )


def run(args: argparse.Namespace) -> None:
    """Do it."""
    from pipeline.params.schema import load
    from pipeline.params.upgrade import upgrade
    from pipeline.params.use import use_preset
    from pipeline.paths import PARAMS

    if args.what == "use":
        use_preset(args.preset, args.data, hours=args.hours, timed=not args.no_timing)
    elif args.what == "upgrade":
        print(*upgrade(), sep="\n")
    else:
        load()
        print(f"{PARAMS} is right")
