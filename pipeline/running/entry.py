"""How every stage and command of the pipeline starts and ends.

A mistake that a person can make ends as one readable line on standard error and a non-zero
exit status; a mistake of ours keeps its traceback. What DVC has started also leaves a record of
its failure (``pipeline/running/failure.py``).
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pipeline.running import failure
from yolov2.termination import Terminated, terminable

TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
"""What keeps DVC, MLflow, ONNX Runtime, Prefect and Great Expectations from calling out."""


STAGE_VARIABLE = "DVC_STAGE"
"""Environment variable that DVC sets: the name of the stage."""
RECORD_VARIABLE = "PIPELINE_FAILURE_RECORD"
"""The same for a command that a flow starts without DVC."""


def run_stage(main: Callable[[], int | None], *, options: bool = True) -> None:
    """Run ``main`` and leave the process with its exit status.

    A program without ``options`` refuses any: who asks a stage for ``--help`` wants no training.

    ``ValueError`` and ``OSError`` are what a person can cause: printed as one line, status 1.
    Ctrl-C ends with 130 and SIGTERM with 143, both after the open files, runs and locks were
    closed by the code they unwind.
    """
    for name, value in TELEMETRY_OFF.items():
        os.environ.setdefault(name, value)
    try:
        if not options:
            _refuse(sys.argv[1:])
        with terminable(), recorded(_recorded_as()):
            status = main() or 0
    except (ValueError, OSError) as error:
        if os.environ.get("YOLOV2_DEBUG"):
            raise
        _say(f"error: {error}", error)
        status = 1
    except KeyboardInterrupt as error:
        _say("interrupted", error)
        status = 130
    except Terminated as error:
        _say("terminated", error)
        status = 143
    sys.exit(status)


def _refuse(arguments: Sequence[str]) -> None:
    if arguments:
        raise ValueError(
            f"a stage takes no arguments ({arguments[0]}): what it does is said in params.yaml, and"
            " `pipeline --help` lists the commands for people"
        )


def _recorded_as() -> str | None:
    return os.environ.get(RECORD_VARIABLE) or os.environ.get(STAGE_VARIABLE)


@contextmanager
def recorded(stage: str | None) -> Iterator[None]:
    """Keep the failure record of ``stage`` while the block runs; nothing without a stage.

    Of a training with several processes the first one says how it ended, any why it failed.
    """
    if not stage:
        yield
        return
    first = int(os.environ.get("RANK", "0")) == 0
    if first:
        failure.begin(stage)
    try:
        yield
    except BaseException as error:
        failure.note(stage, error)
        raise
    if first:
        failure.clear(stage)


def _say(what: str, error: BaseException) -> None:
    print(what, *getattr(error, "__notes__", ()), file=sys.stderr)
