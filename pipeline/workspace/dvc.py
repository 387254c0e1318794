"""DVC, run as a program, and what it keeps, read by its own ``dvc.api``."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def cache_of(root: Path, environment: Mapping[str, str]) -> Path:
    """DVC's cache of the repository."""
    return Path(dvc(root, environment, "cache", "dir").strip())


def dvc(folder: Path, environment: Mapping[str, str], *arguments: str) -> str:
    """What ``dvc ARGUMENTS`` prints in ``folder``.

    Raises:
        ValueError: it failed; its own words.
    """
    done = attempt(folder, environment, *arguments)
    if done.returncode != 0:
        raise ValueError(f"`dvc {' '.join(arguments)}` in {folder} failed: {complaint(done)}")
    return done.stdout


def attempt(
    folder: Path, environment: Mapping[str, str], *arguments: str
) -> "subprocess.CompletedProcess[str]":
    """The same, when a failure is an answer, too."""
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        errors="replace",
    )


def complaint(done: "subprocess.CompletedProcess[str]") -> str:
    """DVC's error, else the last line that it has said."""
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
    return (errors or said[-1:] or ["no reason given"])[0]


def output(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """What a program prints; ``ValueError`` with the last line of its complaint where it fails."""
    done = subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise ValueError(f"`{' '.join(command[1:5])}` in {folder} failed: {said[-1]}")
    return done.stdout


def kept_file(path: Path, rev: str) -> bytes:
    """A file that DVC keeps, as it was at a commit, branch or tag.

    Raises:
        LookupError: neither cache nor remote has it, or there is no such revision; says why.
    """
    import dvc.api  # half a second

    try:
        content: bytes = dvc.api.DVCFileSystem(rev=rev).read_bytes(path.as_posix())
    except Exception as error:  # DVC's, git's and fsspec's own kinds, none of them in dvc.api
        raise LookupError(" ".join(str(error).split())) from None
    return content


def cached_file(md5: str) -> Path:
    """Where DVC's cache has the file with this digest; it may not be there."""
    import dvc.api

    return Path(dvc.api.DVCFileSystem().repo.cache.local.oid_to_path(md5))
