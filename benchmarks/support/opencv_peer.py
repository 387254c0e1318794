"""The other side of ``latency.py``: OpenCV's DNN module, in a Python that has it.

Started by ``side_by_side.peer``: a line of JSON says which ONNX file, each further line asks for
one image and is answered by its seconds. Needs opencv-python-headless and NumPy, no torch.
"""

import json
import os
import sys
import time

import cv2
import numpy as np


def main() -> None:
    """Answer repetitions until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    job = json.loads(sys.stdin.readline())
    cv2.setNumThreads(job["threads"])
    network = cv2.dnn.readNetFromONNX(job["model"])
    image = np.random.default_rng(0).random(job["shape"], dtype=np.float32)
    clock = time.process_time if job["cpu"] else time.perf_counter
    # the protocol asks for a version of torch; there is none on this side
    print(json.dumps({"torch": job["torch"]}), file=answers)
    for _ in sys.stdin:
        started = clock()
        network.setInput(image)
        network.forward()
        print(clock() - started, file=answers)


if __name__ == "__main__":
    main()
