"""Every row of one MLflow store copied into another, empty one, in a single transaction."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from pipeline import store_address
from pipeline.mlflow_connection import make_tables
from pipeline.store_address import TrackingError, without_password

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData, Table

ROWS_A_CALL = 2000
VERSION = "alembic_version"
OCCUPIED = ("runs", "registered_models", "logged_models")
"""Tables that are empty in a store in which nobody has worked."""
PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
"""Columns that say where files lie."""


def move(file: Path, target: str, places: Mapping[str, str]) -> None:
    """Copy every row of the sqlite store ``file`` into the empty store ``target``.

    ``places`` maps starts of URIs of files to new ones.

    Raises:
        TrackingError: the target cannot be used, is not empty, or has another schema.
    """
    from sqlalchemy import MetaData, create_engine
    from sqlalchemy.exc import SQLAlchemyError

    make_tables(target)
    engines = create_engine(f"{store_address.SQLITE}{file}"), create_engine(target)
    try:
        with engines[0].connect() as source, engines[1].begin() as sink:
            tables = MetaData()
            tables.reflect(sink)
            _require_equal_schema(source, sink, tables)
            _require_empty(sink, tables, target)
            _copy(source, sink, tables, places)
            _set_sequences(sink, tables)
    except SQLAlchemyError as error:
        raise store_address.unusable(target, error) from error
    finally:
        for engine in engines:
            engine.dispose()


def _require_equal_schema(source: "Connection", sink: "Connection", tables: "MetaData") -> None:
    from sqlalchemy import select

    old, new = (set(c.scalars(select(tables.tables[VERSION].c[0]))) for c in (source, sink))
    if old != new:
        raise TrackingError(
            f"the store is of another version of MLflow (schema {', '.join(old)}, here"
            f" {', '.join(new)}): back it up, then `mlflow db upgrade sqlite:///FILE`"
        )


def _require_empty(sink: "Connection", tables: "MetaData", target: str) -> None:
    for name in OCCUPIED:
        if _count(sink, tables.tables[name]):
            raise TrackingError(
                f"{without_password(target)} has {name.replace('_', ' ')} already: name an empty"
                " database (`createdb NAME`)"
            )


def _count(connection: "Connection", table: "Table") -> int:
    from sqlalchemy import func, select

    return int(connection.scalar(select(func.count()).select_from(table)) or 0)


def _copy(
    source: "Connection", sink: "Connection", tables: "MetaData", places: Mapping[str, str]
) -> None:
    """All rows, parents before children; what MLflow put into its new tables goes first."""
    from sqlalchemy import select

    ordered = [table for table in tables.sorted_tables if table.name != VERSION]
    for table in reversed(ordered):
        sink.execute(table.delete())
    counts = {table.name: _count(source, table) for table in ordered}
    with tqdm(total=sum(counts.values()), unit="row", desc="moving") as progress:
        for table in ordered:
            rows = source.execution_options(stream_results=True).execute(select(table)).mappings()
            for part in rows.partitions(ROWS_A_CALL):
                sink.execute(
                    table.insert(), [_moved(table.name, dict(row), places) for row in part]
                )
                progress.update(len(part))
    for table in ordered:
        if _count(sink, table) != counts[table.name]:
            raise TrackingError(f"not all rows of {table.name} arrived: the move was undone")


def _moved(table: str, row: dict[str, object], places: Mapping[str, str]) -> dict[str, object]:
    """A row whose files are where ``places`` says."""
    moved = dict(row)
    for column in PLACES.get(table, ()):
        uri = str(moved[column] or "")
        for old, new in places.items():
            if uri == old or uri.startswith(f"{old}/"):
                moved[column] = new + uri.removeprefix(old)
    return moved


def _set_sequences(sink: "Connection", tables: "MetaData") -> None:
    """Let PostgreSQL count on from the highest number of each table."""
    from sqlalchemy import func, select

    if sink.dialect.name != "postgresql":
        return
    for table in tables.sorted_tables:
        for column in table.primary_key.columns:
            sequence = sink.scalar(select(func.pg_get_serial_sequence(table.name, column.name)))
            highest = sink.scalar(select(func.max(column))) if sequence else None
            if highest:
                sink.execute(select(func.setval(sequence, highest)))
