"""``pipeline doctor``: each finding with its remedy; what cannot be had here is patched."""

import json
import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from pipeline import cli
from pipeline.overview import doctor
from pipeline.overview.doctor import Diagnosis, examine, render

COMMIT = ("-c", "user.name=t", "-c", "user.email=t@x", "commit", "-q", "--allow-empty", "-m", "x")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a repository with a commit, where git knows nobody; no DVC."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    for command in (["init", "-q"], COMMIT):
        subprocess.run(["git", *command], check=True)
    return tmp_path


def about(subject: str) -> Diagnosis:
    (found,) = [each for each in examine() if each.subject == subject]
    return found


def test_no_git_identity(here: Path) -> None:
    found = about("git")
    assert (found.state, found.text) == (
        "odd",
        "it knows no name, which experiments need for their commits",
    )
    assert found.remedy == "git config user.name NAME && git config user.email MAIL"
    for name, value in (("user.name", "Ann"), ("user.email", "ann@x")):
        subprocess.run(["git", "config", name, value], check=True)
    assert about("git") == Diagnosis(subject="git", state="good", text="commits as Ann")


def test_no_commit_and_no_git(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(here / ".git")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(here.parent))
    assert about("git").state == "bad"
    assert about("git").remedy == "git init && git add -A && git commit"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert about("git").text == "not installed"


def test_no_dvc_repository_is_bad_and_the_status_is_3(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(here.iterdir())
    assert cli.run(["doctor"]) == 3
    out = capsys.readouterr().out
    assert f"✗ DVC: {here} is no DVC repository\n    run in the project's root\n" in out
    assert sorted(here.iterdir()) == before  # no store is made, either


def test_remarks_alone_are_0(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / ".dvc").mkdir()
    monkeypatch.setattr(doctor, "cache_of", lambda root, environment: root / "cache")
    assert cli.run(["doctor", "--json"]) == 0
    found = {each["subject"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["git"]["state"] == "odd"
    assert found["DVC"] == {
        "subject": "DVC",
        "state": "good",
        "text": f"cache {here / 'cache'}",
        "remedy": "",
    }


def may_not_write(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """As for another user than root, who may write everywhere."""
    real = os.access
    monkeypatch.setattr(os, "access", lambda p, mode: Path(p) != place and real(p, mode))


def test_cache_that_cannot_be_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / ".dvc").mkdir()
    (here / "cache").mkdir()
    monkeypatch.setattr(doctor, "cache_of", lambda root, environment: root / "cache")
    may_not_write(monkeypatch, here / "cache")
    found = about("DVC")
    assert (found.state, found.remedy) == ("bad", f"chown or chmod {here / 'cache'}")


def test_dvc_that_is_not_installed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(root: Path, environment: object) -> Path:
        raise ValueError("`-m dvc cache dir` failed: No module named dvc")

    (here / ".dvc").mkdir()
    monkeypatch.setattr(doctor, "cache_of", missing)
    found = about("DVC")
    assert (found.state, found.remedy) == (
        "bad",
        "activate the environment: source .venv/bin/activate",
    )


def test_store_that_cannot_be_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert about("MLflow").text == f"{here / 'mlflow.db'} (not made yet)"
    may_not_write(monkeypatch, here)  # where it would be made
    assert about("MLflow").state == "bad"
    (here / "mlflow.db").touch()
    assert about("MLflow") == Diagnosis(
        subject="MLflow", state="good", text=str(here / "mlflow.db")
    )
    may_not_write(monkeypatch, here / "mlflow.db")
    found = about("MLflow")
    assert (found.state, found.text) == ("bad", f"{here / 'mlflow.db'} cannot be written")
    assert found.remedy == f"chown or chmod {here / 'mlflow.db'}"


def test_store_that_does_not_answer_or_is_a_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert about("MLflow").state == "bad"
    assert "server http://127.0.0.1:9 cannot be reached" in about("MLflow").text
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mlruns")
    assert "which MLflow no longer writes to" in about("MLflow").text


def test_other_versions_than_the_lock(here: Path) -> None:
    assert not [each for each in examine() if each.subject == "packages"]  # no lock, no word
    lock = here / "requirements.lock"
    lock.write_text(f"# by make lock\nnumpy=={version('numpy')}\n")
    assert about("packages").text == "as in requirements.lock"
    lock.write_text(f"numpy==0.1\nno-such-package==7\npillow=={version('pillow')}\n")
    found = about("packages")
    assert found.state == "odd"
    assert found.text == (
        f"not those of requirements.lock: numpy {version('numpy')} instead of 0.1,"
        " no-such-package missing instead of 7"
    )
    lock.write_text("".join(f"no-such-{i}==1\n" for i in range(7)))
    assert about("packages").text.endswith("no-such-4 missing instead of 1 and 2 more")


def test_small_shared_memory_and_disk(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {Path("/dev/shm"): 64 * 2**20}
    real = shutil.disk_usage

    def usage(place: Path) -> object:
        if place in sizes:
            return SimpleNamespace(total=sizes[place], free=sizes[place])
        return real(place)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    found = about("shared memory")
    assert (found.state, found.text) == ("odd", "/dev/shm has 64 MiB, little for loader workers")
    assert found.remedy == "docker run --shm-size=2g (or --ipc=host), or machine.num_workers: 0"
    sizes |= {Path("/dev/shm"): 2**30, here: 2**29}
    assert about("shared memory").text == "1.0 GiB"
    assert (about("disk").state, about("disk").text) == ("odd", "0.5 GiB free")


def test_threads_on_a_machine_that_others_use(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: [0, 1], raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.6, 0.0, 0.0))
    monkeypatch.delenv("OMP_NUM_THREADS")
    found = about("threads")
    assert (found.state, found.text) == (
        "odd",
        "a load of 1.6 on 2 cores: a layer waits for its slowest thread",
    )
    assert found.remedy.startswith("OMP_NUM_THREADS=1 (or machine.threads: 1) is faster")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert about("threads").state == "odd"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert (about("threads").state, about("threads").text) == (
        "good",
        "2 cores, a load of 1.6, 1 threads",
    )
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "getloadavg", lambda: (1.4, 0.0, 0.0))
    assert about("threads").state == "good"


def test_a_line_for_each_finding_its_remedy_below() -> None:
    found = [
        Diagnosis(subject="a", state="good", text="well"),
        Diagnosis(subject="b", state="odd", text="hm", remedy="do"),
        Diagnosis(subject="c", state="bad", text="no", remedy="do that"),
    ]
    assert render(found) == "✓ a: well\n! b: hm\n    do\n✗ c: no\n    do that"
