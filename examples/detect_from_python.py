"""Find objects from Python: ``python examples/detect_from_python.py WEIGHTS IMAGE...``.

WEIGHTS is a checkpoint (.pt), an exported graph (.onnx), or an address (models:/yolov2@champion).
"""

import argparse

from yolov2.detection.detect import Detector

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("weights")
parser.add_argument("images", nargs="+")
options = parser.parse_args()

detector = Detector.load(options.weights, device="auto")
# a path, bytes, a Pillow image or an array (height, width, 3) in RGB; all in one call are quickest
for image, found in zip(options.images, detector(options.images), strict=True):
    print(image, found)
    for (left, top, right, bottom), score, name in found:
        print(f"  {name} {score:.2f} from ({left:.0f}, {top:.0f}) to ({right:.0f}, {bottom:.0f})")
