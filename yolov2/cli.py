"""The command ``yolov2``: which subcommands there are, and how each of them ends.

Nothing heavy is imported before a subcommand runs: ``--help`` has to answer at once.

Exit status: 0 done; 1 done, but something was wrong with the input (unreadable images, mistakes
in labels); 2 could not be done; 130 interrupted; 143 terminated.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from yolov2.command_line import Parser
from yolov2.commands import anchors, detect, evaluate, export, info, preview, train, validate
from yolov2.commands.options import HelpFormatter
from yolov2.termination import Terminated

DESCRIPTION = """\
YOLOv2, the object detector: train it on a data set in the Ultralytics form, find objects in
images with it, measure and export it.
"""

EPILOG = """\
the usual way:
  yolov2 validate --data my/data.yaml           are the labels in order?
  yolov2 train    --data my/data.yaml           a run folder with best.pt
  yolov2 evaluate --data my/data.yaml --weights runs/train/best.pt
  yolov2 detect   --source photos/    --weights runs/train/best.pt

`yolov2 COMMAND --help` explains a command and shows an example.
"""

COMMANDS = (train, detect, evaluate, export, anchors, validate, preview, info)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; a subcommand's function is in ``run``."""
    parser = Parser(
        prog="yolov2", description=DESCRIPTION, epilog=EPILOG, formatter_class=HelpFormatter
    )
    shared = Parser(add_help=False)
    shared.add_argument(
        "--traceback",
        action="store_true",
        default=bool(os.environ.get("YOLOV2_DEBUG")),
        help="show where in the code an error arose (also: YOLOV2_DEBUG=1)",
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.__name__.rpartition(".")[2],
            help=command.SUMMARY,
            description=command.DESCRIPTION,
            epilog=command.EXAMPLE,
            formatter_class=HelpFormatter,
            parents=[shared],
        )
        command.add_options(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: this process's); the exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except Terminated as error:
        print(f"yolov2 {args.command}: terminated", *_notes(error), file=sys.stderr)
        return 143
    except BrokenPipeError:
        # the reader of our output (head, less) has seen enough; nothing is left to flush to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        if args.traceback:
            raise
        print(f"yolov2 {args.command}: error: {_sentence(error)}", file=sys.stderr)
        return 2
    return status


def _notes(error: BaseException) -> Sequence[str]:
    """What was added to an error on its way, such as that no checkpoint could be written."""
    return getattr(error, "__notes__", ())


def _sentence(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
