"""The other side of ``input_pipeline.py``: Ultralytics' data set, by its public interface.

Started by ``side_by_side.peer``: a line of JSON says what to do, each further line asks for the
next images, epoch after epoch, and is answered by the seconds of processor time. Run by a Python
that has ultralytics 8.4, which is no part of this project (AGPL-3.0).
"""

import json
import os
import random
import sys
import time

import cv2
import torch
from ultralytics.cfg import get_cfg
from ultralytics.data.dataset import YOLODataset


def main() -> None:
    """Answer repetitions until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    job = json.loads(sys.stdin.readline())
    torch.set_num_threads(job["threads"])
    cv2.setNumThreads(job["threads"])
    names = dict(enumerate(job["names"]))
    dataset = YOLODataset(
        img_path=job["images"],
        imgsz=job["side"],
        batch_size=job["batch"],
        augment=True,
        hyp=get_cfg(overrides=job["settings"]),
        data={"names": names, "nc": len(names), "channels": 3},
        task="detect",
    )
    order: list[int] = []
    print(json.dumps({"torch": torch.__version__}), file=answers)
    for _ in sys.stdin:
        while len(order) < job["count"]:
            order += random.sample(range(len(dataset)), len(dataset))
        turn, order = order[: job["count"]], order[job["count"] :]
        started = time.process_time()
        for index in turn:
            dataset[index]
        print(time.process_time() - started, file=answers)


if __name__ == "__main__":
    main()
