"""Saved views of MLflow's runs table: which runs, in which order, with which columns and charts.

MLflow 3.17 keeps a view that people save or share as a tag of the experiment; these are such
tags, written by the pipeline. A version that reads them otherwise shows its usual table.
No MLflow here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TAG = "mlflow.sharedViewState."
"""Before a view's key in the name of its tag."""

SETTINGS = ("model.image_size", "model.width", "train.epochs", "train.lr", "train.seed")
"""Parameters with a column of their own; what else differs stands in the tag ``changed``."""

FIRST = {"attributes.`Run Name`": 300, "attributes.start_time": 130}
"""Columns that every table of runs has, and their widths in pixels."""

FINAL = ("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge", "ECE")
"""Figures of an evaluation that have a chart; all others are in the closed sections below."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A view by the ``key`` of its address, and how it is stored."""

    key: str
    name: str
    state: Mapping[str, Any]

    def as_tag(self, created: int) -> tuple[str, str]:
        """Name and value of the experiment's tag; ``created`` in milliseconds since the epoch."""
        state = json.dumps(self.state, separators=(",", ":"))
        envelope = {"name": self.name, "createdAt": created, "updatedAt": created, "state": state}
        return TAG + self.key, json.dumps(envelope, separators=(",", ":"))


def evaluations(split: str) -> View:
    """Evaluations on a split, the best one first: figures, what was changed, settings."""
    title = f"Which is better ({split})"
    bars = [_bar(f"{split}/{name}") for name in FINAL]
    return View(
        key=f"evaluations-{split}",
        name=f"Evaluations on {split}, best first",
        state=_state(
            f"tags.stage = 'evaluate' and tags.split = '{split}'",
            f"metrics.`{split}/AP`",
            columns=[
                *_columns("metrics", (f"{split}/AP", f"{split}/AP50")),
                *_columns("tags", ("changed",)),
                *_columns("params", SETTINGS),
                *_columns("metrics", (f"{split}/AP_low", f"{split}/AP_high")),
                *_columns("tags", ("train.origin",)),
            ],
            charts={title: bars, "What was different": [_difference()]},
            closed=(f"{split}/AP", f"{split}/AP50", f"{split}/error", split),
        ),
    )


def trainings() -> View:
    """Trainings, the newest first: best validation AP, duration, settings, curves."""
    return View(
        key="trainings",
        name="Trainings, newest first",
        state=_state(
            "tags.stage = 'train'",
            "attributes.start_time",
            columns=[
                *_columns("metrics", ("best/val_AP", "best/epoch", "train/loss")),
                *_columns("tags", ("changed",)),
                *_columns("params", SETTINGS),
                *_columns("attributes", ("Dataset", "Models")),
            ],
            charts={
                "Curves over epochs": [
                    _line("val/AP"),
                    _line("val/AP50"),
                    _line("train/loss"),
                    _line("train/lr"),
                ],
                "What was different": [_difference()],
            },
            closed=("train", "val", "step", "best", "system"),
        ),
    )


def _columns(kind: str, names: Iterable[str]) -> list[str]:
    return [f"{kind}.`{name}`" for name in names]


PAGE: dict[str, Any] = {
    "orderByAsc": False,
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "datasetsFilter": [],
    "modelVersionFilter": "All Runs",
    "runsHidden": [],
    "runsHiddenMode": "FIRST_10_RUNS",
    "viewMaximized": False,
    "runListHidden": False,
    "isAccordionReordered": True,
    "useGroupedValuesInCharts": True,
    "hideEmptyCharts": True,
    "groupBy": None,
    "groupsExpanded": {},
    "globalLineChartConfig": {
        "xAxisKey": "step",
        "lineSmoothness": 0,
        "selectedXAxisMetricKey": "",
    },
}
"""What every view of ours tells MLflow's page, in its words."""


def _width(column: str) -> int:
    """Pixels of a column, for what stands in it."""
    return 330 if "changed" in column else 200 if column.startswith("attributes") else 110


def _state(
    wanted: str,
    order: str,
    *,
    columns: Sequence[str],
    charts: Mapping[str, Sequence[Mapping[str, Any]]],
    closed: Sequence[str],
) -> dict[str, Any]:
    """What MLflow's page keeps of itself.

    It adds a chart for each metric that has none, in the section of its prefix: those are
    ``closed``, so that a chart with a meaning does not drown among them.
    """
    sections = [
        _section(name, shown=True) | ({"columns": 1} if len(cards) == 1 else {})
        for name, cards in charts.items()
    ]
    cards = [
        {**card, "uuid": f"{name}/{number}", "metricSectionId": name}
        for name, section in charts.items()
        for number, card in enumerate(section)
    ]
    return PAGE | {
        "searchFilter": wanted,
        "orderByKey": order,
        "selectedColumns": list(columns),
        "columnOrder": [*FIRST, *columns],
        "columnWidths": {**FIRST, **{column: _width(column) for column in columns}},
        "compareRunCharts": cards,
        "compareRunSections": sections + [_section(name, shown=False) for name in closed],
    }


def _section(name: str, *, shown: bool) -> dict[str, Any]:
    return {"uuid": name, "name": name, "display": shown, "isReordered": True}


def _bar(metric: str) -> dict[str, Any]:
    return _card("BAR", metricKey=metric, displayName=metric)


def _line(metric: str) -> dict[str, Any]:
    return _card(
        "LINE",
        metricKey=metric,
        displayName=metric,
        lineSmoothness=0,
        scaleType="linear",
        xAxisScaleType="linear",
        xAxisKey="step",
        selectedXAxisMetricKey="",
        yAxisKey="metric",
        yAxisExpressions=[],
        range={},
        ignoreOutliers=False,
        useGlobalXaxisKey=True,
        useGlobalLineSmoothing=True,
    )


def _difference() -> dict[str, Any]:
    """A table of the parameters that the runs do not share."""
    return _card(
        "DIFFERENCE",
        chartName="Parameters that differ",
        compareGroups=["Parameters"],
        showChangeFromBaseline=False,
        showDifferencesOnly=True,
        baselineColumnUuid="",
    )


def _card(kind: str, **details: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "runsCountToCompare": 10,
        "deleted": False,
        "isGenerated": False,
    } | details
