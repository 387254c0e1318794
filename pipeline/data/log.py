"""The log of what was added to a data set, and the digests of the splits that stay as they are.

A YAML file for git. ``frozen`` has the digest (``yolov2.data.table.digest``) that ``val`` and
``test`` had when they were first recorded: figures of two models can be compared only while
these hold. A batch that was let into such a split brings the digest that it has since.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.running.person import person
from pipeline.workspace.dvc_files import parse_yaml
from pipeline.workspace.git import ask_git
from yolov2.data.table import LabelTables, digest
from yolov2.files import write_text

FROZEN = ("val", "test")
HEADER = """\
# Written by `pipeline data add`; commit it. `pipeline data list` shows it.
"""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What was added at once: ``digest`` is that of its images and boxes alone.

    ``frozen`` is the digest of the whole split from then on; empty for ``train``.
    """

    name: str
    split: str
    added: str
    by: str
    source: str
    images: int
    boxes: int
    boxes_by_class: Mapping[str, int]
    skipped: int
    digest: str
    frozen: str = ""


@dataclass(frozen=True, kw_only=True)
class Log:
    """The whole file."""

    frozen: Mapping[str, str] = field(default_factory=dict)
    batches: tuple[Batch, ...] = ()

    def with_batch(self, batch: Batch) -> "Log":
        """The log with ``batch`` at the end; one of that name was never finished and goes."""
        others = tuple(known for known in self.batches if known.name != batch.name)
        return replace(self, batches=(*others, batch))

    def with_frozen(self, tables: LabelTables) -> "Log":
        """The log with ``val`` and ``test`` frozen as they are."""
        batches = tuple(replace(batch, frozen="") for batch in self.batches)
        return Log(frozen=frozen_now(tables), batches=batches)

    def expected(self, holds: Callable[[str], bool]) -> dict[str, str]:
        """The digests that ``val`` and ``test`` must have, with the batches that are there."""
        grown = {b.split: b.frozen for b in self.batches if b.frozen and holds(b.name)}
        return {**self.frozen, **grown}


def read_log(file: Path) -> Log:
    """The log, empty where there is none.

    Raises:
        ValueError: it is damaged.
    """
    try:
        content = parse_yaml(file.read_text(encoding="utf-8")) or {}
        batches = tuple(Batch(**each) for each in content.get("batches") or ())
        return Log(frozen=dict(content.get("frozen") or {}), batches=batches)
    except FileNotFoundError:
        return Log()
    except (YAMLError, TypeError, AttributeError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{file} is damaged ({reason}): restore it with `git checkout -- {file}`"
        ) from None


def write_log(file: Path, log: Log) -> None:
    """Write the log at once: a reader sees the old one or the new."""
    yaml = YAML()
    yaml.width = 4096
    stream = StringIO()
    content = asdict(log)
    yaml.dump({"frozen": content["frozen"], "batches": list(content["batches"])}, stream)
    write_text(file, HEADER + stream.getvalue())


def frozen_now(tables: LabelTables) -> dict[str, str]:
    """The digests of ``val`` and ``test`` as they are."""
    return {split: value for split, value in digest(tables).items() if split in FROZEN}


def now() -> str:
    """This moment, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def who() -> str:
    """Name and address that git knows, else the user's name."""
    name, address = ((ask_git("config", key) or "").strip() for key in ("user.name", "user.email"))
    return f"{name} <{address}>" if name and address else name or person()
