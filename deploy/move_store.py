"""``python -m deploy.move_store``: MLflow's store, from sqlite into an empty PostgreSQL database.

MLflow makes the tables itself; then every row is copied in one transaction, so that a move that
fails leaves the new database empty and the old store is only ever read. Runs that are at work
meanwhile are not followed: stop them first. Files stay where they are, or go to ``--artifacts``.
"""

import argparse
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from deploy.store_copy import move
from pipeline.running.entry import run_stage
from pipeline.tracking import address
from pipeline.tracking.address import TrackingError, without_password
from pipeline.tracking.model_files import copy_tree

PROXIED = "mlflow-artifacts:"
PASSWORD = "PGPASSWORD"
"""Environment variable, the one of PostgreSQL's own programs."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Move the store as the command line says."""
    chosen = _parsed(arguments)
    source = _source()
    root = address.artifact_location(f"{address.SQLITE}{source}")
    new = _as_uri(chosen.artifacts)
    with snapshot(source) as copy:
        counts = count_rows(copy)
        total = sum(counts.values())
        print(f"{source}: {counts['runs']} runs, {counts['metrics']} metrics, {total} rows in all")
        if chosen.dry_run:
            return
        if new and not chosen.no_copy:
            copy_tree(Path(str(root).removeprefix("file://")), new)
        move(copy, with_password(chosen.to), {str(root): new} if new else {})
    print(f"moved to {without_password(chosen.to)}; {source} is as it was")
    print("next: mlflow server --backend-store-uri THAT ADDRESS ... and its address as")
    print("      MLFLOW_TRACKING_URI where the pipeline runs")


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.move_store",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: PGPASSWORD=secret python -m deploy.move_store"
        " --to postgresql+pg8000://me@db/mlflow --artifacts s3://bucket/mlflow",
    )
    parser.add_argument(
        "--to",
        required=True,
        metavar="URI",
        help="the empty database; its password may be PGPASSWORD",
    )
    parser.add_argument(
        "--artifacts",
        metavar="URI",
        help="where the files go, and where the store will say that they are: a folder, s3://...",
    )
    parser.add_argument(
        "--no-copy",
        action="store_true",
        help="the files are, or will be, brought there by other means (for mlflow-artifacts:/...)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be moved")
    chosen = parser.parse_args(arguments)
    if chosen.artifacts and chosen.artifacts.startswith(PROXIED) and not chosen.no_copy:
        parser.error(
            f"{PROXIED} names a server's own folder or bucket: copy mlartifacts/ there"
            " (`aws s3 sync mlartifacts s3://BUCKET/...`), then use --no-copy"
        )
    return chosen


def with_password(uri: str) -> str:
    """The address with the password of ``PGPASSWORD`` where it has none itself.

    In a command line a password is seen by everybody on the machine, and kept by the shell.
    """
    from sqlalchemy import make_url

    password = os.environ.get(PASSWORD)
    parts = urlsplit(uri)
    if not password or parts.password or not parts.scheme.startswith("postgresql"):
        return uri
    return make_url(uri).set(password=password).render_as_string(hide_password=False)


def _source() -> Path:
    uri = address.tracking_uri()
    file = address.database_file(uri)
    if file is None or not file.is_file():
        raise TrackingError(
            f"{without_password(uri)} is no sqlite file: only such a store is moved (unset"
            " MLFLOW_TRACKING_URI for this project's own, or set it to sqlite:///FILE)"
        )
    return file


def _as_uri(place: str | None) -> str:
    """A folder's path as a URI without a slash at its end; empty for none."""
    if not place:
        return ""
    if "://" in place or place.startswith(PROXIED):
        return place.rstrip("/")
    return Path(place).resolve().as_uri()


@contextmanager
def snapshot(file: Path) -> Iterator[Path]:
    """A consistent copy of a sqlite file, whoever writes into it meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "store.db"
        source = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
        target = sqlite3.connect(copy)
        try:
            source.backup(target)
        finally:
            target.close()
            source.close()
        yield copy


def count_rows(file: Path) -> dict[str, int]:
    """Rows of every table of a sqlite file."""
    database = sqlite3.connect(file)
    try:
        names = database.execute("select name from sqlite_master where type = 'table'").fetchall()
        return {
            name: database.execute(f'select count(*) from "{name}"').fetchone()[0]
            for (name,) in names
        }
    finally:
        database.close()


if __name__ == "__main__":
    run_stage(main)
