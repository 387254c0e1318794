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
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import State, flow, get_run_logger
from prefect.artifacts import create_image_artifact, create_table_artifact
from prefect.states import Completed, Failed

from flows.commands import StageError, stage_environment
from flows.report import as_url
from flows.runs import take_up
from flows.start import SCHEDULER_VARIABLE, run_once
from flows.tasks import ended, with_retries
from flows.trial import Answer, run_trial
from flows.workspace import one_of_several
from pipeline.leash import end_with
from pipeline.params.schema import Params, load
from pipeline.paths import REPORTS
from pipeline.stage import run_stage
from pipeline.sweep import study as sweeps
from pipeline.sweep.space import KINDS, Space, check, parse
from pipeline.worktree import WorkTree, read_work_tree

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

TRIALS = 20
FAILURES = 3
"""Trials that may fail one after the other before the sweep gives up."""


@flow(name="sweep", on_crashed=[take_up])
def sweep(space: dict[str, str], trials: int = TRIALS, name: str | None = None) -> State[None]:
    """Try settings drawn from ``space`` until ``trials`` have given an answer.

    ``space`` has, by ``section.key``, a value for all trials or what to draw from. A sweep is
    known by ``name``, by default made from all that its trials have in common. Ends as *Failed*
    with one sentence when the space cannot be used or trials fail one after the other.
    """
    end_with(int(os.environ.get(SCHEDULER_VARIABLE, 0)))
    try:
        params, tree, wanted = load(), read_work_tree(), parse(space)
        check(wanted)
        mark = sweeps.digest(wanted, tree)
        study = sweeps.begin(
            name or mark[:8],
            wanted,
            mark,
            f"{params.tracking.experiment}-sweep-{name or mark[:8]}",
            trials,
        )
        trials = int(min(trials, wanted.combinations))
        get_run_logger().info(f"sweep {study.study_name}: {sweeps.counted(study)} of {trials} done")
        with one_of_several(Path.cwd(), sweep.name):
            _Sweep(study, wanted, tree, params, trials).run()
        said = _report(study)
    except (StageError, ValueError) as error:
        return Failed(message=str(error))
    return Completed(message=said)


class _Sweep:
    """The trials of this process."""

    def __init__(
        self, study: "Study", space: Space, tree: WorkTree, params: Params, trials: int
    ) -> None:
        self.study, self.space, self.tree, self.params, self.trials = (
            study,
            space,
            tree,
            params,
            trials,
        )
        self.failed = 0
        self.said = ""

    def run(self) -> None:
        """Try until there are enough answers, from whatever process.

        Raises:
            StageError: the last few trials have all failed; the message is the last one's.
        """
        if sweeps.counted(self.study) < self.trials:
            self.study.optimize(self._try, catch=StageError, callbacks=[self._stop_in_time])
        if self.failed >= FAILURES or (self.failed and not sweeps.counted(self.study)):
            raise StageError(
                f"{self.failed} trials failed one after the other, the last: {self.said}"
            )

    def _try(self, trial: "Trial") -> float:
        from optuna import TrialPruned

        drawn = self.space.draw(trial)
        trial.set_user_attr("settings", drawn)
        settings = drawn | {"tracking.experiment": self.study.user_attrs[sweeps.EXPERIMENT]}
        label = ", ".join(f"{key.rpartition('.')[2]}={drawn[key]}" for key in self.space.drawn)

        validations = count(1)

        def judge(epoch: int, ap: float) -> bool:
            trial.report(ap, epoch)
            return next(validations) <= sweeps.WARM_UP or not trial.should_prune()

        step = with_retries(run_trial, self.params.flows)
        try:
            answer: Answer = ended(
                step(
                    trial.number,
                    label,
                    settings,
                    self.tree,
                    self.params.flows,
                    judge,
                    return_state=True,
                )
            )
        except StageError as error:
            self.said = str(error)
            raise
        except KeyboardInterrupt:
            self.study.enqueue_trial(trial.params)  # the next sweep of this name begins with it
            raise
        trial.set_user_attr(sweeps.RUN_ID, answer.run_id)
        if answer.stopped:
            raise TrialPruned
        return answer.ap

    def _stop_in_time(self, study: "Study", trial: "FrozenTrial") -> None:
        self.failed = self.failed + 1 if trial.state.name == "FAIL" else 0
        if sweeps.counted(study) >= self.trials or self.failed >= FAILURES:
            study.stop()


def _report(study: "Study") -> str:
    """Publish what the sweep has found; the best trial in a sentence."""
    command = [sys.executable, "-m", "pipeline.sweep.report", study.study_name]
    done = subprocess.run(command, env=stage_environment(), capture_output=True, text=True)
    for line in done.stdout.splitlines():
        get_run_logger().info(line)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise StageError(f"the sweep's report failed: {said[-1].removeprefix('error: ')}")
    rows = [
        {key: value for key, value in row.items() if value is not None}
        for row in sweeps.table(study)
    ]
    create_table_artifact(key="trials", table=rows, description="Best first; AP on the val split")
    for picture in sorted(sweeps.folder(study.study_name, REPORTS).glob("*.png")):
        create_image_artifact(key=f"sweep-{picture.stem}", image_url=as_url(picture))
    best = sweeps.best(study)
    if best is None:
        return "no trial was trained to its end"
    settings = sweeps.options(sweeps.settings_of(best))
    return f"best of {sweeps.counted(study)}: val AP {best.value:.4f} with {settings}"


def main() -> int:
    """Run the flow once, with a temporary Prefect server if there is none; 1 when it failed."""
    parser = argparse.ArgumentParser(
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
    chosen = parser.parse_args()
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
