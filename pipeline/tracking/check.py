"""``python -m pipeline.tracking.check``: whether runs can be stored. For stages, before they begin.

Exit status 0: the store answers; 75: it does not, and may in a minute; 1: it cannot be used.
"""

import sys

from pipeline.params.reading import read_section
from pipeline.params.tracking import TrackingConfig
from pipeline.running.entry import run_stage
from pipeline.running.recorder import STORE_AWAY
from pipeline.tracking.address import UnreachableError
from pipeline.tracking.connection import connect


def main() -> int:
    """Open the store; it and the experiment are made if they are not there."""
    try:
        connect(read_section("tracking", TrackingConfig).experiment)
    except UnreachableError as error:
        print(error, file=sys.stderr)
        return STORE_AWAY
    return 0


if __name__ == "__main__":
    run_stage(main)
