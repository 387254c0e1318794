"""A finished training on its Prefect pages: accuracy tables, and where the MLflow runs are."""

import json
import os
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from pipeline.paths import METRICS, REPORTS

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
EMBEDDED_PAGES = "http://127.0.0.1:5000"  # where `make ui` shows the embedded store
PICTURES = ("train/curves.png", "evaluate/pr_curve.png", "evaluate/confusion.png")
"""Plots in ``reports/`` that are shown on the flow run's pages."""


def publish(root: Path, runs: Mapping[str, str]) -> None:
    """Show the model's accuracy, plots and MLflow ``runs`` on the pages of the flow run."""
    create_table_artifact(
        key="accuracy", table=ap_table(root), description="pycocotools' figures of the best weights"
    )
    create_table_artifact(
        key="accuracy-by-class", table=class_table(root), description="Worst class first"
    )
    create_markdown_artifact(key="mlflow-runs", markdown=mlflow_page(root, runs))
    for name in PICTURES:
        picture = root / REPORTS / name
        if picture.is_file():
            create_image_artifact(key=picture.stem.replace("_", "-"), image_url=as_url(picture))


def as_url(picture: Path) -> str:
    """A small PNG in itself, because no server has it."""
    return "data:image/png;base64," + b64encode(picture.read_bytes()).decode("ascii")


def headline(root: Path) -> str:
    """One line: AP and AP50 on the evaluated split."""
    metrics = _read(root / METRICS)
    why = metrics.get("optimistic")  # of a split that the training has seen
    warned = f" (optimistic: {why})" if why else ""
    return f"{metrics['split']} AP {metrics['AP']:.3f}, AP50 {metrics['AP50']:.3f}{warned}"


def ap_table(root: Path) -> list[dict[str, Any]]:
    """Rows of pycocotools' numbers in ``reports/metrics.json``, after the split and its size."""
    metrics = _read(root / METRICS)
    return [
        {"figure": name, "value": round(value, 4) if isinstance(value, float) else value}
        for name, value in sorted(metrics.items(), key=lambda item: isinstance(item[1], float))
        if not isinstance(value, Mapping)
    ]


def class_table(root: Path) -> list[dict[str, Any]]:
    """One row a class: its name, AP and AP50; worst AP first, as that is what one looks for."""
    rows = [
        {"class": name} | {figure: round(value, 4) for figure, value in figures.items()}
        for name, figures in _read(root / METRICS)["per_class"].items()
    ]
    return sorted(rows, key=lambda row: row.get("AP", 2.0))


def mlflow_page(root: Path, runs: Mapping[str, str]) -> str:
    """Markdown: links to MLflow ``runs``, whose ids are given by stage.

    The embedded sqlite store has no address of its own; the links are those of ``make ui``.
    """
    tracking = os.environ.get(TRACKING_VARIABLE, "")
    address = _without_secrets(tracking) if _is_server(tracking) else EMBEDDED_PAGES
    lines = ["| stage | MLflow run |", "| --- | --- |"]
    for stage, run_id in runs.items():
        lines.append(f"| {stage} | [{run_id}]({address}/#/runs/{run_id}) |")
    if not _is_server(tracking):
        lines += ["", f"The links work while `make ui` runs in {root}."]
    return "\n".join(lines)


def _is_server(tracking: str) -> bool:
    return tracking.startswith(("http://", "https://"))


def _without_secrets(address: str) -> str:
    """The address without user name, password and query: artifacts are read by many."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
