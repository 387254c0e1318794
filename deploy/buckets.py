"""The two buckets: made, saved to a folder, loaded from it.

    python deploy/buckets.py make
    python deploy/buckets.py save FOLDER      fetches what is new or has changed; deletes nothing
    python deploy/buckets.py load FOLDER      sends what is missing or has another size

``AWS_ENDPOINT_URL_S3``, ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY`` say where they are.
"""

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

BUCKETS = ("mlflow", "dvc")
THREADS = 8
WAIT_SECONDS = 120.0
"""How long a store that has just been started may take to answer."""


def make(client: Any) -> None:
    """Make the buckets that do not exist; waits for the store."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            known = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
            for name in BUCKETS:
                if name not in known:
                    client.create_bucket(Bucket=name)
            return
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def save(client: Any, folder: Path) -> None:
    """Fetch the objects that are not in ``folder`` as they are."""
    with ThreadPoolExecutor(THREADS) as threads:
        for bucket in BUCKETS:
            list(threads.map(partial(_fetch, client, folder, bucket), objects(client, bucket)))


def _fetch(client: Any, folder: Path, bucket: str, found: dict[str, Any]) -> None:
    file = _place(folder, bucket, found["Key"])
    changed = found["LastModified"].timestamp()
    if file.exists():
        kept = file.stat()
        if kept.st_size == found["Size"] and kept.st_mtime >= changed:
            return
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.partial")
    client.download_file(bucket, found["Key"], str(part))
    os.utime(part, (changed, changed))
    part.replace(file)


def load(client: Any, folder: Path) -> None:
    """Send the files of ``folder`` that the buckets do not have."""
    make(client)
    for bucket in BUCKETS:
        known = {found["Key"]: found["Size"] for found in objects(client, bucket)}
        root = folder / bucket
        for file in sorted(root.rglob("*")):
            key = file.relative_to(root).as_posix()
            if file.is_file() and file.suffix != ".partial" and known.get(key) != _size(file):
                client.upload_file(str(file), bucket, key)


def objects(client: Any, bucket: str) -> Iterator[dict[str, Any]]:
    """All objects of a bucket but the markers of folders."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        yield from (found for found in page.get("Contents", []) if not found["Key"].endswith("/"))


def _size(file: Path) -> int:
    return file.stat().st_size


def _place(folder: Path, bucket: str, key: str) -> Path:
    """The file for an object; a name cannot lead out of the bucket's folder."""
    root = (folder / bucket).resolve()
    place = (root / key).resolve()
    if root not in place.parents:
        raise ValueError(f"the object {key!r} of the bucket {bucket} cannot be a file")
    return place


def main() -> int:
    """Do what the command line says; 2 when it cannot be understood."""
    client = boto3.client("s3")
    match sys.argv[1:]:
        case ["make"]:
            make(client)
        case ["save", folder]:
            save(client, Path(folder))
        case ["load", folder]:
            load(client, Path(folder))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
