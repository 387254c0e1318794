"""The sweep flow: trainings with other settings, of which the promising ones go to their end.

    python -m flows.sweep -S 'train.lr=loguniform(0.0003, 0.01)' -S 'train.seed=choice(0, 1)'

Optuna draws the settings and stops trials that are worse than the others were. Each trial works
in its own copy and leaves params.yaml as it is. The same command again goes on where a sweep was
left; started beside itself, or on several workers, it shares the trials among them.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import State, flow, get_run_logger
from prefect.artifacts import create_image_artifact, create_table_artifact
from prefect.states import Completed, Failed

from flows.people.report import as_url
from flows.server.runs import take_up
from flows.server.start import SCHEDULER_VARIABLE, run_once
from flows.steps.commands import StageError, stage_environment
from flows.steps.workspace import one_of_several
from flows.trials.series import Trials
from pipeline.params.schema import load
from pipeline.paths import REPORTS
from pipeline.running.entry import run_stage
from pipeline.running.leash import end_with
from pipeline.sweep import study as sweeps
from pipeline.sweep.contact import Contact
from pipeline.sweep.space import KINDS, check, parse
from pipeline.workspace.git import read_work_tree
from yolov2.command_line import Parser

if TYPE_CHECKING:
    from optuna import Study

TRIALS = 20


@flow(name="sweep", on_crashed=[take_up])
def sweep(space: dict[str, str], trials: int = TRIALS, name: str | None = None) -> State[None]:
    """Try settings drawn from ``space`` until ``trials`` have given an answer.

    ``space`` has, by ``section.key``, a value for all trials or what to draw from. A sweep is
    known by ``name``, by default made from all that its trials have in common. Ends as *Failed*
    with one sentence when the space cannot be used, trials fail one after the other, or the
    store of trials is away for too long.
    """
    end_with(int(os.environ.get(SCHEDULER_VARIABLE, 0)))
    log = get_run_logger()
    contact = Contact(log.warning)
    try:
        params, tree, wanted = load(), read_work_tree(), parse(space)
        check(wanted)
        mark = sweeps.digest(wanted, tree)
        known = name or mark[:8]
        experiment = f"{params.tracking.experiment}-sweep-{known}"
        study = contact.patiently(lambda: sweeps.begin(known, wanted, mark, experiment, trials))
        goal = int(min(trials, wanted.combinations))
        done = contact.patiently(lambda: sweeps.counted(study))
        log.info(f"sweep {study.study_name}: {done} of {goal} done")
        with one_of_several(Path.cwd(), sweep.name):
            Trials(
                study=study,
                space=wanted,
                tree=tree,
                config=params.flows,
                wanted=goal,
                contact=contact,
            ).run()
        said = _report(study, contact)
    except (StageError, ValueError) as error:
        return Failed(message=str(error))
    return Completed(message=said)


def _report(study: "Study", contact: Contact) -> str:
    """Publish what the sweep has found; the best trial in a sentence.

    Raises:
        StageError: it cannot be published.
        StoreAwayError: the store has been away for too long.
    """
    command = [sys.executable, "-m", "pipeline", "sweep", study.study_name]
    done = subprocess.run(command, env=stage_environment(), capture_output=True, text=True)
    for line in done.stdout.splitlines():
        get_run_logger().info(line)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise StageError(f"the sweep's report failed: {said[-1].removeprefix('error: ')}")
    table = contact.patiently(lambda: sweeps.table(study))
    rows = [{k: v for k, v in row.items() if v is not None and k != sweeps.KEY} for row in table]
    create_table_artifact(key="trials", table=rows, description="Best first; AP on the val split")
    for picture in sorted(sweeps.folder(study.study_name, REPORTS).glob("*.png")):
        create_image_artifact(key=f"sweep-{picture.stem}", image_url=as_url(picture))
    best = contact.patiently(lambda: sweeps.best(study))
    if best is None:
        return "no trial was trained to its end"
    settings = sweeps.options(sweeps.settings_of(best))
    answers = contact.patiently(lambda: sweeps.counted(study))
    return f"best of {answers}: val AP {best.value:.4f} with {settings}"


def build_parser() -> argparse.ArgumentParser:
    """The options of ``python -m flows.sweep``."""
    parser = Parser(
        prog="python -m flows.sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"KEY=WHAT is KEY=VALUE for all trials, or one of {KINDS}.",
    )
    parser.add_argument(
        "-S", "--set", action="append", default=[], metavar="KEY=WHAT", help="see below; repeat it"
    )
    parser.add_argument("--trials", type=int, default=TRIALS, help=f"in all ({TRIALS})")
    parser.add_argument("--name", help="go on with the sweep of this name, or begin it")
    return parser


def main() -> int:
    """Run the flow once, with a temporary Prefect server if there is none; 1 when it failed."""
    chosen = build_parser().parse_args()
    space = {}
    for text in chosen.set:
        key, sign, what = text.partition("=")
        if not sign or "." not in key:
            raise ValueError(f"-S {text}: write section.key=WHAT, WHAT a value or one of {KINDS}")
        space[key.strip()] = what.strip()
    check(parse(space))  # before anything is started
    given = {"space": space, "trials": chosen.trials, "name": chosen.name}
    return run_once(
        sweep, {key: value for key, value in given.items() if value is not None}, alone=False
    )


if __name__ == "__main__":
    run_stage(main)
