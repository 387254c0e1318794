"""What people read of a reproduction: lines for the terminal, a page, a JSON for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from pipeline import pages
from pipeline.pages import cell
from pipeline.reproduction.passes import Source
from pipeline.reproduction.verdict import Change, Reproduction
from yolov2.files import write_json, write_text

SHOWN = 40
"""Rows of a table on the page; all are in the JSON."""


def write_reproduction(
    found: Reproduction, source: Source, changes: Sequence[str], folder: Path
) -> list[Path]:
    """``<run>.md`` and ``<run>.json`` in ``folder``; their paths."""
    page, data = folder / f"{source.run_id}.md", folder / f"{source.run_id}.json"
    about = {"run": source.run_id, "commit": source.commit, "dirty": bool(source.patch)}
    write_json(data, about | {"overrides": list(changes)} | asdict(found))
    write_text(page, "\n\n".join(_paragraphs(found, source, changes)) + "\n")
    return [page, data]


def lines(found: Reproduction) -> list[str]:
    """The verdict and its reasons for the terminal."""
    kinds = [change.what for change in found.changes]
    counted = [f"{kinds.count(kind)} of {kind}" for kind in dict.fromkeys(kinds)]
    said = [f"{found.verdict} (tolerance of AP {found.tolerance:g})"]
    said += [f"  {reason}" for reason in (*found.reasons, *found.outputs)]
    if counted:
        said.append(f"  other circumstances: {', '.join(counted)}")
    said += [
        f"    {change.what} {change.name}: {change.original} -> {change.repetition}"
        for change in found.changes[:10]
    ]
    return said


def _paragraphs(found: Reproduction, source: Source, changes: Sequence[str]) -> Iterator[str]:
    original, repetition = found.original, found.repetition
    yield f"# Reproduction of {cell(source.name)}: {found.verdict}"
    yield "\n".join(f"- {cell(reason)}" for reason in (*found.reasons, *found.outputs))
    dirty = " with uncommitted changes, applied from its patch" if source.patch else ""
    overridden = f"; changed by -S: `{'`, `'.join(changes)}`" if changes else ""
    yield (
        f"Run `{source.run_id}`, commit `{source.commit}`{dirty}{overridden}. Tolerance of AP"
        f" {found.tolerance:g}."
    )
    rows = [
        ["training run", original.training, repetition.training],
        ["evaluation run", original.evaluation or "-", repetition.evaluation or "-"],
        ["weights", original.weights or "not known", repetition.weights or "not known"],
    ]
    if found.ap is not None:
        rows.append([f"{original.split} AP", *(f"{value:.6f}" for value in found.ap)])
    yield pages.table(["", "original", "repetition"], [[*map(cell, row)] for row in rows])
    if found.files:
        yield "## Exported files"
        files = [[cell(name), said] for name, said in found.files.items()]
        yield pages.table(["format", "sha256"], files)
    yield "## Metrics that differ"
    yield _table(found.metrics)
    yield "## Other circumstances"
    yield _table(found.changes)


def _table(changes: Sequence[Change]) -> str:
    if not changes:
        return "None."
    rows = [
        [cell(f"{change.what} {change.name}"), cell(change.original), cell(change.repetition)]
        for change in changes[:SHOWN]
    ]
    more = f"\n\nand {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return pages.table(["", "original", "repetition"], rows) + more
