"""Several processes train as one."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from yolov2.network.checkpoint import read_checkpoint
from yolov2.training.world import World

REPOSITORY = Path(__file__).resolve().parents[3]
FROZEN = {"FROZEN_STATISTICS": "1"}
RECIPE = ("epochs=2", "batch_size=4", "nominal_batch=8", "ema_decay=0.9", "momentum=0.9")
"""Ten images: each epoch a step of eight, then one of two."""


def start(
    root: Path, *settings: str, processes: int = 1, **environment: str
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m"]
    if processes > 1:
        command += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    return subprocess.Popen(
        [*command, "tests.yolov2.trainer", str(root), *RECIPE, *settings],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return output


def weights(root: Path) -> torch.Tensor:
    model = read_checkpoint(root / "run" / "last.pt")["model"]
    return torch.cat([tensor.flatten().double() for tensor in model.values()])


def test_two_processes_equal_one(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    together = [
        start(one, **FROZEN),
        start(two, "batch_size=8", "nominal_batch=0", processes=2, **FROZEN),
    ]
    outputs = [finish(process) for process in together]
    assert outputs[0] == outputs[1]  # rank 0 alone says anything
    assert torch.allclose(weights(one), weights(two), rtol=1e-4, atol=1e-6)
    histories = [pd.read_csv(root / "run" / "history.csv") for root in (one, two)]
    # losses, collisions, and the validation that both shared and gathered
    pd.testing.assert_frame_equal(*histories, rtol=1e-4)
    assert histories[0]["AP"].notna().any()


def test_more_processes_than_images_of_a_step(tmp_path: Path) -> None:
    one, three = tmp_path / "one", tmp_path / "three"
    together = [start(one, **FROZEN), start(three, "batch_size=3", processes=3, **FROZEN)]
    for process in together:
        finish(process)
    assert torch.allclose(weights(one), weights(three), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_compiled_network_in_more_processes_than_images_of_a_step(tmp_path: Path) -> None:
    settings = ("epochs=1", "batch_size=3", "compile=true", "multi_scale.every=0")
    assert "step 2\n" in finish(start(tmp_path, *settings, processes=3))


def test_terminated_processes_go_on(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finish(start(whole, "epochs=4", processes=2, **FROZEN))
    process = start(cut, "epochs=4", processes=2, **FROZEN)
    assert process.stdout is not None
    next(line for line in process.stdout if line == "step 3\n")
    process.send_signal(signal.SIGTERM)  # torchrun passes it on
    process.communicate(timeout=120)
    assert 3 <= read_checkpoint(cut / "run" / "last.pt")["training"]["at"]["step"] < 8
    finish(start(cut, "epochs=4", processes=2, **FROZEN))
    assert torch.allclose(weights(whole), weights(cut), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("processes", [3, pytest.param(4, marks=pytest.mark.slow)])
def test_a_training_that_is_taken_up_ends_bit_for_bit_the_same(
    tmp_path: Path, processes: int
) -> None:
    # steps of five images, of which every process has one: two sums are equal in any order;
    # AdamW, because it makes the last bit of a gradient visible in the weights
    settings = ("batch_size=5", "nominal_batch=5", "optimizer=adamw", "checkpoint.keep=99")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finish(start(whole, *settings, "checkpoint.every_steps=1", processes=processes))
    (cut / "run").mkdir(parents=True)
    shutil.copy(whole / "run" / "step-00000001.pt", cut / "run" / "last.pt")
    finish(start(cut, *settings, processes=processes))
    assert read_checkpoint(cut / "run" / "last.pt")["training"]["at"]["step"] == 4
    assert torch.equal(weights(whole), weights(cut))


@pytest.mark.parametrize("batch_size", [pytest.param(4, marks=pytest.mark.slow), 2])
def test_statistics_over_all_processes_of_an_uneven_step(tmp_path: Path, batch_size: int) -> None:
    # an epoch is a step of nine images and one of a single image: 5 and 4, then 1 and 0 of them,
    # two or one at a time. Exact sums and small steps, for rounding errors grow fast here: they
    # take a fifth of the tolerance, and statistics of each process alone 480 times as much as it
    settings = ("nominal_batch=9", "channels_last=false", "lr=0.0001", "augment.augment_on=device")
    settings = (*settings, f"batch_size={batch_size}")
    one, two = tmp_path / "one", tmp_path / "two"
    both = [
        start(one, *settings),
        start(two, *settings, "sync_batch_norm=true", processes=2, SUMMED_STATISTICS="1"),
    ]
    for process in both:
        finish(process)
    assert torch.allclose(weights(one), weights(two), rtol=1e-2, atol=1e-4)


def test_synchronised_batch_norm_needs_cuda() -> None:
    with pytest.raises(ValueError, match="sync_batch_norm needs CUDA cards, and the device is cpu"):
        World(size=2).synchronised(torch.nn.Module(), torch.device("cpu"))


@pytest.mark.gpu
def test_synchronised_batch_norm(tmp_path: Path) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")
    one, two = tmp_path / "one", tmp_path / "two"
    finish(start(one, "device=cuda"))
    finish(start(two, "device=cuda", "batch_size=2", "sync_batch_norm=true", processes=2))
    assert torch.allclose(weights(one), weights(two), rtol=1e-2, atol=1e-4)
