"""Git, run as a program; what it knows of the work tree: commit, branch, what is not committed."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

UNTRACKED_BYTES = 5_000_000
UNTRACKED_FILES = 500
"""A patch carries new files up to these sums; beyond, it names them in a comment."""


@dataclass(frozen=True, kw_only=True)
class WorkTree:
    """State of the repository around the current folder; all empty without git.

    ``patch`` turns the commit into the work tree (``git apply``); it is empty when they are
    equal. Files that git ignores and ``dvc.lock``, which every run rewrites, do not count.
    """

    commit: str | None = None
    branch: str | None = None
    patch: str = ""


def read_work_tree() -> WorkTree:
    """Commit, branch and patch of the current folder's repository.

    Raises:
        ValueError: there is a commit, but git cannot tell what differs from it.
    """
    commit = ask_git("rev-parse", "HEAD")
    if commit is None:
        return WorkTree()
    branch = git(Path(), "branch", "--show-current").strip()
    return WorkTree(commit=commit.strip(), branch=branch or None, patch=_patch())


def _patch() -> str:
    """Tracked changes and new files as one patch that git can apply."""
    here = Path()
    listed = git(here, "ls-files", "--others", "--exclude-standard", "-z", ":/")
    new = [n for n in listed.split("\0") if n and not n.endswith("/") and Path(n).is_file()]
    new = [name for name in new if Path(name).name != "dvc.lock"]
    kept = _within_limits(new)
    notes = [f"# new file not in this patch: {name}\n" for name in new if name not in kept]
    with tempfile.TemporaryDirectory() as folder:
        # a copy of the index, so that new files show in the diff and the real one is untouched
        index = Path(folder) / "index"
        real = Path(git(here, "rev-parse", "--git-path", "index").strip())
        if real.is_file():
            shutil.copyfile(real, index)
        if kept:
            git(here, "add", "--intent-to-add", "--", *kept, index=index)
        exclude = ":(top,exclude,glob)**/dvc.lock"
        diff = git(here, "diff", "HEAD", "--binary", "--", ":/", exclude, index=index)
    return "".join(notes) + diff


def _within_limits(names: list[str]) -> set[str]:
    """The smallest of the files, as many as the limits allow."""
    total = 0
    kept = set()
    for name in sorted(names, key=lambda n: Path(n).stat().st_size)[:UNTRACKED_FILES]:
        total += Path(name).stat().st_size
        if total > UNTRACKED_BYTES:
            break
        kept.add(name)
    return kept


def ask_git(*arguments: str) -> str | None:
    """What git prints; None where it has no answer: no git, no repository, before a commit."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True)
    except FileNotFoundError:
        return None
    # surrogates keep bytes that are not UTF-8 (a patch of a Latin-1 file) until they are written
    return done.stdout.decode(errors="surrogateescape") if done.returncode == 0 else None


def git(folder: Path, *arguments: str, index: Path | None = None) -> str:
    """What ``git ARGUMENTS`` prints in ``folder``, with another file as its ``index``.

    Raises:
        ValueError: it failed, or there is no git; its own words.
    """
    own = os.environ | ({"GIT_INDEX_FILE": str(index)} if index else {})
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, env=own)
    except FileNotFoundError:
        raise ValueError("git is not installed: a run's code comes from its repository") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="replace").split()) or "no reason given"
        raise ValueError(f"`git {' '.join(arguments)}` failed: {said}")
    return done.stdout.decode(errors="surrogateescape")
