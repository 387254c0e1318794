import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from flows.steps.commands import StageError, Workplace, run, stage_environment
from flows.steps.stages import reproduce, stage_names, stale
from flows.steps.workspace import sole_pipeline

ROOT = Path(__file__).resolve().parents[3]


def reproduced(root: Path, stage: str) -> tuple[str, list[str]]:
    said: list[str] = []
    with sole_pipeline(root) as lock:
        return reproduce(Workplace(root=root, lock=lock, emit=said.append), stage), said


def script(root: Path, program: str, emit: list[str] | None = None) -> list[str]:
    said = [] if emit is None else emit
    with sole_pipeline(root) as lock:
        place = Workplace(root=root, lock=lock, emit=said.append)
        run(place, "the program", [sys.executable, "-c", program])
    return said


def test_stage_runs_alone_then_is_unchanged_then_restored(workspace: Path) -> None:
    with pytest.raises(StageError, match=r"stage 'train' failed .* No such file .*digits\.txt"):
        reproduced(workspace, "train")  # nothing before it is run under its name
    assert reproduced(workspace, "digits")[0] == "ran"
    outcome, said = reproduced(workspace, "train")
    assert outcome == "ran"
    assert "trained" in said
    assert reproduced(workspace, "train")[0] == "unchanged"
    work = workspace / "behaviour.txt"
    work.write_text("succeed again\n")
    assert reproduced(workspace, "train")[0] == "ran"
    work.write_text("succeed\n")
    outcome, said = reproduced(workspace, "train")
    assert outcome == "restored"
    assert "trained" not in said


def test_failure_carries_the_stages_own_words(workspace: Path) -> None:
    reproduced(workspace, "digits")
    (workspace / "behaviour.txt").write_text("fail\n")
    expected = (
        r"stage 'train' failed with exit status 255: labels/7\.txt:3: class 99 is out of range:"
        r" classes are 0 to 9"
    )
    with pytest.raises(StageError, match=f"^{expected}$"):
        reproduced(workspace, "train")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("print('error: first'); print('error: second'); print('after')", "second"),
        ("print('a'); 1/0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(1)", "no output"),
    ],
)
def test_reason_of_a_failure(tmp_path: Path, program: str, reason: str) -> None:
    with pytest.raises(StageError, match=f"^the program failed with exit status 1: {reason}$"):
        script(tmp_path, f"{program}; raise SystemExit(1)")


def test_lines_arrive_while_the_stage_works(tmp_path: Path) -> None:
    arrivals: list[float] = []
    with sole_pipeline(tmp_path) as lock:
        program = "import time; print('a'); time.sleep(1); print('b')"
        command = [sys.executable, "-c", program]
        stamp = lambda _: arrivals.append(time.monotonic())  # noqa: E731
        run(Workplace(root=tmp_path, lock=lock, emit=stamp), "x", command)
    assert arrivals[1] - arrivals[0] > 0.8


def test_progress_bars_and_strange_bytes_are_readable_lines(tmp_path: Path) -> None:
    program = (
        "import os; os.write(1, b'10%\\r50%\\r100%   \\n\\n'); os.write(2, b'caf\\xe9 \\xc3\\xa9');"
        "os.write(1, b'\\r\\nlast')"
    )
    assert script(tmp_path, program) == ["100%", "caf\ufffd \u00e9", "last"]


def test_environment_of_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "abc")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")  # a person's own choice stays
    monkeypatch.setenv("PATH", "/usr/bin")
    found = stage_environment()
    assert "PREFECT__FLOW_RUN_ID" not in found
    assert found["MLFLOW_DISABLE_TELEMETRY"] == "false"
    assert found["DVC_NO_ANALYTICS"] == "1"
    assert found["PATH"] == f"{Path(sys.executable).parent}{os.pathsep}/usr/bin"


def test_stages_come_in_the_order_of_dvc_yaml(workspace: Path) -> None:
    assert stage_names(workspace) == ["digits", "train"]
    (workspace / "dvc.yaml").write_text("plots: []\n")
    with pytest.raises(ValueError, match=r"dvc\.yaml has no stages"):
        stage_names(workspace)
    (workspace / "dvc.yaml").write_text("stages: {a: b")
    with pytest.raises(
        ValueError, match=r"dvc\.yaml cannot be read as YAML: while parsing .* line 1"
    ):
        stage_names(workspace)
    (workspace / "dvc.yaml").unlink()
    with pytest.raises(ValueError, match=r"no dvc\.yaml in .*: run from the repository's root"):
        stage_names(workspace)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killing_the_caller_ends_dvc_and_all_its_children(workspace: Path, number: int) -> None:
    (workspace / "behaviour.txt").write_text("hang\n")
    caller = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from flows.steps.commands import Workplace
from flows.steps.stages import reproduce
from flows.steps.workspace import sole_pipeline
root = Path({str(workspace)!r})
with sole_pipeline(root) as lock:
    place = Workplace(root=root, lock=lock, emit=print)
    reproduce(place, "digits")
    reproduce(place, "train")
"""
    process = subprocess.Popen([sys.executable, "-c", caller], stdout=subprocess.DEVNULL)
    started = workspace / "hanging.txt"
    deadline = time.monotonic() + 60
    while not (started.exists() and started.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 4  # leash, dvc, stage, the stage's child
    process.send_signal(number)
    process.wait(30)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    assert (workspace / "checkpoint.txt").read_text() == "saved"
    with sole_pipeline(workspace):
        pass


def test_what_is_stale_is_named(workspace: Path) -> None:
    with sole_pipeline(workspace) as lock:
        place = Workplace(root=workspace, lock=lock, emit=print)
        assert set(stale(place)) == {"digits", "train"}
        reproduce(place, "digits")
        reproduce(place, "train")
        assert stale(place) == []


def test_what_lies_behind_links_is_looked_at_when_nothing_else_is_stale(workspace: Path) -> None:
    document = yaml.safe_load((workspace / "dvc.yaml").read_text())
    document["stages"]["links"] = {
        "cmd": "cat digits.txt behind.txt > links.txt",
        "always_changed": True,
        "deps": ["digits.txt"],  # as the real one: of a data set that a stage has yet to make
        "outs": ["links.txt"],
    }
    document["stages"]["train"]["deps"].append("links.txt")
    (workspace / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    behind = workspace / "behind.txt"
    behind.write_text("a")
    with sole_pipeline(workspace) as lock:
        place = Workplace(root=workspace, lock=lock, emit=print)
        assert set(stale(place)) == {"digits", "links", "train"}
        for stage in ("digits", "links", "train"):
            reproduce(place, stage)
        assert stale(place) == []
        behind.write_text("b")  # which DVC does not see
        assert stale(place) == ["train"]


def test_time_limit_ends_a_command(tmp_path: Path) -> None:
    program = "import time; print('begun', flush=True); time.sleep(600)"
    with sole_pipeline(tmp_path) as lock:
        place = Workplace(root=tmp_path, lock=lock, emit=print, limit_seconds=1)
        with pytest.raises(StageError, match="x took longer than .* hours and was ended") as error:
            run(place, "x", [sys.executable, "-c", program])
    assert not error.value.passing


def test_order_in_our_dvc_yaml_is_one_in_which_stages_can_run() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    later: set[str] = set()
    for stage in reversed(stage_names(ROOT)):
        later |= {str(out) for out in stages[stage].get("outs", [])}
        assert not later & {str(dep) for dep in stages[stage].get("deps", [])}, stage
