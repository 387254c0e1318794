"""Addresses of runs and views on MLflow's pages. No MLflow here."""

import os
from urllib.parse import quote, urlsplit

LOCAL = "http://127.0.0.1:5000"
"""Where ``make ui`` shows the embedded store, or a database that is named directly."""

_MODE = "workflowType=machine_learning"
"""Opens the pages on "Model training" rather than on "GenAI"."""


def page_root(uri: str) -> str:
    """The address of MLflow's pages for a store: the server's own, else that of ``make ui``."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return f"http://127.0.0.1:{os.environ['PORT']}" if os.environ.get("PORT") else LOCAL
    host = parts.netloc.rpartition("@")[2]  # a link is passed on: without name and password
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


def run_link(experiment_id: str, run_id: str, root: str = "") -> str:
    """The page of a run; without ``root`` from another of MLflow's pages."""
    return f"{root}{'/' if root else ''}#/experiments/{experiment_id}/runs/{run_id}"


def view_link(experiment_id: str, key: str, root: str = "", *, charts: bool = False) -> str:
    """The runs in a saved view, as a table or as charts."""
    mode = "&compareRunsMode=CHART" if charts else ""
    chosen = f"{_MODE}&viewStateShareKey={quote(key, safe='')}{mode}"
    return f"{root}{'/' if root else ''}#/experiments/{experiment_id}/runs?{chosen}"
