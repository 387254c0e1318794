"""A clean working copy for a run with settings of its own, which the folder keeps out of.

A git work tree of the current commit with the uncommitted changes, as ``dvc exp run --temp``
makes one. It shares DVC's cache and remotes and the checkpoints with the folder it is of, so that
nothing is computed or fetched twice, and a run that was killed is taken up by the next one with the
same settings.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.paths import PARAMS, project_root
from pipeline.tracking.address import tracking_uri
from pipeline.workspace.copies import link_plain_data, override, past_tree, share_dvc
from pipeline.workspace.dvc import cache_of, dvc
from pipeline.workspace.environment import environment_of, require_own_code
from pipeline.workspace.git import WorkTree, read_work_tree
from pipeline.workspace.tracked import restore


@contextmanager
def own_copy(
    root: Path, settings: Mapping[str, object], tree: WorkTree | None = None
) -> Iterator[tuple[Path, dict[str, str]]]:
    """The copy's root and what its stages need in their environment; removed in the end.

    ``settings`` are values of ``params.yaml`` by ``section.key``, ``tree`` the state of ``root``
    that is wanted, the present one without it.

    Raises:
        ValueError: no git repository or no commit, or there is no such key.
    """
    tree = tree or read_work_tree()
    if tree.commit is None:
        raise ValueError(
            f"settings of its own need a git repository with a commit, and {root} is"
            " none: change params.yaml instead"
        )
    environment = copy_environment(root)
    patch = tree.patch.encode(errors="surrogateescape")
    with past_tree(root, tree.commit, patch) as copy:
        environment |= {"PYTHONPATH": str(copy.root)}
        require_own_code(copy.root, environment)
        cache = cache_of(root, environment)
        share_dvc(copy, cache)
        restore(copy.root, cache, environment)
        _take_results(root, copy.root, environment)
        override(copy.root / PARAMS, [f"{key}={_as_yaml(v)}" for key, v in settings.items()])
        link_plain_data(copy)
        yield copy.root, environment


def copy_environment(root: Path) -> dict[str, str]:
    """Environment of stages in a copy; checkpoints and runs go where those of ``root`` are."""
    store = tracking_uri()
    given = environment_of(root, store)
    lasting = str(project_root())  # where a worker's runs are clones, its own folder
    return given | {"DVC_ROOT": lasting, "MLFLOW_TRACKING_URI": store}


def _take_results(root: Path, copy: Path, environment: Mapping[str, str]) -> None:
    """Give the copy what the folder's stages have made last; what is gone they make anew."""
    lock = root / "dvc.lock"
    if lock.is_file():
        shutil.copy(lock, copy)
    dvc(copy, environment, "checkout", "--quiet", "--force", "--allow-missing")


def _as_yaml(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
