"""Training that goes on exactly where it was, whatever ended it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from tests.yolov2.mounts import mounted
from tests.yolov2.trainer import small_inputs
from yolov2.network.checkpoint import read_checkpoint
from yolov2.network.device import TooLittleMemoryError
from yolov2.runs import assembly, durable
from yolov2.runs.run import train_run
from yolov2.termination import Terminated, terminable
from yolov2.training import optimise, position
from yolov2.training.nonfinite import NonFiniteLossError
from yolov2.training.reports import Event, Notice, StepReport

REPOSITORY = Path(__file__).resolve().parents[3]


def train(root: Path, **settings: Any) -> list[Event]:
    return list(train_run(small_inputs(root, **settings), root / "run", resume=True))


def everything(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of the newest checkpoint: averaged and raw weights, momenta, sums."""
    state = read_checkpoint(folder / "run" / "last.pt")
    momenta = state["training"]["optimizer"]["state"]
    raw = state["training"]["weights"] or {}
    return (
        {f"model.{name}": tensor for name, tensor in state["model"].items()}
        | {f"raw.{name}": tensor for name, tensor in raw.items()}
        | {f"momentum.{i}": each["momentum_buffer"] for i, each in momenta.items()}
    )


def assert_same(one: Path, other: Path) -> None:
    first, second = everything(one), everything(other)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    for table in ("history.csv", "steps.csv"):
        assert (one / "run" / table).read_bytes() == (other / "run" / table).read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted training of three epochs of three steps."""
    root = tmp_path_factory.mktemp("whole")
    train(root)
    return root


def test_the_tables_of_a_training(whole: Path) -> None:
    history = pd.read_csv(whole / "run" / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["step"].tolist() == [3, 6, 9]
    assert history["AP"].notna().tolist() == [False, True, True]
    steps = pd.read_csv(whole / "run" / "steps.csv")
    assert steps["step"].tolist() == [2, 4, 6, 8]
    # means an image: steps 1 and 2 had four images each, the third of each epoch two
    weighted = steps["loss"].iloc[:1] * 8
    assert weighted.iloc[0] < history["loss"].iloc[0] * 10
    speed = pd.read_csv(whole / "run" / "speed.csv")
    assert speed["epoch"].tolist() == [1, 2, 3]
    assert (speed["images_per_second"] > 0).all()
    assert speed["data_wait"].between(0, 1).all()


class Interrupt(BaseException):
    """Stands for a signal that comes at a moment of the test's choice."""


def cut_off() -> None:
    raise Interrupt


def interrupting(
    function: Callable[..., Any], at: int, by: Callable[[], None] = cut_off
) -> Callable[..., Any]:
    """``function``, after whose call number ``at`` (from 1) ``by`` is called."""
    calls = [0]

    def cut(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        calls[0] += 1
        if calls[0] == at:
            by()
        return result

    return cut


@pytest.mark.parametrize(
    ("module", "name", "at", "resumed"),
    [
        (optimise, "yolov2_loss", 1, 0),  # in the first step
        (optimise, "yolov2_loss", 4, 1),  # between the batches of a step that accumulates
        (optimise, "yolov2_loss", 9, 4),
        (optimise, "clip_grad_norm_", 7, 6),  # the gradients are there, the weights have not moved
        (assembly, "score_split", 1, 6),  # validating: nothing is trained twice
    ],
)
def test_cut_off_anywhere_it_goes_on_exactly(
    module: Any, name: str, at: int, resumed: int, whole: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, interrupting(getattr(module, name), at))
        with pytest.raises(Interrupt):
            train(tmp_path)
    assert read_checkpoint(tmp_path / "run" / "last.pt")["training"]["at"]["step"] == resumed
    steps = [e.step for e in train(tmp_path) if isinstance(e, StepReport)]
    assert steps == list(range(resumed + 1, 10))
    assert_same(whole, tmp_path)


@pytest.mark.parametrize(
    ("module", "name", "at", "resumed"),
    [
        (position.Position, "advance", 4, 4),  # weights moved, the row of the log not yet yielded
        (position.Position, "close_epoch", 1, 3),
        (durable, "save_checkpoint", 1, 6),  # best.pt of the second epoch
        (durable, "save_state", 1, 6),
    ],
)
def test_sigterm_waits_until_weights_tables_and_files_agree(
    module: Any, name: str, at: int, resumed: int, whole: Path, tmp_path: Path
) -> None:
    def ask_to_end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, interrupting(getattr(module, name), at, ask_to_end))
        with terminable(), pytest.raises(Terminated):
            train(tmp_path)
    assert read_checkpoint(tmp_path / "run" / "last.pt")["training"]["at"]["step"] == resumed
    train(tmp_path)
    assert_same(whole, tmp_path)
    hashes = [(root / "run" / "hashes.json").read_text() for root in (whole, tmp_path)]
    assert hashes[0] == hashes[1]  # of best.pt


def test_the_consumers_failure_loses_nothing(whole: Path, tmp_path: Path) -> None:
    events = train_run(small_inputs(tmp_path), tmp_path / "run")
    for event in events:
        if isinstance(event, StepReport) and event.step == 5:
            break
    events.close()  # as an exception in the loop over the events does
    assert read_checkpoint(tmp_path / "run" / "last.pt")["training"]["at"]["step"] == 5
    train(tmp_path)
    assert_same(whole, tmp_path)


def test_a_damaged_checkpoint_is_passed_over(whole: Path, tmp_path: Path) -> None:
    settings = {"checkpoint.every_steps": 2, "checkpoint.keep": 2}
    events = train_run(small_inputs(tmp_path, **settings), tmp_path / "run")
    for event in events:
        if isinstance(event, StepReport) and event.step == 5:
            break
    events.close()
    assert [p.name for p in sorted((tmp_path / "run").glob("step-*.pt"))] == [
        "step-00000002.pt",
        "step-00000004.pt",
        "step-00000005.pt",
    ]
    newest = tmp_path / "run" / "step-00000005.pt"  # last.pt is the same file
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    first, *rest = train(tmp_path, **settings)
    assert isinstance(first, Notice)
    assert "last.pt" in first.text
    assert first.text.endswith("going on from " + str(tmp_path / "run" / "step-00000004.pt"))
    assert next(event.step for event in rest if isinstance(event, StepReport)) == 5
    assert_same(whole, tmp_path)


def test_only_damaged_checkpoints_say_what_to_do(tmp_path: Path) -> None:
    events = train_run(small_inputs(tmp_path), tmp_path / "run")
    next(event for event in events if isinstance(event, StepReport))
    events.close()
    for path in (tmp_path / "run").glob("*.pt"):
        path.write_bytes(b"no")
    with pytest.raises(ValueError, match="no checkpoint in .* can be read: .*train anew"):
        train(tmp_path)


def program(root: Path, **settings: object) -> list[str]:
    """The command of a training into ``root``."""
    given = [f"{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", "tests.yolov2.trainer", str(root), *given]


def start(root: Path, **settings: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        program(root, **settings),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("amp", ["off", "bf16"])
def test_killed_at_random_moments(amp: str, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(whole, amp=amp)
    rng = random.Random(amp)
    for until in (1, 4, 7):
        with start(killed, amp=amp, **{"checkpoint.every_steps": 1}) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line == f"step {until}\n":
                    break
            time.sleep(rng.uniform(0, 0.1))  # somewhere in the next steps, or while saving
            os.killpg(process.pid, signal.SIGKILL)
    train(killed, amp=amp)
    assert_same(whole, killed)


def test_sigterm_saves_the_last_whole_step(whole: Path, tmp_path: Path) -> None:
    with start(tmp_path, num_workers=1) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "step 4\n":
                break
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert "Terminated" in errors
    at = read_checkpoint(tmp_path / "run" / "last.pt")["training"]["at"]["step"]
    assert 4 <= at < 9
    train(tmp_path)
    assert_same(whole, tmp_path)


def test_a_training_computes_with_the_threads_it_is_given(tmp_path: Path) -> None:
    # MKL takes no more than there are cores, unless it is told
    three = {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3", "MKL_DYNAMIC": "FALSE"}

    def told(name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((tmp_path / "run" / name).read_text())
        return content

    for given, threads in ((1, 1), (2, 2), (0, 3)):  # the same training, with others each time
        completed(program(tmp_path, threads=given, epochs=1), **three)
        assert told("environment.json")["threads"] == threads
        assert told("parameters.json")["machine"]["threads"] == given


def test_a_dead_loader_worker_is_replaced(whole: Path, tmp_path: Path) -> None:
    with start(tmp_path, num_workers=1) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line == "step 1\n")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        rest = process.stdout.read()
        assert process.wait(60) == 0, process.stderr and process.stderr.read()
    assert "the loader was started anew" in rest
    assert_same(whole, tmp_path)


def completed(command: list[str], **environment: str) -> str:
    """What a training printed that came to its end, within three minutes."""
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_dev_shm_too_small_for_a_batch_holds_nothing_up(whole: Path, tmp_path: Path) -> None:
    """Docker gives 64 MB; here not even one batch of 49 kB (64 pixels, 4 images) fits."""
    command = mounted("size=16k", Path("/dev/shm"), program(tmp_path, batch_size=4, num_workers=2))
    completed(command)
    whole = tmp_path / "whole"
    train(whole, batch_size=4)
    assert_same(whole, tmp_path)


def test_a_cache_disk_that_gets_full_is_named_and_done_without(whole: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / "yolov2" / "images").mkdir(parents=True)
    # room enough for the pixels, but for a few files only
    command = mounted("size=4m,nr_inodes=6", cache, program(tmp_path, cache="disk", num_workers=1))
    printed = completed(command, XDG_CACHE_HOME=str(cache))
    notices = [line for line in printed.splitlines() if line.startswith("notice ")]
    assert notices == [
        f"notice {cache}/yolov2/images: no more decoded images can be kept there (No space left on"
        " device): those that are missing are decoded each time; make room, or set cache: ram or"
        " none"
    ]
    assert_same(whole, tmp_path)


def test_too_few_open_files_for_workers_are_said_and_done_without(
    whole: Path, tmp_path: Path
) -> None:
    limit = 'ulimit -n 16; exec "$@"'
    command = ["sh", "-c", limit, "sh", *program(tmp_path, num_workers=2, cache="disk")]
    printed = completed(command, XDG_CACHE_HOME=str(tmp_path / "cache"))
    text = "no loader workers can be started (Too many open files, ulimit -n is 16): the images are"
    assert f"notice {text} read without\n" in printed
    assert_same(whole, tmp_path)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_vanished_image_is_named_and_nothing_lost(split: str, tmp_path: Path) -> None:
    inputs = small_inputs(tmp_path, num_workers=1)
    gone = tmp_path / "set" / "images" / split / ("3.png" if split == "train" else "11.png")
    content = gone.read_bytes()
    gone.unlink()
    with pytest.raises(ValueError, match=rf"^{gone}: no such image file$"):
        list(train_run(inputs, tmp_path / "run"))
    at = read_checkpoint(tmp_path / "run" / "last.pt")["training"]["at"]["step"]
    assert at < 3 if split == "train" else at == 6  # validated after the second epoch
    gone.write_bytes(content)
    train(tmp_path)


def poisoned(function: Callable[..., Any], calls: set[int]) -> Callable[..., Any]:
    """``yolov2_loss`` that is NaN at the calls with these numbers (from 1)."""
    count = [0]

    def loss(*args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        raw, *rest = args
        return function(raw * float("nan") if count[0] in calls else raw, *rest, **kwargs)

    return loss


def test_nan_stops_with_step_images_and_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimise, "yolov2_loss", poisoned(optimise.yolov2_loss, {9}))
    with pytest.raises(NonFiniteLossError) as raised:
        train(tmp_path, **{"checkpoint.every_steps": 2})
    text = str(raised.value)
    assert text.startswith("the loss became nan in epoch 2, step 5 (")
    assert "largest activations: " in text
    assert text.count("images/train/") == 4  # the step's
    # not the state that led to it
    assert read_checkpoint(tmp_path / "run" / "last.pt")["training"]["at"]["step"] == 4


@pytest.mark.parametrize(
    ("rate", "layer"),
    [
        (1e39, "trunk.early.0.0 nan"),  # above float32: infinite weights, and inf - inf in each sum
        (1e38, "trunk.early.0.0 inf"),
        (1e20, "trunk.early.2.0 inf"),  # what the layers before it give is finite yet
    ],
)
@pytest.mark.parametrize("batch_size", [4, 2])  # a step at a time, and in two parts
def test_a_rate_that_ruins_the_weights_is_explained_with_the_layer_where_it_began(
    tmp_path: Path, rate: float, layer: str, batch_size: int
) -> None:
    with pytest.raises(NonFiniteLossError) as raised:
        train(tmp_path, lr=rate, warmup_epochs=0.0, batch_size=batch_size)
    text = str(raised.value)
    assert text.startswith("the loss became nan in epoch 1, step 2 (")
    assert f"; largest activations: {layer}, " in text


def test_nan_rolls_back_with_a_lower_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimise, "yolov2_loss", poisoned(optimise.yolov2_loss, {1, 9}))
    events = train(
        tmp_path, **{"checkpoint.every_steps": 2, "failure.on_nan": "rollback", "log_every": 1}
    )
    texts = [event.text for event in events if isinstance(event, Notice)]
    assert len(texts) == 2
    assert "Rolled back to step 0 with the learning rate times 0.5 (rollback 1 of at" in texts[0]
    assert "with the learning rate times 0.25 (rollback 2 of at most 3)" in texts[1]
    assert [e.step for e in events if isinstance(e, StepReport)][-1] == 9
    table = pd.read_csv(tmp_path / "run" / "steps.csv")
    assert table["step"].tolist() == list(range(1, 10))
    plain = tmp_path / "plain"
    monkeypatch.undo()
    train(plain, log_every=1)
    rates = table["lr"] / pd.read_csv(plain / "run" / "steps.csv")["lr"]
    assert rates.iloc[0] == pytest.approx(0.5)
    assert rates.iloc[-1] == pytest.approx(0.25)


def test_a_checkpoint_that_leads_to_the_same_is_not_gone_back_to_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the third step on the loss is infinite: the state after the second may be the cause."""
    monkeypatch.setattr(optimise, "yolov2_loss", poisoned(optimise.yolov2_loss, set(range(5, 100))))
    rules = {"checkpoint.every_steps": 1, "checkpoint.keep": 2, "failure.on_nan": "rollback"}
    texts: list[str] = []

    def follow() -> None:
        for event in train_run(small_inputs(tmp_path, **rules), tmp_path / "run"):
            if isinstance(event, Notice):
                texts.append(event.text)

    with pytest.raises(ValueError, match="rolled back 3 times, which did not help"):
        follow()
    places = [text.split("Rolled back to ")[1].split(" with")[0] for text in texts]
    assert places == ["step 2", "step 1", "step 0"]
    assert "learning rate times 0.125" in texts[-1]


def test_automatic_batch_goes_on_with_the_steps_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is less memory when it goes on: 3 images would fit then, 4 did at the beginning."""
    auto = {"batch_size": "auto", "nominal_batch": 0}
    monkeypatch.setattr(assembly, "largest_batch", lambda loss, device, limit: 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimise, "yolov2_loss", interrupting(optimise.yolov2_loss, 3))
        with pytest.raises(Interrupt):
            train(tmp_path, **auto)
    monkeypatch.setattr(assembly, "largest_batch", lambda loss, device, limit: 3)
    train(tmp_path, **auto)
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert history["step"].tolist() == [3, 6, 9]


def test_rollbacks_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimise, "yolov2_loss", poisoned(optimise.yolov2_loss, set(range(99))))
    with pytest.raises(ValueError, match="rolled back 2 times, which did not help"):
        train(tmp_path, **{"failure.on_nan": "rollback", "failure.rollbacks": 2})


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A network that has memory for one image at a time."""
    real = optimise.Optimiser.forward

    def forward(self: optimise.Optimiser, batch: Any) -> torch.Tensor:
        if len(batch.images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(self, batch)

    monkeypatch.setattr(optimise.Optimiser, "forward", forward)
    return None


@pytest.mark.usefixtures("little_memory")
def test_too_little_memory_says_what_helps(tmp_path: Path) -> None:
    with pytest.raises(TooLittleMemoryError) as raised:
        train(tmp_path)
    text = str(raised.value)
    assert text.startswith("out of memory on cpu: 2 images of ")
    assert "train.batch_size: 1 with train.nominal_batch: 2" in text
    assert "GiB are free" in text


@pytest.mark.usefixtures("little_memory")
def test_too_little_memory_halves_the_batch(tmp_path: Path) -> None:
    events = train(tmp_path, batch_size=4, **{"failure.on_oom": "halve"})
    texts = [event.text for event in events if isinstance(event, Notice)]
    assert [text.split("Halved: ")[1] for text in texts] == [
        "2 images at a time from step 1 on",
        "1 images at a time from step 1 on",
    ]
    direct = tmp_path / "direct"
    train(direct, batch_size=1)
    assert_same(direct, tmp_path)  # steps and images are those of the nominal batch


SCARCE = """
import resource, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from tests.yolov2.scenes import squares
from tests.yolov2.trainer import small_inputs
from yolov2.config.model import ModelConfig
from yolov2.detection.detections import Detections, ground_truth
from yolov2.evaluation.score import average_precision
from yolov2.runs.run import train_run
from yolov2.training.reports import EpochReport, Notice, StepReport

root, room = Path(sys.argv[1]), int(sys.argv[2])
plain = {"epochs": 1, "batch_size": 1, "nominal_batch": 0, "multi_scale.every": 0}
inputs = small_inputs(root, **plain, **{"augment.mosaic": 0.0, "augment.mixup": 0.0})
inputs = replace(
    inputs,
    tables=squares(root / "set", train=2, val=16),
    model=ModelConfig(image_size=640, width=0.125),
)
# hotcoco starts threads, each with a stack of its own: before memory is scarce
truth = ground_truth(inputs.tables, "val")
right = {
    i: Detections(
        boxes_xyxy=t.boxes_xyxy, scores=np.ones(len(t.boxes_xyxy)), class_ids=t.class_ids
    )
    for i, t in truth.items()
}
assert average_precision(truth, right, 2)["AP"] == 1
for event in train_run(inputs, root / "run"):
    if isinstance(event, StepReport) and event.step == 2:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + room * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    if isinstance(event, EpochReport | Notice):
        print(event.text if isinstance(event, Notice) else event.validation)
"""


def test_memory_that_suffices_for_training_alone_is_enough(tmp_path: Path) -> None:
    """An image at a time is learnt from, sixteen are validated: all that is left is 40 MiB."""
    outputs = []
    for room in ("40", "4000"):
        command = [sys.executable, "-c", SCARCE, str(tmp_path / room), room]
        outputs.append(completed(command, PYTHONPATH=".").splitlines())
    scarce, ample = outputs
    assert len(ample) == 1
    assert scarce[0] == ample[0]
    assert scarce[1].startswith(
        "out of memory on cpu: 16 images of 640x640 pixels at a time do not fit ("
    )
    assert scarce[1].endswith("): 8 at a time from here on")


def test_early_stopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.1, 0.5, 0.5, 0.3, 0.2, 0.9])  # as good is not better
    monkeypatch.setattr(assembly, "score_split", lambda *args: {"AP": next(values), "AP50": 0.5})
    events = train(tmp_path, epochs=9, validate_every=1, patience=2)
    texts = [event.text for event in events if isinstance(event, Notice)]
    assert texts == ["early stopping: no better AP than 0.5000 for 2 epochs"]
    assert pd.read_csv(tmp_path / "run" / "history.csv")["epoch"].tolist() == [1, 2, 3, 4]
    assert (tmp_path / "run" / "hashes.json").exists()


def test_settings_without_effect_are_said_at_the_beginning(tmp_path: Path) -> None:
    settings = {"epochs": 1, "augment.mosaic_off_epochs": 2}
    events = train_run(small_inputs(tmp_path, **settings), tmp_path / "run")
    assert next(iter(events)) == Notice(
        text="mosaic 0.5 and mixup 0.3 change nothing: mosaic_off_epochs is 2 and epochs is 1, so"
        " no epoch has them",
        step=0,
    )
    for event in events:
        if isinstance(event, StepReport):
            break
    events.close()  # type: ignore[attr-defined]
    assert not [event for event in train(tmp_path, **settings) if isinstance(event, Notice)]


def test_a_disk_that_is_full_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    train_events = train_run(
        small_inputs(tmp_path, **{"checkpoint.every_steps": 2}), tmp_path / "run"
    )
    for event in train_events:
        if isinstance(event, StepReport) and event.step == 3:
            break
    before = (tmp_path / "run" / "last.pt").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match=r"step-00000004.pt|File too large"):
            list(train_events)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "run" / "last.pt").read_bytes() == before
    assert not list((tmp_path / "run").glob(".step-*"))


def test_checkpoints_hold_every_random_state(tmp_path: Path) -> None:
    train(tmp_path)
    state = read_checkpoint(tmp_path / "run" / "last.pt")["training"]["random"]
    rng = random.getstate(), torch.get_rng_state()
    try:
        durable.restore_random_state(state)
        first = (random.random(), torch.rand(1).item())
        random.random(), torch.rand(1)
        durable.restore_random_state(state)
        assert (random.random(), torch.rand(1).item()) == first
    finally:
        random.setstate(rng[0])
        torch.set_rng_state(rng[1])
