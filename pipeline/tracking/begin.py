"""``python -m pipeline.tracking.begin FOLDER``: what is known when a stage starts.

Started by the stage, in its folder, before it computes. Reads on standard input what only the stage
knows (name, command, settings), adds commit, patch, digests of inputs, versions and machine, and
writes the recording's ``start.json``.
"""

import json
import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from uuid import uuid4

from pipeline.running import processes
from pipeline.running.entry import run_stage
from pipeline.running.recorder import START, read
from pipeline.workspace.identity import collect_identity
from yolov2.files import write_json


def main() -> None:
    """Begin the recording that the command line names; one that goes on keeps its ``id``.

    MLflow knows the run by it.
    """
    folder, about = Path(sys.argv[1]), json.load(sys.stdin)
    identity = collect_identity(about["stage"])
    hardware = {**identity.hardware, **about.pop("hardware")}
    identity = replace(identity, hardware=hardware, command=about.pop("command"))
    content = {
        "id": read(folder, START).get("id") or uuid4().hex,
        "began": time.time(),
        "process": processes.mark(os.getppid()),
        "identity": asdict(identity),
    }
    write_json(folder / START, content | about)


if __name__ == "__main__":
    run_stage(main)
