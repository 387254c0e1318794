"""What a run was made from: code, data, parameters, versions, machine, command.

Collected once when a stage starts. Git, DVC and the data set's table may each be missing (a
plain folder, a first run); what is not there is left empty, nothing fails.
"""

import hashlib
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from pipeline.paths import DATASET, PARAMS
from pipeline.running.processes import current_invocation
from pipeline.running.recorder import torch_here
from pipeline.workspace.dvc_files import (
    DVC_LOCK,
    UNKNOWN,
    dependencies,
    file_md5,
    locked_digests,
)
from pipeline.workspace.git import read_work_tree
from yolov2.files import file_sha256

REQUIREMENTS = Path("requirements.lock")

REPRODUCES = "YOLOV2_REPRODUCES"
"""Environment variable: the id of the run that this process repeats (``pipeline reproduce``)."""


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """Where a run comes from; every field is plain data.

    ``data_digest`` is the sha256 per split and of ``all``; ``data`` the rest of
    ``dataset.json``; ``dependencies`` the md5 of each file that the stage reads; ``patch`` the
    difference of the work tree to ``git_commit`` (git's own format, empty when clean).
    ``files`` are ``dvc.lock`` and ``params.yaml`` as they lie; ``requirements_lock`` is a sha256,
    ``reproduces`` the run that this one repeats, and ``invocation`` the call of DVC.
    """

    git_commit: str | None = None
    git_branch: str | None = None
    patch: str = ""
    dvc_experiment: str | None = None
    dvc_lock: str | None = None
    data_digest: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    dependencies: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    hardware: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    requirements_lock: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    reproduces: str | None = None
    invocation: str | None = None

    @property
    def code(self) -> str | None:
        """Short hash of the ``.py`` files that the stage reaches; None where they are not known."""
        code = {n: md5 for n, md5 in self.dependencies.items() if n.endswith(".py")}
        content = json.dumps(code, sort_keys=True).encode()
        return hashlib.sha256(content).hexdigest()[:12] if code else None

    @property
    def git_dirty(self) -> bool:
        """Whether code, parameters or other files differ from the commit."""
        return bool(self.patch)

    def as_json(self) -> str:
        """Every field, for ``from_json`` in another process; any bytes of a patch survive."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "RunIdentity":
        """What ``as_json`` has written."""
        return cls(**json.loads(text))

    def as_dict(self) -> dict[str, Any]:
        """All fields but the patch and the files, ready for JSON."""
        fields = {k: v for k, v in asdict(self).items() if k not in ("patch", "files")}
        return fields | {"dirty": self.git_dirty}


def collect_identity(stage: str | None = None) -> RunIdentity:
    """The identity of the process that asks; the current folder is the repository's root.

    ``stage`` is a name in ``dvc.yaml`` (default: the stage that DVC is running, if any); the
    files it depends on are hashed.
    """
    table = json.loads(DATASET.read_text(encoding="utf-8")) if DATASET.exists() else {}
    digest = table.pop("digest", {})
    tree = read_work_tree()
    return RunIdentity(
        git_commit=tree.commit,
        git_branch=tree.branch,
        patch=tree.patch,
        dvc_experiment=os.environ.get("DVC_EXP_NAME") or None,
        dvc_lock=file_sha256(DVC_LOCK) if DVC_LOCK.exists() else None,
        data_digest=digest,
        data=table,
        dependencies=_stage_dependencies(stage or os.environ.get("DVC_STAGE")),
        versions={"python": platform.python_version()} | _packages(),
        hardware=hardware_here(),
        command=shlex.join(sys.orig_argv),
        requirements_lock=file_sha256(REQUIREMENTS) if REQUIREMENTS.exists() else None,
        files={path.name: _text(path) for path in (DVC_LOCK, PARAMS) if path.exists()},
        reproduces=os.environ.get(REPRODUCES) or None,
        invocation=current_invocation(),
    )


def _text(path: Path) -> str:
    # bytes that are not UTF-8, and line ends, as they lie
    return path.read_bytes().decode(errors="surrogateescape")


def _stage_dependencies(stage: str | None) -> dict[str, str]:
    """md5 of each dependency that ``dvc.yaml`` gives the stage; of folders, DVC's own digest."""
    named = dependencies(stage) if stage else []
    known = locked_digests() if named else {}
    return {
        name: file_md5(Path(name)) if Path(name).is_file() else known.get(name, UNKNOWN)
        for name in named
    }


def _packages() -> dict[str, str]:
    """Name -> version of every installed distribution; of two the one that is imported."""
    found: dict[str, str] = {}
    for each in filter(lambda one: one.metadata, distributions()):
        found.setdefault(str(each.metadata["Name"]).lower(), each.version)
    return dict(sorted(found.items()))


def hardware_here() -> dict[str, str]:
    """Processor, cores, memory and, where this process has loaded torch, threads and GPU."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if os.name == "posix" else 0
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory_gib": f"{pages / 2**30:.1f}",
        **torch_here(),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        model = re.search(r"model name\s*:\s*(.+)", information.read_text(encoding="utf-8"))
        if model:
            return model[1]
    return platform.processor() or platform.machine()
