"""The training flow: the stages of ``dvc.yaml`` one after the other, then the model's registration.

    python -m flows.training [-S train.epochs=20 ...] [--data my/data.yaml] [--experiment NAME]

DVC decides what is stale; Prefect shows what ran, for how long, what it printed and where it
failed. A run of which nothing was stale ends in seconds, its tasks in the state *Unchanged*.
"""

import argparse
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import State, flow
from prefect.states import Cancelled, Completed, Failed

from flows.people.report import headline, publish
from flows.server.runs import take_up
from flows.server.start import SCHEDULER_VARIABLE, run_once
from flows.steps.commands import StageError, Workplace
from flows.steps.copies import own_copy
from flows.steps.work import pull_shared, push_shared, register_model, run_stages, workplace
from flows.steps.workspace import WorkspaceBusyError, one_of_several
from pipeline.params.flows import FlowsConfig
from pipeline.params.schema import load
from pipeline.running.entry import run_stage
from pipeline.running.leash import end_with
from pipeline.workspace.dvc_files import parse_yaml
from yolov2.command_line import Parser


@flow(name="training", on_crashed=[take_up])
def training(
    settings: dict[str, Any] | None = None, data: str | None = None, experiment: str | None = None
) -> State[None]:
    """Reproduce every stage, register the model and publish its figures.

    With ``settings`` (values of params.yaml by section.key: {"train.epochs": 20}), ``data`` (a
    data set's description) or ``experiment`` (a name in MLflow) this happens in a working copy of
    its own, and params.yaml stays as it is. Ends as *Failed* with one sentence when a stage fails
    (what follows it does not run), and as *Cancelled* when another run is at work in this folder.
    """
    end_with(int(os.environ.get(SCHEDULER_VARIABLE, 0)))
    own = dict(settings or {})
    own |= {"data.config": data} if data else {}
    own |= {"tracking.experiment": experiment} if experiment else {}
    try:
        config = load().flows
        with _place(Path.cwd(), config, own) as place:
            pull_shared(place, config)
            names = run_stages(place, config)
            push_shared(place, config)
            publish(place.root, register_model(place, config))
            found = headline(place.root)
    except WorkspaceBusyError as error:
        return Cancelled(message=str(error))
    except (StageError, ValueError) as error:
        return Failed(message=str(error))
    counts = ", ".join(f"{number} {name.lower()}" for name, number in Counter(names).items())
    return Completed(message=f"{found}; stages: {counts}")


@contextmanager
def _place(root: Path, config: FlowsConfig, own: Mapping[str, object]) -> Iterator[Workplace]:
    if not own:
        with workplace(root, config) as place:
            yield place
        return
    with (
        one_of_several(root, training.name),
        own_copy(root, own) as (copy, environment),
        workplace(copy, config, environment) as place,
    ):
        yield place


def build_parser() -> argparse.ArgumentParser:
    """The options of ``python -m flows.training``."""
    parser = Parser(
        prog="python -m flows.training",
        description="Run the whole pipeline once, under Prefect.",
        epilog="example: python -m flows.training -S train.epochs=20 --experiment trials",
    )
    parser.add_argument(
        "-S",
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a value of params.yaml for this run only: train.epochs=20",
    )
    parser.add_argument("--data", metavar="FILE", help="description of another data set")
    parser.add_argument("--experiment", metavar="NAME", help="another experiment in MLflow")
    return parser


def main() -> int:
    """Run the flow once, with a temporary Prefect server if there is none; 1 when it failed."""
    chosen = build_parser().parse_args()
    parameters = {
        "settings": _settings(chosen.set),
        "data": chosen.data,
        "experiment": chosen.experiment,
    }
    own = {name: value for name, value in parameters.items() if value}
    return run_once(training, own, alone=not own)


def _settings(given: list[str]) -> dict[str, Any]:
    """``["train.epochs=20"]`` -> ``{"train.epochs": 20}``."""
    found = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign or "." not in key:
            raise ValueError(f"-S {text}: write section.key=value")
        found[key.strip()] = parse_yaml(value)
    return found


if __name__ == "__main__":
    run_stage(main)
