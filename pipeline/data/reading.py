"""The data set as it is, read for ``pipeline data``; and whether the frozen splits still are."""

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from pipeline.data.data_set import DataSet
from pipeline.data.log import Log, frozen_now
from yolov2.config.data import ValidateConfig
from yolov2.data.description import DataDescription
from yolov2.data.labels.checks import load_tables
from yolov2.data.labels.problems import errors
from yolov2.data.labels.raw_tables import Progress
from yolov2.data.table import LabelTables


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """A progress bar, on a terminal, for the time that images are read."""
    with tqdm(desc=title, disable=None, leave=False, unit="image") as shown:

        def progress(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield progress


def read_tables(description: DataDescription, rules: ValidateConfig) -> LabelTables:
    """The label tables of the data set.

    Raises:
        ValueError: it has mistakes of its own.
    """
    with bar(description.file.name) as progress:
        tables, problems = load_tables(description, rules, progress)
    if stopping := errors(problems):
        first = stopping[0]
        raise ValueError(
            f"the data set {description.file} has {len(stopping)} mistakes itself, the first at"
            f" {first.where} ({first.message}): correct them first, or choose what happens to them"
            " in the section validate of params.yaml (`dvc repro validate` lists them)"
        )
    return tables


def changed_splits(log: Log, tables: LabelTables, data: DataSet) -> list[str]:
    """The splits that are not what the log has frozen."""
    current, expected = frozen_now(tables), log.expected(data.holds)
    return [split for split, digest in expected.items() if current.get(split) != digest]


def refuse_changed(log: Log, tables: LabelTables, data: DataSet) -> None:
    """Raise ``ValueError`` if val or test is not what it was when it was frozen."""
    changed = changed_splits(log, tables, data)
    if changed:
        raise ValueError(
            f"{' and '.join(changed)} of {data.now.file} changed since {data.log} recorded"
            f" {'them' if len(changed) > 1 else 'it'}: restore the images and labels (`git log --"
            f" {data.log}`, `dvc checkout`), or accept {'them' if len(changed) > 1 else 'it'} as"
            " the new measure with --new-test-split"
        )
