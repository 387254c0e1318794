"""Files that ``.dvc`` files track: brought back into a work tree, or named where they are lost."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.workspace.dvc import attempt, complaint
from pipeline.workspace.dvc_files import read_yaml

PLACES = ("files/md5", "")
"""Where DVC's cache keeps objects: since version 3, and before."""
SHOWN = 5


def restore(root: Path, cache: Path, environment: Mapping[str, str]) -> None:
    """Bring what the ``.dvc`` files below ``root`` track into it, fetched where it must be.

    Raises:
        ValueError: some of it is in neither the cache nor a remote; names it.
    """
    tracked = [file for file in sorted(root.rglob("*.dvc")) if file.is_file()]
    tracked = [file for file in tracked if ".dvc" not in file.relative_to(root).parts[:-1]]
    if not tracked:
        return
    absent = [file for file in tracked if missing_of(root, file, cache)]
    said = ""
    if absent:  # a remote may have it; without one DVC says so, and what is missing is told below
        said = complaint(attempt(root, environment, "pull", "--force", *map(str, absent)))
    lost = [name for file in absent for name in missing_of(root, file, cache)]
    if lost:
        raise ValueError(_lost(lost, said))
    done = attempt(root, environment, "checkout", "--force", *map(str, tracked))
    if done.returncode != 0:
        raise ValueError(f"`dvc checkout` of the run's data failed: {complaint(done)}")


def missing_of(root: Path, dvc_file: Path, cache: Path) -> list[str]:
    """Names of the files that ``dvc_file`` tracks and the cache does not have."""
    content = read_yaml(dvc_file)
    folder = dvc_file.parent.relative_to(root) / str(content.get("wdir", "."))
    found: list[str] = []
    for out in content.get("outs", ()):
        if out.get("md5") and out.get("cache", True):
            found += _missing(cache, (folder / out["path"]).as_posix(), str(out["md5"]))
        for item in out.get("files", ()):  # the form of cloud versioning
            if item.get("md5") and _object(cache, str(item["md5"])) is None:
                found.append((folder / out["path"] / item["relpath"]).as_posix())
    return found


def _missing(cache: Path, name: str, md5: str) -> Iterator[str]:
    listed = _object(cache, md5)
    if listed is None:
        yield f"{name}{'/ (with its list of files)' if md5.endswith('.dir') else ''}"
    elif md5.endswith(".dir"):
        entries: list[dict[str, Any]] = json.loads(listed.read_text(encoding="utf-8"))
        for entry in entries:
            if _object(cache, entry["md5"]) is None:
                yield f"{name}/{entry['relpath']}"


def _object(cache: Path, md5: str) -> Path | None:
    places = (cache / folder / md5[:2] / md5[2:] for folder in PLACES)
    return next((place for place in places if place.exists()), None)


def _lost(names: list[str], said: str) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    count = f"{len(names)} file{'s' if len(names) > 1 else ''}"
    return (
        f"the run's data cannot be restored: {count} in neither DVC's cache nor a remote:"
        f" {', '.join(names[:SHOWN])}{more}. Put them into the remote from a machine that has"
        f" them (`dvc push`), or restore the cache from a backup (`dvc pull` said: {said})"
    )
