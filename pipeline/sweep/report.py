"""What a sweep has found so far: a table of its trials, pictures, and both in MLflow."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pandas as pd

from pipeline.params.schema import load
from pipeline.paths import REPORTS
from pipeline.sweep import study as sweeps
from pipeline.tracking.connection import connect
from pipeline.tracking.runs import log_report

if TYPE_CHECKING:
    from optuna import Study

AP = "AP (val)"
REPORTED = "reported"
"""A study's mark: how many answers its last report in MLflow had."""


def report(name: str) -> None:
    """Write the pages of the sweep ``name``, tell MLflow, and print the best settings.

    Raises:
        ValueError: there is no such sweep.
    """
    study = sweeps.find(name)
    folder = sweeps.folder(study.study_name, REPORTS)
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(sweeps.table(study))
    table.to_csv(folder / "trials.csv", index=False)
    files = [folder / "trials.csv", *_pictures(study, folder)]
    _tell_mlflow(study, files)
    print(table.drop(columns=["run", "key"]).to_string(index=False, na_rep="-"))
    best = sweeps.best(study)
    if best is not None:
        print(f"pages in {folder}")
        print(f"best: trial {best.number}, val AP {best.value:.4f}; to train with it:")
        print(f"  python -m flows.training {sweeps.options(sweeps.settings_of(best))}")


def _pictures(study: "Study", folder: Path) -> Iterator[Path]:
    """Progress, curves of the trials, and what mattered; none where there is nothing to show."""
    import optuna.visualization.matplotlib as drawing
    from optuna.trial import TrialState

    complete = len(study.get_trials(False, (TrialState.COMPLETE,)))
    pictures: dict[str, Callable[[Study], Any]] = {
        "progress": partial(drawing.plot_optimization_history, target_name=AP)
    }
    pictures |= {
        "curves": drawing.plot_intermediate_values,
        "draws": partial(drawing.plot_slice, target_name=AP),
    }
    if complete >= 2 and len(study.best_params) > 1:  # else there is nothing to weigh
        pictures["importance"] = drawing.plot_param_importances
    with _quiet():
        for name, draw in pictures.items() if complete else ():
            axes: Any = draw(study)
            figure = getattr(axes, "figure", None) or axes.ravel()[0].figure
            file = folder / f"{name}.png"
            figure.savefig(file, dpi=120, bbox_inches="tight")
            mpl.pyplot.close(figure)
            yield file


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna calls its pictures experimental, and matplotlib needs no screen."""
    mpl.use("Agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _tell_mlflow(study: "Study", files: Sequence[Path]) -> None:
    """Mark the runs of the trials; a report of the sweep, unless the last one had as much."""
    config = load().tracking
    config = replace(config, experiment=study.user_attrs[sweeps.EXPERIMENT])
    name = study.study_name
    store = connect(config.experiment)
    for row in sweeps.table(study):
        known = store.find_run(str(row["run"])) if row["run"] else None
        if known is None and row["key"]:
            known = store.find_any({"stage": "train", "dvc.key": str(row["key"])})
        if known is not None:
            marks = {"sweep.trial": str(row["trial"]), "sweep.state": str(row["state"])}
            store.set_tags(str(known.info.run_id), {"sweep": name} | marks)
    best, answers = sweeps.best(study), sweeps.counted(study)
    if best is None or study.user_attrs.get(REPORTED) == answers:
        return
    figures = {"best/AP": float(best.value or 0.0), "trials": float(answers)}
    tags = {"sweep": name} | {f"best.{k}": str(v) for k, v in sweeps.settings_of(best).items()}
    log_report(config, "sweep", f"sweep-{name}-{answers}-trials", figures, tags, files)
    study.set_user_attr(REPORTED, answers)
