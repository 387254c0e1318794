"""Ask the served champion: ``python examples/client.py [--conf 0.5] IMAGE...`` (`make serve`)."""

import argparse
import base64
import json
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("images", nargs="+", type=Path)
parser.add_argument("--conf", type=float, help="score threshold (the model's own)")
parser.add_argument("--url", default="http://127.0.0.1:5001/invocations")
options = parser.parse_args()
headers = {"Content-Type": "application/json"}
try:
    images = [base64.b64encode(path.read_bytes()).decode() for path in options.images]
    records = [{"image": image} for image in images]
    body = {"dataframe_records": records, "params": {"conf_threshold": options.conf}}
    with urlopen(Request(options.url, json.dumps(body).encode(), headers), timeout=60) as answer:
        rows = json.load(answer)["predictions"]
except HTTPError as error:
    raise SystemExit(f"{error.code}: {json.load(error)['message']}") from None
except URLError as error:
    raise SystemExit(f"{options.url} does not answer ({error.reason}): `make serve`?") from None
except OSError as error:  # no such image
    raise SystemExit(str(error)) from None
for path, row in zip(options.images, rows, strict=True):
    for found in json.loads(row["detections"]):
        print(path, found["class_name"], f"{found['score']:.3f}", *found["box"])
