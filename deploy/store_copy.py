"""Every row of one MLflow store copied into another, empty one, in a single transaction."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tqdm import tqdm

from pipeline.tracking import address
from pipeline.tracking.address import TrackingError, without_password
from pipeline.tracking.connection import make_tables

if TYPE_CHECKING:
    from sqlalchemy import Connection, FromClause, MetaData

ROWS_A_CALL = 2000
VERSION = "alembic_version"
GIVEN = {"experiments": "Default", "workspaces": "default"}
"""Tables in which MLflow puts a row itself, and that row's name; all others are empty at first."""
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

    _require_usable(target)
    make_tables(target)
    engines = create_engine(f"{address.SQLITE}{file}"), create_engine(target)
    try:
        with engines[0].connect() as source, engines[1].begin() as sink:
            tables = MetaData()
            tables.reflect(sink)
            _require_equal_schema(source, sink, tables)
            _require_empty(sink, tables, target)
            _copy(source, sink, tables, places)
            _set_sequences(sink, tables)
    except SQLAlchemyError as error:
        raise address.unusable(target, error) from error
    finally:
        for engine in engines:
            engine.dispose()


def _require_usable(target: str) -> None:
    """Ask at once what MLflow would ask for two minutes: the driver, the password, the tables."""
    from sqlalchemy import MetaData, create_engine
    from sqlalchemy.exc import SQLAlchemyError

    address.probe(target)
    file = address.database_file(target)
    if file is not None and not file.exists():
        return  # MLflow makes it
    try:
        engine = create_engine(target)
        with engine.connect() as sink:
            tables = MetaData()
            tables.reflect(sink)
            _require_empty(sink, tables, target)
        engine.dispose()
    except ModuleNotFoundError as error:
        raise TrackingError(
            f"there is no driver {error.name} for {without_password(target)}: pip install pg8000,"
            " and write postgresql+pg8000://USER:PASSWORD@HOST/DATABASE"
        ) from error
    except SQLAlchemyError as error:
        raise address.unusable(target, error) from error
    except AttributeError as error:
        if urlsplit(target).password:
            raise
        # pg8000 encodes a password before it asks whether there is one
        raise TrackingError(
            f"{without_password(target)} wants a password: set PGPASSWORD, or write it into the"
            " address (postgresql+pg8000://USER:PASSWORD@HOST/DATABASE)"
        ) from error


def _require_equal_schema(source: "Connection", sink: "Connection", tables: "MetaData") -> None:
    from sqlalchemy import select

    old, new = (set(c.scalars(select(tables.tables[VERSION].c[0]))) for c in (source, sink))
    if old != new:
        raise TrackingError(
            f"the store is of another version of MLflow (schema {', '.join(old)}, here"
            f" {', '.join(new)}): back it up, then `mlflow db upgrade sqlite:///FILE`"
        )


def _require_empty(sink: "Connection", tables: "MetaData", target: str) -> None:
    """Everything in the target is deleted before the copy, so nothing may be anybody's."""
    found = {t.name: _count(sink, t) for t in tables.sorted_tables if t.name != VERSION}
    for name in found.keys() & GIVEN.keys():
        table = tables.tables[name]
        found[name] = _count(sink, table.select().where(table.c.name != GIVEN[name]).subquery())
    if held := [f"{number} {name.replace('_', ' ')}" for name, number in found.items() if number]:
        more = ", ..." if len(held) > 2 else ""
        raise TrackingError(
            f"{without_password(target)} is not empty ({', '.join(held[:2])}{more}): name an empty"
            " database (`createdb NAME`)"
        )


def _count(connection: "Connection", rows: "FromClause") -> int:
    from sqlalchemy import func, select

    return int(connection.scalar(select(func.count()).select_from(rows)) or 0)


def _copy(
    source: "Connection", sink: "Connection", tables: "MetaData", places: Mapping[str, str]
) -> None:
    """All rows, parents before children; what MLflow put into its new tables goes first."""
    from sqlalchemy import literal_column, select

    ordered = [table for table in tables.sorted_tables if table.name != VERSION]
    for table in reversed(ordered):
        sink.execute(table.delete())
    counts = {table.name: _count(source, table) for table in ordered}
    with tqdm(total=sum(counts.values()), unit="row", desc="moving") as progress:
        for table in ordered:
            rows = source.execution_options(stream_results=True).execute(select(table)).mappings()
            for part in rows.partitions(ROWS_A_CALL):
                moved = [_moved(table.name, dict(row), places) for row in part]
                # RETURNING: many rows in one statement, where pg8000 would send each alone
                sink.execute(table.insert().returning(literal_column("1")), moved)
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
