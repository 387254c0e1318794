"""How every stage and command of the pipeline starts and ends.

A mistake that a person can make ends as one readable line on standard error and a non-zero
exit status; a mistake of ours keeps its traceback.
"""

import os
import sys
from collections.abc import Callable

from yolov2.termination import Terminated, terminable

TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
"""What keeps DVC, MLflow, Prefect and Great Expectations from calling out."""


def run_stage(main: Callable[[], int | None]) -> None:
    """Run ``main`` and leave the process with its exit status.

    ``ValueError`` and ``OSError`` are what a person can cause: printed as one line, status 1.
    Ctrl-C ends with 130 and SIGTERM with 143, both after the open files, runs and locks were
    closed by the code they unwind.
    """
    for name, value in TELEMETRY_OFF.items():
        os.environ.setdefault(name, value)
    try:
        with terminable():
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


def _say(what: str, error: BaseException) -> None:
    print(what, *getattr(error, "__notes__", ()), file=sys.stderr)
