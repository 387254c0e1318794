"""The pipeline of a past tree, run again from its data to its exported files.

Threads decide in which order numbers are added, and with the number format the last bits of the
weights: a repetition takes the original's where the machine can, and says beforehand where not.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from ruamel.yaml import YAML

from pipeline.reproduction.passes import NUMBER_FORMAT, Pass
from pipeline.running import leash
from pipeline.running.entry import TELEMETRY_OFF
from pipeline.tracking import address
from pipeline.tracking.identity import REPRODUCES, hardware_here
from yolov2.config.train import TrainConfig
from yolov2.network.device import resolve_device
from yolov2.training.precision import resolve_format

TARGETS = ("export", "evaluate", "train")
"""The last stage of the pipeline: the first of these that the tree has."""

_OURS = (
    "DVC_ROOT",
    "DVC_STAGE",
    "DVC_EXP_",
    "MLFLOW_RUN_ID",
    "PREFECT__",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
)
_LIMITS = ("OMP_THREAD_LIMIT", "OMP_DYNAMIC")
_DECISIVE = ("processor", "gpu", "cuda")
"""Hardware that decides which instructions compute, and so the last bits as well."""
_EDGE = re.compile(r'^\s*"(?P<before>[^"]+)"(?:\s*->\s*"(?P<after>[^"]+)")?;', re.MULTILINE)


def environment_of(tree: Path, run_id: str) -> dict[str, str]:
    """What a stage in ``tree`` sees: its own code first, the same store, what it repeats."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        **TELEMETRY_OFF,
        **kept,
        "PATH": tools,
        "PYTHONPATH": str(tree),
        "PYTHONUNBUFFERED": "1",
        "DVC_NO_ANALYTICS": "1",
        "MLFLOW_TRACKING_URI": address.tracking_uri(),
        REPRODUCES: run_id,
    }


def require_own_code(tree: Path, environment: Mapping[str, str]) -> str:
    """Where a stage in ``tree`` takes ``pipeline`` and ``yolov2`` from, which must be there.

    This project may be installed as editable from elsewhere, and would then be what runs.

    Raises:
        ValueError: other code would run.
    """
    ask = "import pipeline, yolov2; print(pipeline.__file__, yolov2.__file__, sep='\\n')"
    said = _output([sys.executable, "-c", ask], tree, environment).split("\n")
    places = [Path(line).resolve() for line in said if line]
    if not all(place.is_relative_to(tree.resolve()) for place in places):
        raise ValueError(f"not the run's own code would run, but that in {places[0].parent.parent}")
    return f"code: {places[0].parent}, {places[-1].parent}"


def stages_of(tree: Path, environment: Mapping[str, str]) -> list[str]:
    """The stages that lead to the last one of ``TARGETS``, in order; no ``.dvc`` files."""
    listed = _dvc(tree, environment, "stage", "list", "--name-only").split()
    target = next((name for name in TARGETS if name in listed), None)
    if target is None:
        raise ValueError(f"the run's dvc.yaml has none of the stages {', '.join(TARGETS)}")
    order: TopologicalSorter[str] = TopologicalSorter()
    for edge in _EDGE.finditer(_dvc(tree, environment, "dag", "--dot", target)):
        if edge["after"]:
            order.add(edge["after"], edge["before"])
        else:
            order.add(edge["before"])
    return [name for name in order.static_order() if name in listed]


def by_threads(stages: Sequence[str], original: Pass) -> list[tuple[str | None, list[str]]]:
    """``stages`` in their order, those together that computed with as many threads.

    A stage that has not told goes with the training; ``None`` is not known.
    """
    known = original.threads
    groups = groupby(stages, key=lambda name: known.get(name, known.get("train")))
    return [(threads, list(names)) for threads, names in groups]


def with_threads(
    tree: Path, environment: Mapping[str, str], threads: str | None
) -> tuple[dict[str, str], str]:
    """``environment`` in which torch computes with ``threads``, if it can; what to tell."""
    here = _threads(tree, environment)
    if threads is None:
        return dict(environment), f"threads: {here}; the original's number is not known"
    free = {name: value for name, value in environment.items() if name not in _LIMITS}
    fixed = free | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    # the second only where it must be, for MKL then computes small products otherwise, too: it
    # takes no more threads than there are cores, unless it is told
    for tried in (fixed, fixed | {"MKL_DYNAMIC": "FALSE"}):
        if _threads(tree, tried) == threads:
            instead = "" if here == threads else f" (here it would be {here})"
            return tried, f"threads: {threads}, as the original had{instead}"
    return dict(environment), (
        f"threads: {here}, where the original had {threads}, which this machine does not give:"
        " other weights are to be expected"
    )


def _threads(tree: Path, environment: Mapping[str, str]) -> str:
    ask = "import torch; print(torch.get_num_threads())"
    return _output([sys.executable, "-c", ask], tree, environment).strip()


def same_number_format(params: Path, original: Pass) -> tuple[list[str], list[str]]:
    """Changes of ``params.yaml`` that give the original's number format; what to tell.

    Raises:
        ValueError: the parameters ask for a device or a format that this machine has not.
    """
    train = YAML(typ="safe").load(params.read_text(encoding="utf-8")).get("train", {})
    device = resolve_device(str(train.get("device", "auto")))
    here = resolve_format(TrainConfig(amp=train.get("amp", "off")), device)
    recorded = original.hardware.get(NUMBER_FORMAT)
    if train.get("amp") != "auto" or recorded == here:
        return [], []
    if recorded is None:
        return [], [f"number format: {here} (amp: auto); the original's is not known"]
    if recorded == "fp16" and device.type != "cuda":
        return [], [
            f"number format: {here}, where the original had fp16, which needs a CUDA card: other"
            " weights are to be expected"
        ]
    return [f"train.amp={recorded}"], [
        f"number format: {recorded}, as the original had (here it would be {here})"
    ]


def other_machine(original: Pass) -> list[str]:
    """What no setting can make the same, and what it means; nothing where all is the same."""
    here = hardware_here() | {"torch": version("torch")}
    there = {**original.hardware, "torch": original.versions.get("torch", "")}
    found = [
        f"{name} {there.get(name) or '-'} -> {here.get(name) or '-'}"
        for name in (*_DECISIVE, "torch")
        if original.hardware and there.get(name, "") != here.get(name, "")
    ]
    return [f"{', '.join(found)}: other weights are to be expected"] if found else []


def run_again(tree: Path, stages: list[str], environment: Mapping[str, str]) -> None:
    """Execute ``stages`` whatever DVC has of them; their output goes where ours does.

    Each by itself, because with ``--force`` the stages before would include imports of data, and
    without a commit, so that no later ``dvc repro`` restores the repetition for the original.

    Raises:
        ValueError: a stage failed; it has said why.
    """
    dvc = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro"]
    options = ["--force", "--no-commit", "--single-item"]
    process = subprocess.Popen(
        [sys.executable, leash.__file__, *dvc, *options, *stages],
        cwd=tree,
        env=dict(environment),
        stdin=subprocess.PIPE,  # our death closes it, and the leash then ends the stages
        start_new_session=True,
    )
    with process:
        try:
            status = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status != 0:
        raise ValueError(
            f"the repetition ended with exit status {status}: see its output above; with --keep"
            " its folder stays, to look into"
        )


def cache_of(root: Path, environment: Mapping[str, str]) -> Path:
    """DVC's cache of the repository."""
    return Path(_dvc(root, environment, "cache", "dir").strip())


def _dvc(folder: Path, environment: Mapping[str, str], *arguments: str) -> str:
    return _output([sys.executable, "-m", "dvc", *arguments], folder, environment)


def _output(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise ValueError(f"`{' '.join(command[1:5])}` in {folder} failed: {said[-1]}")
    return done.stdout
