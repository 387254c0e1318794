"""``pipeline reproduce RUN``: does the same code on the same data give the same result?

RUN is an MLflow run of a training or an evaluation, or a version of the registered model (3,
@champion). Its code (commit and patch), data and parameters are brought back in a folder of their
own, the pipeline runs there anew, and weights, metrics and exported files are compared. The page
is in reports/reproduce/ and with the run in MLflow. Exit status 0: identical or within the
tolerance; 3: different; 1: it cannot be done.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.params.schema import TrackingConfig, load
from pipeline.reproduction.outputs import compare_outputs
from pipeline.reproduction.page import lines, write_reproduction
from pipeline.reproduction.passes import Pass, Source, find_source, hashes_of, read_pass
from pipeline.reproduction.repetition import (
    by_threads,
    cache_of,
    environment_of,
    other_machine,
    require_own_code,
    run_again,
    same_number_format,
    stages_of,
    with_threads,
)
from pipeline.reproduction.verdict import DIFFERENT, TOLERANCE, Reproduction, compare_files, judge
from pipeline.running.entry import run_stage
from pipeline.running.files import read_json
from pipeline.tracking.address import store_root
from pipeline.tracking.connection import connect
from pipeline.tracking.layout import placed
from pipeline.tracking.store import Store
from pipeline.workspace.copies import link_plain_data, override, past_tree, share_dvc
from pipeline.workspace.tracked import restore
from yolov2.config.section import require
from yolov2.network.checkpoint import load_detector
from yolov2.runs.folder import weights_hash

STATUS_DIFFERENT = 3
OUTPUT = paths.REPORTS / "reproduce"
REPRODUCED, REPRODUCES = "reproduced", "reproduces"
"""Tags: of the original its verdict, of the repetition's runs the original's id."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit status."""
    parser = argparse.ArgumentParser(
        prog="pipeline reproduce",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="a run id, a version number or @alias")
    parser.add_argument(
        "-S", action="append", default=[], metavar="section.key=value", dest="changes",
        help="run with another value, as `dvc exp run -S` does; may be repeated",
    )  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="leave the folder of the repetition")
    parser.add_argument(
        "--tolerance", type=float, default=TOLERANCE, metavar="X",
        help="difference of AP that counts as the same result (default: %(default)s)",
    )  # fmt: skip
    chosen = parser.parse_args(arguments)
    require(chosen.tolerance >= 0, f"--tolerance must not be negative, not {chosen.tolerance:g}")
    config = load().tracking
    source, original = find_source(config, chosen.run)
    found = _repeat(config, source, original, chosen)
    files = write_reproduction(found, source, chosen.changes, OUTPUT)
    store = connect(config.experiment)
    store.log_files(source.run_id, placed(files, "reproduce"))
    if not chosen.changes:  # another experiment says nothing of this one
        store.set_tags(source.run_id, {REPRODUCED: found.verdict})
    print(*lines(found), f"  {files[0]}", sep="\n")
    return STATUS_DIFFERENT if found.verdict == DIFFERENT else 0


def _repeat(
    config: TrackingConfig, source: Source, original: Pass, chosen: argparse.Namespace
) -> Reproduction:
    """Run the pipeline again as it was, and judge what came of it."""
    root = store_root()
    with past_tree(root, source.commit, source.patch, keep=chosen.keep) as tree:
        environment = environment_of(tree.root, source.run_id)
        print(require_own_code(tree.root, environment), flush=True)
        cache = cache_of(root, environment)
        share_dvc(tree, cache)
        restore(tree.root, cache, environment)
        override(tree.root / paths.PARAMS, chosen.changes)
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
    return judge(original, repetition, tolerance=chosen.tolerance, outputs=outputs)


def _read_repetition(store: Store, tree: Path, reproduces: str) -> Pass:
    """What the repetition has left in its folder and in the store.

    Its weights and files are hashed here, and its runs tagged: older code did neither.
    """
    training = _run(store, tree / paths.TRAIN_RUN)
    evaluated = (tree / paths.EVALUATE_RUN).is_file()
    evaluation = _run(store, tree / paths.EVALUATE_RUN) if evaluated else None
    for run in filter(None, (training, evaluation)):
        store.set_tags(str(run.info.run_id), {REPRODUCES: reproduces})
    report = tree / paths.EXPORT
    exported = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
    return replace(
        read_pass(store, training, evaluation),
        weights=weights_hash(load_detector(tree / paths.BEST).network),
        exported=hashes_of(exported),
    )


def _run(store: Store, file: Path) -> Any:
    run_id = read_json(file, "the repetition")["run_id"]
    with store.answering():
        return store.client.get_run(run_id)


if __name__ == "__main__":
    run_stage(main)
