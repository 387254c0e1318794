"""What validation finds: problems, each with file, line, value, what is wrong, what to do."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from yolov2.config.data import KINDS, EdgePolicy, Kind, policies_of

VALUE_LIMIT = 48
"""Characters of a value that a table shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One mistake in the data.

    ``file`` is relative to the data root, ``line`` 1-based (``None``: the file as a whole),
    ``value`` what stands there, ``advice`` what to do.
    """

    kind: Kind
    policy: EdgePolicy
    file: str
    line: int | None
    value: str
    message: str
    advice: str

    @property
    def where(self) -> str:
        """``file:line``, or ``file``."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


class DataError(ValueError):
    """The data has problems whose policy is ``error``; the text is a table of these.

    ``problems`` are all that were found, those that do not stop included.
    """

    def __init__(self, problems: Sequence[Problem], report: str | None = None) -> None:
        self.problems = tuple(problems)
        stopping = errors(problems)
        kinds = Counter(problem.kind for problem in stopping)
        listing = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
        clips = "clip" in policies_of(stopping[0].kind)
        super().__init__(
            f"the data has mistakes ({listing}):\n{format_problems(stopping, report=report)}\n"
            "Correct them, or choose what happens to them in the section validate of params.yaml"
            f" ({stopping[0].kind}: {'clip, ' if clips else ''}warn, drop or ignore)"
        )


def errors(problems: Sequence[Problem]) -> list[Problem]:
    """The problems that stop: those whose policy is ``error``."""
    return [problem for problem in problems if problem.policy == "error"]


def count_kinds(problems: Sequence[Problem]) -> dict[Kind, int]:
    """How many problems there are of each kind that occurs, in the order of ``KINDS``."""
    counts = Counter(problem.kind for problem in problems)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def format_problems(problems: Sequence[Problem], limit: int = 50, report: str | None = None) -> str:
    """A table ``file:line  value  what is wrong  what to do`` for terminals.

    At most ``limit`` problems are shown; a last line counts the others and, where ``report``
    names a file, says that they are there.
    """
    rows = [("file:line", "value", "what is wrong", "what to do")]
    for problem in problems[:limit]:
        value = _plain(problem.value)
        if len(value) > VALUE_LIMIT:
            value = value[: VALUE_LIMIT - 1] + "…"
        rows.append((_plain(problem.where), value, problem.message, problem.advice))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    ]
    if len(problems) > limit:
        where = f" in {report}" if report else ""
        lines.append(f"… and {len(problems) - limit} more{where}")
    return "\n".join(lines)


def format_notes(notes: Sequence[str], limit: int = 10) -> list[str]:
    """A line for each of the first ``limit`` notes, and one that counts the others."""
    lines = [f"note: {_plain(note)}" for note in notes[:limit]]
    return [*lines, f"note: … and {len(notes) - limit} more"] if len(notes) > limit else lines


def _plain(text: str) -> str:
    """``text`` with its control characters written out: safe for a terminal, on one line."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
