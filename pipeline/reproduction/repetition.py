"""The pipeline of a past tree, run again from its data to its exported files.

Threads decide in which order numbers are added, and with the number format the last bits of the
weights: a repetition takes the original's where the machine can, and says beforehand where not.
"""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from pipeline.reproduction.passes import NUMBER_FORMAT, Pass
from pipeline.running import leash
from pipeline.workspace.dvc import dvc, output
from pipeline.workspace.dvc_files import read_yaml
from pipeline.workspace.identity import hardware_here
from yolov2.config.train import TrainConfig
from yolov2.network.device import resolve_device
from yolov2.training.precision import resolve_format

TARGETS = ("export", "evaluate", "train")
"""The last stage of the pipeline: the first of these that the tree has."""

_LIMITS = ("OMP_THREAD_LIMIT", "OMP_DYNAMIC")
_DECISIVE = ("processor", "gpu", "cuda")
"""Hardware that decides which instructions compute, and so the last bits as well."""
_EDGE = re.compile(r'^\s*"(?P<before>[^"]+)"(?:\s*->\s*"(?P<after>[^"]+)")?;', re.MULTILINE)


def stages_of(tree: Path, environment: Mapping[str, str]) -> list[str]:
    """The stages that lead to the last one of ``TARGETS``, in order; no ``.dvc`` files."""
    listed = dvc(tree, environment, "stage", "list", "--name-only").split()
    target = next((name for name in TARGETS if name in listed), None)
    if target is None:
        raise ValueError(f"the run's dvc.yaml has none of the stages {', '.join(TARGETS)}")
    order: TopologicalSorter[str] = TopologicalSorter()
    for edge in _EDGE.finditer(dvc(tree, environment, "dag", "--dot", target)):
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
    return output([sys.executable, "-c", ask], tree, environment).strip()


def same_number_format(params: Path, original: Pass) -> tuple[list[str], list[str]]:
    """Changes of ``params.yaml`` that give the original's number format; what to tell.

    Raises:
        ValueError: the parameters ask for a device or a format that this machine has not.
    """
    written = read_yaml(params)
    train, machine = written.get("train", {}), written.get("machine", {})
    # of version 0.1 the device was a setting of the training
    device = resolve_device(str(machine.get("device", train.get("device", "auto"))))
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
