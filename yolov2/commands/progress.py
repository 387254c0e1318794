"""Progress bars: on a terminal only, on standard error, gone when done."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def bar(
    items: Iterable[T], *, desc: str = "", unit: str = "batch", total: int | None = None
) -> Iterable[T]:
    """``items``, with a bar while they are taken where standard error is a terminal."""
    if not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    return tqdm(items, desc=desc, total=total, unit=unit, leave=False)


@contextmanager
def counter(*, desc: str, unit: str) -> Iterator[Callable[[int, int], None] | None]:
    """What to call with how many are done of how many; ``None`` where there is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(desc=desc, unit=unit, leave=False) as shown:

        def update(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield update


def announce(line: str) -> None:
    """Print to standard error without tearing a bar apart."""
    if not sys.stderr.isatty():
        # in one piece, as other threads announce too
        print(f"{line}\n", end="", file=sys.stderr, flush=True)
        return
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)
