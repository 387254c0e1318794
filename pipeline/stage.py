"""How every stage and command of the pipeline starts and ends.

A mistake that a person can make ends as one readable line on standard error and a non-zero
exit status; a mistake of ours keeps its traceback.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
"""What keeps DVC, MLflow, Prefect and Great Expectations from calling out."""


class Terminated(BaseException):
    """The process was asked to end (SIGTERM): unwinds the stack so that ``finally`` runs."""


def run_stage(main: Callable[[], int | None]) -> None:
    """Run ``main`` and leave the process with its exit status.

    ``ValueError`` and ``OSError`` are what a person can cause: printed as one line, status 1.
    Ctrl-C ends with 130 and SIGTERM with 143, both after the open files, runs and locks were
    closed by the code they unwind.
    """
    for name, value in TELEMETRY_OFF.items():
        os.environ.setdefault(name, value)
    signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        status = main() or 0
    except (ValueError, OSError) as error:
        if os.environ.get("YOLOV2_DEBUG"):
            raise
        print(f"error: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    except Terminated:
        print("terminated", file=sys.stderr)
        status = 143
    sys.exit(status)


def _raise_terminated(signum: int, frame: FrameType | None) -> None:
    raise Terminated
