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
    """Commit, branch and patch of the current folder's repository."""
    commit = ask_git("rev-parse", "HEAD")
    if commit is None:
        return WorkTree()
    branch = ask_git("branch", "--show-current")
    return WorkTree(commit=commit.strip(), branch=(branch or "").strip() or None, patch=_patch())


def _patch() -> str:
    """Tracked changes and new files as one patch that git can apply."""
    listed = ask_git("ls-files", "--others", "--exclude-standard", "-z", ":/") or ""
    new = [n for n in listed.split("\0") if n and not n.endswith("/") and Path(n).is_file()]
    new = [name for name in new if Path(name).name != "dvc.lock"]
    kept = _within_limits(new)
    notes = [f"# new file not in this patch: {name}\n" for name in new if name not in kept]
    with tempfile.TemporaryDirectory() as folder:
        # a copy of the index, so that new files show in the diff and the real one is untouched
        index = Path(folder) / "index"
        real = Path((ask_git("rev-parse", "--git-path", "index") or "").strip())
        if real.is_file():
            shutil.copyfile(real, index)
        if kept:
            ask_git("add", "--intent-to-add", "--", *kept, index=index)
        exclude = ":(top,exclude,glob)**/dvc.lock"
        diff = ask_git("diff", "HEAD", "--binary", "--", ":/", exclude, index=index) or ""
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


def ask_git(*arguments: str, index: Path | None = None) -> str | None:
    """What git prints; None where it has no answer: no git, no repository, before a commit."""
    environment = os.environ | ({"GIT_INDEX_FILE": str(index)} if index else {})
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, env=environment)
    except FileNotFoundError:
        return None
    # surrogates keep bytes that are not UTF-8 (a patch of a Latin-1 file) until they are written
    return done.stdout.decode(errors="surrogateescape") if done.returncode == 0 else None


def git(folder: Path, *arguments: str) -> str:
    """What ``git ARGUMENTS`` prints in ``folder``.

    Raises:
        ValueError: it failed, or there is no git; its own words.
    """
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True)
    except FileNotFoundError:
        raise ValueError("git is not installed: a run's code comes from its repository") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip() or "no reason given"
        raise ValueError(f"`git {' '.join(arguments)}` failed: {said}")
    return done.stdout.decode(errors="surrogateescape")
