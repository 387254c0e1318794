"""A run made again: does the same code on the same data give the same result?

Code (commit and patch), data and parameters are brought back in a folder of their own, the pipeline
runs there anew, and weights, metrics and exported files are compared.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.params.reading import read_section
from pipeline.params.tracking import TrackingConfig
from pipeline.paths import project_root
from pipeline.reproduction.outputs import compare_outputs
from pipeline.reproduction.page import lines, write_reproduction
from pipeline.reproduction.passes import Pass, Source, find_source, hashes_of, read_pass
from pipeline.reproduction.repetition import (
    by_threads,
    other_machine,
    run_again,
    same_number_format,
    stages_of,
    with_threads,
)
from pipeline.reproduction.verdict import TOLERANCE, Reproduction, compare_files, judge
from pipeline.running.files import read_json
from pipeline.tracking.address import tracking_uri
from pipeline.tracking.connection import connect
from pipeline.tracking.follow import follow
from pipeline.tracking.layout import placed
from pipeline.tracking.recordings import send_pending
from pipeline.tracking.store import Store
from pipeline.workspace.copies import link_plain_data, override, past_tree, share_dvc
from pipeline.workspace.dvc import cache_of
from pipeline.workspace.environment import environment_of, require_own_code
from pipeline.workspace.stages import OLD_RECORDS
from pipeline.workspace.tracked import restore
from yolov2.config.section import require
from yolov2.files import file_sha256
from yolov2.network.checkpoint import load_detector
from yolov2.runs.identity import weights_hash

OUTPUT = paths.REPORTS / "reproduce"
REPRODUCED, REPRODUCES = "reproduced", "reproduces"
"""Tags: of the original its verdict, of the repetition's runs the original's id."""


def reproduce(
    reference: str, changes: Sequence[str], *, keep: bool = False, tolerance: float | None = None
) -> dict[str, Any]:
    """Repeat the run that ``reference`` names, write the page, tell MLflow; what its JSON has.

    ``changes`` are values of ``params.yaml`` as ``section.key=value``.

    Raises:
        ValueError: it cannot be repeated; says why.
        TrackingError: the store cannot be used.
    """
    tolerance = TOLERANCE if tolerance is None else tolerance
    require(tolerance >= 0, f"--tolerance must not be negative, not {tolerance:g}")
    config = read_section("tracking", TrackingConfig)
    send_pending(follow, wait=True)  # the original, or its evaluation, may wait to be recorded
    source, original = find_source(config, reference)
    found = _repeat(config, source, original, changes, keep=keep, tolerance=tolerance)
    files = write_reproduction(found, source, list(changes), OUTPUT)
    store = connect(config.experiment)
    store.log_files(source.run_id, placed(files, "reproduce"))
    if not changes:  # another experiment says nothing of this one
        store.set_tags(source.run_id, {REPRODUCED: found.verdict})
    print(*lines(found), f"  {files[0]}", sep="\n")
    return dict(read_json(files[1], "`pipeline reproduce`")) | {"page": str(files[0])}


def _repeat(
    config: TrackingConfig,
    source: Source,
    original: Pass,
    changes: Sequence[str],
    *,
    keep: bool,
    tolerance: float,
) -> Reproduction:
    """Run the pipeline again as it was, and judge what came of it."""
    root = project_root()
    with past_tree(root, source.commit, source.patch, keep=keep) as tree:
        environment = environment_of(tree.root, tracking_uri(), source.run_id)
        print(require_own_code(tree.root, environment), flush=True)
        cache = cache_of(root, environment)
        share_dvc(tree, cache)
        restore(tree.root, cache, environment)
        override(tree.root / paths.PARAMS, list(changes))
        link_plain_data(tree)
        stages = stages_of(tree.root, environment)
        same, said = same_number_format(tree.root / paths.PARAMS, original)
        override(tree.root / paths.PARAMS, same)
        said += other_machine(original)
        parts = []
        for threads, part in by_threads(stages, original):
            own, told = with_threads(tree.root, environment, threads)
            parts.append((part, own))
            said.append(told)
        print(*said, f"running again: {', '.join(stages)}", sep="\n", flush=True)
        for part, own in parts:
            run_again(tree.root, part, own)
        repetition = _read_repetition(connect(config.experiment), tree.root, source.run_id)
        compared = compare_files(original.exported, repetition.exported)
        other = [name for name, said in compared.items() if said == "other bytes"]
        outputs = compare_outputs(config, original, tree.root, other)
    return judge(original, repetition, tolerance=tolerance, outputs=outputs)


def _read_repetition(store: Store, tree: Path, reproduces: str) -> Pass:
    """What the repetition has left in its folder and in the store.

    Its weights and files are hashed here, and its runs tagged: older code did neither.
    """
    send_pending(follow, tree, wait=True)
    training, evaluation = _runs(store, tree)
    for run in filter(None, (training, evaluation)):
        store.set_tags(str(run.info.run_id), {REPRODUCES: reproduces})
    report = tree / paths.EXPORT
    exported = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
    return replace(
        read_pass(store, training, evaluation),
        weights=weights_hash(load_detector(tree / paths.BEST).network),
        exported=hashes_of(exported),
    )


def _runs(store: Store, tree: Path) -> tuple[Any, Any]:
    """The runs of the repetition's training and evaluation (or None), by what it has left.

    Raises:
        ValueError: the repetition's training is not in the store.
    """
    old = [tree / OLD_RECORDS[stage] for stage in ("train", "evaluate")]
    if old[0].is_file():
        named = [
            read_json(file, "the repetition")["run_id"] if file.is_file() else None for file in old
        ]
        found = [store.client.get_run(run_id) if run_id else None for run_id in named]
        return found[0], found[1]
    key = {"dvc.key": str(read_json(tree / paths.TRAINING, "the repetition")["key"])}
    training = store.find_finished({"stage": "train", **key})
    result = tree / paths.METRICS
    evaluation = (
        store.find_finished({"stage": "evaluate", "result": file_sha256(result), **key})
        if result.is_file()
        else None
    )
    require(training is not None, "the repetition's training has not reached the store: see above")
    return training, evaluation
