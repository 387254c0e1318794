"""DVC's own page, rendered through the template, asks nothing of the network."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.workspace import plots

DVC_YAML = "plots:\n  - Loss: {x: epoch, y: {history.csv: [loss, coord]}}\n"


def _dvc(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True, timeout=60)


def test_page_carries_its_charts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _dvc("init", "-q", "--no-scm")
    Path("dvc.yaml").write_text(DVC_YAML)
    Path("history.csv").write_text("epoch,loss,coord\n1,3.5,2\n2,2.5,1\n")
    plots.make_template()
    _dvc("plots", "show", "-q", "--out", "page")
    page = Path("page/index.html").read_text()
    assert 'src="http' not in page
    assert "cdn.jsdelivr.net/npm/vega@" not in page
    assert "window.vegaEmbed=" in page
    assert page.count("vegaEmbed('#") == 1
    assert '"loss": "3.5"' in page
    assert "{plot_divs}" not in page
    assert "{refresh_tag}" not in page
