"""``python -m yolov2``: the same as the ``yolov2`` command."""

import sys

from yolov2.cli import main

if __name__ == "__main__":
    sys.exit(main())
