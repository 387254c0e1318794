"""A past state of the repository as a folder of its own, for as long as it is needed.

A git work tree at a commit with a patch, whose DVC uses this repository's cache and remotes. It
lies in ``.dvc/tmp``, as DVC's own experiments do: on the disk of the cache, ignored by git.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from configparser import ConfigParser
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML

from pipeline.paths import PARAMS
from pipeline.workspace.dvc_files import parse_yaml, read_yaml
from pipeline.workspace.git import git
from yolov2.termination import undisturbed

COPIES = Path(".dvc/tmp/copies")
_IN_USE = "in-use"
"""Locked by the process that the copy beside it is of; a copy whose process was killed is free."""


@dataclass(frozen=True, kw_only=True)
class PastTree:
    """The folder that stands for the repository's root, and what the root was."""

    root: Path
    of: Path


@contextmanager
def past_tree(root: Path, commit: str, patch: bytes, *, keep: bool = False) -> Iterator[PastTree]:
    """The repository at ``root`` as it was; removed in the end however it comes, unless ``keep``.

    Raises:
        ValueError: no git repository, no such commit in it, or the patch does not apply.
    """
    top = Path(git(root, "rev-parse", "--show-toplevel").strip())
    prefix = git(root, "rev-parse", "--show-prefix").strip()
    _require_commit(root, commit)
    place = root / COPIES
    place.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(place, top)
    room = Path(mkdtemp(prefix=f"{commit[:8]}-", dir=place))
    # as deep as the original, so that a parameter like ../mine/data.yaml can be made to work
    tree = room.joinpath(*top.parts[1:])
    with (room / _IN_USE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            git(top, "worktree", "add", "--detach", str(tree), commit)
            _apply(tree, patch)
            yield PastTree(root=tree / prefix, of=root)
        finally:
            if keep:
                (room / _IN_USE).unlink()
                print(f"kept: {tree} (`git worktree remove --force {tree}` removes it)")
            else:
                with undisturbed():
                    shutil.rmtree(room, ignore_errors=True)
                    git(top, "worktree", "prune")


def _remove_abandoned(place: Path, top: Path) -> None:
    """Remove the copies whose process was killed; those that were to be kept have no lock file."""
    for file in place.glob(f"*/{_IN_USE}"):
        # gone, or locked: another process removes it, or works in it
        with suppress(FileNotFoundError, BlockingIOError), file.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(file.parent, ignore_errors=True)
            git(top, "worktree", "prune")


def share_dvc(tree: PastTree, cache: Path) -> None:
    """Let DVC in the tree use ``cache`` and the remotes of this repository's configuration."""
    merged = _config()
    for name in ("config", "config.local"):
        merged.read(tree.of / ".dvc" / name, encoding="utf-8")
    if not merged.has_section("cache"):
        merged.add_section("cache")
    merged["cache"]["dir"] = str(cache)
    for section in merged.sections():
        url = merged[section].get("url", "").strip("\"'")
        # relative ones are seen from the folder of the configuration, which is another now
        if section.startswith("'remote ") and url and not urlsplit(url).scheme:
            merged[section]["url"] = os.path.normpath(tree.of / ".dvc" / Path(url).expanduser())
    with (tree.root / ".dvc" / "config.local").open("w", encoding="utf-8") as file:
        merged.write(file)


def _config() -> ConfigParser:
    return ConfigParser(interpolation=None, strict=False, allow_no_value=True)


def link_plain_data(tree: PastTree) -> None:
    """Let ``data.config`` find data that neither git nor DVC has: by links to where they lie."""
    data = read_yaml(tree.root / PARAMS).get("data", {})
    config = Path(str(data.get("config", "")))
    for name in (config.parent, Path(os.path.normpath(config / ".." / str(data.get("root", "."))))):
        if not name.is_absolute():
            _link(tree, name)


def _link(tree: PastTree, name: Path) -> None:
    """Link the folder ``name``, or what the copy has not of it; none that a stage makes."""
    target = Path(os.path.normpath(tree.root / name))
    real = Path(os.path.normpath(tree.of / name))
    if not real.is_dir() or _made_by_a_stage(tree.root, name):
        return
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(real, target_is_directory=True)
    elif (
        target.is_dir()
        and not target.is_symlink()
        and target not in (tree.root, *tree.root.parents)
    ):
        for entry in sorted(real.iterdir()):  # the commit has some of it, as a data.yaml
            if entry.is_dir():
                _link(tree, name / entry.name)
            elif not (target / entry.name).exists():
                (target / entry.name).symlink_to(entry)


def _made_by_a_stage(root: Path, name: Path) -> bool:
    stages = read_yaml(root / "dvc.yaml").get("stages", {})
    outs = [out for stage in stages.values() for out in stage.get("outs", ())]
    made = [Path(next(iter(out)) if isinstance(out, Mapping) else out) for out in outs]
    return any(out == name or out in name.parents for out in made)


def override(params: Path, changes: Sequence[str]) -> None:
    """Change values in a ``params.yaml``, each as ``section.key=value``.

    Raises:
        ValueError: a change is not of that form, or there is no such key.
    """
    if not changes:
        return
    yaml = YAML()
    yaml.width = 4096  # a long list stays in its line
    document = yaml.load(params.read_text(encoding="utf-8"))
    for change in changes:
        name, sign, text = change.partition("=")
        *sections, key = name.strip().split(".")
        section: Any = document
        for part in sections:
            section = section.get(part) if isinstance(section, Mapping) else None
        if not sign or not isinstance(section, Mapping) or key not in section:
            raise ValueError(
                f"-S {change}: write section.key=value, with a key that the run's {params.name} has"
            )
        section[key] = parse_yaml(text)  # type: ignore[index]
    with params.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)


def _require_commit(root: Path, commit: str) -> None:
    try:
        git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except ValueError:
        raise ValueError(
            f"the run's commit {commit} is not in this clone: get it with `git fetch --all` (or"
            f" `git fetch REMOTE {commit}`, if no branch holds it)"
        ) from None


def _apply(tree: Path, patch: bytes) -> None:
    if not patch:
        return
    file = tree.parent / "uncommitted.patch"
    file.write_bytes(patch)
    try:
        git(tree, "apply", "--whitespace=nowarn", str(file))
    except ValueError as error:
        raise ValueError(f"the run's patch does not apply to its commit: {error}") from None
