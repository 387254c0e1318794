"""What of the environment is missing or odd: each finding with its remedy. Nothing is changed."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import psutil

from pipeline.paths import project_root
from pipeline.tracking.address import TrackingError, database_file, probe, tracking_uri
from pipeline.workspace.dvc import cache_of
from pipeline.workspace.git import ask_git

State = Literal["good", "odd", "bad"]
BAD: State = "bad"
MARKS = {"good": "✓", "odd": "!", "bad": "✗"}
LOCK = Path("requirements.lock")
SHARED_MEMORY = 512 * 2**20
"""Bytes of /dev/shm below which loader workers may not find room for their batches."""
FREE_DISK = 5 * 2**30


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What one look has found: would it fail (``bad``) or surprise (``odd``), and the remedy."""

    subject: str
    state: State
    text: str
    remedy: str = ""


def examine() -> list[Diagnosis]:
    """All findings, in the order of a person's questions."""
    looks: tuple[Callable[[], Iterator[Diagnosis]], ...] = (
        _git,
        _dvc,
        _store,
        _versions,
        _shared_memory,
        _disk,
        _threads,
    )
    return [finding for look in looks for finding in look()]


def render(found: list[Diagnosis]) -> str:
    """A line each, remedies below."""
    lines = []
    for each in found:
        lines.append(f"{MARKS[each.state]} {each.subject}: {each.text}")
        if each.remedy:
            lines.append(f"    {each.remedy}")
    return "\n".join(lines)


def _git() -> Iterator[Diagnosis]:
    if shutil.which("git") is None:
        yield Diagnosis(subject="git", state=BAD, text="not installed", remedy="install git")
        return
    if ask_git("rev-parse", "--verify", "HEAD") is None:
        yield Diagnosis(
            subject="git",
            state=BAD,
            text="this folder is no repository with a commit, so no run knows its code",
            remedy="git init && git add -A && git commit",
        )
        return
    name, mail = ((ask_git("config", f"user.{key}") or "").strip() for key in ("name", "email"))
    if name and mail:
        yield Diagnosis(subject="git", state="good", text=f"commits as {name}")
    else:
        yield Diagnosis(
            subject="git",
            state="odd",
            text="it knows no name, which experiments need for their commits",
            remedy="git config user.name NAME && git config user.email MAIL",
        )


def _dvc() -> Iterator[Diagnosis]:
    root = project_root()
    if not (root / ".dvc").is_dir():
        text = f"{root} is no DVC repository"
        yield Diagnosis(subject="DVC", state=BAD, text=text, remedy="run in the project's root")
        return
    try:
        cache = cache_of(root, dict(os.environ))
    except ValueError as error:
        remedy = "activate the environment: source .venv/bin/activate"
        yield Diagnosis(subject="DVC", state=BAD, text=str(error), remedy=remedy)
        return
    if cache.exists() and not os.access(cache, os.W_OK):
        text, remedy = f"its cache {cache} cannot be written", f"chown or chmod {cache}"
        yield Diagnosis(subject="DVC", state=BAD, text=text, remedy=remedy)
    else:
        yield Diagnosis(subject="DVC", state="good", text=f"cache {cache}")


def _store() -> Iterator[Diagnosis]:
    try:
        uri = tracking_uri()
        file = database_file(uri)
        if file is None:
            probe(uri)
        else:
            place = file if file.exists() else file.parent
            if not os.access(place, os.W_OK):
                text, remedy = f"{place} cannot be written", f"chown or chmod {place}"
                yield Diagnosis(subject="MLflow", state=BAD, text=text, remedy=remedy)
                return
    except TrackingError as error:
        yield Diagnosis(subject="MLflow", state=BAD, text=str(error))
        return
    where = "answers" if file is None else str(file) + ("" if file.exists() else " (not made yet)")
    yield Diagnosis(subject="MLflow", state="good", text=where)


def _versions() -> Iterator[Diagnosis]:
    """Packages that are not what ``requirements.lock`` says."""
    lock = project_root() / LOCK
    if not lock.is_file():
        return
    other = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        name, sign, wanted = line.partition("==")
        if not sign or line.startswith("#"):
            continue
        try:
            here = version(name)
        except PackageNotFoundError:
            here = "missing"
        if here != wanted:
            other.append(f"{name} {here} instead of {wanted}")
    if other:
        more = f" and {len(other) - 5} more" if len(other) > 5 else ""
        text = f"not those of {LOCK}: {', '.join(other[:5])}{more}"
        remedy = (
            f"pip install -r {LOCK}, or keep them knowingly: results may differ in the last bit"
        )
        yield Diagnosis(subject="packages", state="odd", text=text, remedy=remedy)
    else:
        yield Diagnosis(subject="packages", state="good", text=f"as in {LOCK}")


def _shared_memory() -> Iterator[Diagnosis]:
    place = Path("/dev/shm")
    if not place.is_dir():
        return
    size = shutil.disk_usage(place).total
    if size < SHARED_MEMORY:
        yield Diagnosis(
            subject="shared memory",
            state="odd",
            text=f"{place} has {size // 2**20} MiB, little for loader workers",
            remedy="docker run --shm-size=2g (or --ipc=host), or machine.num_workers: 0",
        )
    else:
        yield Diagnosis(subject="shared memory", state="good", text=f"{size / 2**30:.1f} GiB")


def _disk() -> Iterator[Diagnosis]:
    free = shutil.disk_usage(project_root()).free
    text = f"{free / 2**30:.1f} GiB free"
    if free < FREE_DISK:
        remedy = "`pipeline status` says what takes room and how to free it"
        yield Diagnosis(subject="disk", state="odd", text=text, remedy=remedy)
    else:
        yield Diagnosis(subject="disk", state="good", text=text)


def _threads() -> Iterator[Diagnosis]:
    cores = (
        len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else None
    )
    cores = cores or os.cpu_count() or 1
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    given = os.environ.get("OMP_NUM_THREADS", "")
    if busy > 0.75 * cores and given != "1":
        yield Diagnosis(
            subject="threads",
            state="odd",
            text=f"a load of {busy:.1f} on {cores} cores: a layer waits for its slowest thread",
            remedy="OMP_NUM_THREADS=1 (or machine.threads: 1) is faster where others compute, too",
        )
    else:
        text = f"{cores} cores, a load of {busy:.1f}" + (f", {given} threads" if given else "")
        yield Diagnosis(subject="threads", state="good", text=text)
