"""``python -m pipeline.tracking.record FOLDER``: the run of a finished evaluation or export.

Started by the stage, which waits for it for a while. A store that does not answer is tried again
for some minutes; then the recording waits for the next program that looks for it.
"""

import sys
import time
from pathlib import Path

from pipeline.running.entry import run_stage
from pipeline.running.recorder import STORE_AWAY, is_sent
from pipeline.tracking.address import UnreachableError
from pipeline.tracking.follow import follow
from pipeline.tracking.recordings import Recording, alone, record, try_to_send

PAUSES = (5.0, 15.0, 30.0, 60.0, 120.0)


def main() -> int:
    """Record the folder that the command line names, then what else is waiting."""
    folder = Path(sys.argv[1])
    with alone(folder, wait=True):
        if is_sent(folder):
            return 0
        recording = Recording.open(folder)
        for pause in (*PAUSES, None):
            try:
                record(recording)
                break
            except UnreachableError as error:
                if pause is None:
                    print(error, file=sys.stderr)
                    return STORE_AWAY
                time.sleep(pause)
    try_to_send(follow)
    return 0


if __name__ == "__main__":
    run_stage(main)
