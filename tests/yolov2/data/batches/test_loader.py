"""Loaders: batches come, or one line says why not, whatever happens to the processes."""

import multiprocessing
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.yolov2.scenes import squares
from yolov2.data.batches import loader, workers
from yolov2.data.batches.dataset import Batch, DetectionDataset, Item
from yolov2.data.batches.draw import Draw
from yolov2.data.batches.loader import EvaluationLoader, load_batches
from yolov2.data.batches.workers import LoaderError

BATCHES = [[0, 1], [2], [3, 4, 5], [0]]


class Trouble(DetectionDataset):
    """Squares; who reads the one at ``at`` gets a signal, so many times."""

    def __init__(self, root: Path, *, at: int, signum: int, times: int) -> None:
        super().__init__(squares(root), root, "train", 64)
        self.at, self.signum, self.times, self.marks = at, signum, times, root / "marks"
        self.marks.mkdir()

    def __getitem__(self, index: Any) -> Item:
        done = len(list(self.marks.iterdir()))
        if index == self.at and done < self.times:
            (self.marks / str(done)).touch()
            os.kill(os.getpid(), self.signum)
        return super().__getitem__(index)


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


def assert_all(found: list[Batch], dataset: DetectionDataset) -> None:
    assert [batch.image_ids for batch in found] == BATCHES
    for batch in found:
        expected = [DetectionDataset.__getitem__(dataset, i).image for i in batch.image_ids]
        assert torch.equal(batch.images, torch.stack(expected))


@pytest.mark.parametrize("at", [0, 2, 4])
@pytest.mark.parametrize(
    ("signum", "text"),
    [
        (signal.SIGKILL, r"loader worker \d+ died \(SIGKILL\)"),
        # as if the disk did not answer: alive, and its batch never comes
        (signal.SIGSTOP, r"loader worker \d+ is alive, but gave no batch in 1 s"),
    ],
)
def test_a_worker_that_dies_or_hangs_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signum: int, text: str, at: int
) -> None:
    monkeypatch.setattr(loader, "WAIT", 1.0)
    monkeypatch.setattr(loader, "WAIT_PER_IMAGE", 0.0)
    dataset, told = Trouble(tmp_path, at=at, signum=signum, times=1), list[str]()
    asked = load_batches(dataset, BATCHES, num_workers=2, pin_memory=False, tell=told.append)
    assert_all(list(asked), dataset)
    (line,) = (line for line in told if "processors" not in line)
    assert re.fullmatch(text + ": the loader was started anew", line)


def test_workers_that_die_again_and_again_are_an_error(tmp_path: Path) -> None:
    dataset, told = Trouble(tmp_path, at=4, signum=signal.SIGKILL, times=99), list[str]()
    asked = load_batches(dataset, BATCHES, num_workers=1, pin_memory=False, tell=told.append)
    assert [next(asked).image_ids, next(asked).image_ids] == BATCHES[:2]
    with pytest.raises(LoaderError) as raised:
        next(asked)
    assert re.fullmatch(
        r"loader worker \d+ died \(SIGKILL\), as 3 before it: too little memory ends processes so"
        r" \(SIGKILL\), or a disk that does not answer holds them up; num_workers: 0 reads the"
        r" images without",
        str(raised.value),
    )
    assert len(told) == 3


def test_the_loader_of_an_evaluation_is_protected_like_that_of_training(tmp_path: Path) -> None:
    dataset, told = Trouble(tmp_path, at=3, signum=signal.SIGKILL, times=2), list[str]()
    images = EvaluationLoader(dataset, batch_size=2, num_workers=1, tell=told.append)
    assert len(images) == 3
    for _ in range(2):
        assert [batch.image_ids for batch in images] == [[0, 1], [2, 3], [4, 5]]
    assert len(told) == 2
    (tmp_path / dataset.paths[5]).unlink()
    with pytest.raises(ValueError, match=r"^\S*images/train/5.png: no such image file$"):
        list(images)
    shares = [
        EvaluationLoader(dataset, batch_size=2, num_workers=0, rank=rank, world=4)
        for rank in range(4)
    ]
    assert [list(share.batches[0]) for share in shares] == [[0, 4], [1, 5], [2], [3]]


def test_more_workers_than_processors_are_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 4})
    dataset = DetectionDataset(squares(tmp_path), tmp_path, "train", 64)
    for processes, started, whose in (("1", 3, ""), ("2", 1, " for 2 trainings")):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)  # as torchrun sets it
        told = list[str]()
        asked = load_batches(dataset, BATCHES, num_workers=4, pin_memory=False, tell=told.append)
        next(asked)
        assert len(multiprocessing.active_children()) == started
        assert told == [
            f"num_workers: 4 with 3 processors{whose}: {started} loader workers are started, more"
            " would only wait for each other"
        ]
        asked.close()  # type: ignore[attr-defined]
    list(load_batches(dataset, BATCHES, num_workers=1, pin_memory=False, tell=pytest.fail))


def test_a_batch_larger_than_the_first_comes_too(tmp_path: Path) -> None:
    dataset = DetectionDataset(squares(tmp_path), tmp_path, "train", 64)
    sides = [64] * 4 + [96, 32, 160, 64]
    draws = [[Draw(0, i % 6, (0, 0, 0, 0), side, closing=True)] for i, side in enumerate(sides)]
    for largest in (0, 160**2):
        found = list(load_batches(dataset, draws, num_workers=1, pin_memory=False, largest=largest))
        for batch, (draw,) in zip(found, draws, strict=True):
            assert torch.equal(batch.images[0], dataset[draw].image)


def test_a_batch_is_its_takers_own(tmp_path: Path) -> None:
    """A step may keep its batches: those after them do not change their pixels."""
    dataset = DetectionDataset(squares(tmp_path), tmp_path, "train", 64)
    once = [[0], [1], [2], [3], [4], [5]]
    found = list(load_batches(dataset, once * 4, num_workers=1, pin_memory=False))
    for i, batch in enumerate(found):
        assert torch.equal(batch.images[0], dataset[i % 6].image)


@pytest.mark.gpu
@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_for_a_card_are_page_locked(tmp_path: Path, num_workers: int) -> None:
    dataset = DetectionDataset(squares(tmp_path), tmp_path, "train", 64)
    asked = load_batches(dataset, BATCHES, num_workers=num_workers, pin_memory=True)
    found = list(asked)
    assert_all(found, dataset)
    assert all(batch.images.is_pinned() and batch.targets.is_pinned() for batch in found)


def test_processes_that_are_not_forked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS: nothing is inherited, all comes through the pipe."""
    plain = multiprocessing.get_context
    monkeypatch.setattr(workers.sys, "platform", "darwin")
    monkeypatch.setattr(multiprocessing, "get_context", lambda method: plain(method or "spawn"))
    dataset = DetectionDataset(squares(tmp_path), tmp_path, "train", 64)
    assert_all(list(load_batches(dataset, BATCHES, num_workers=1, pin_memory=False)), dataset)


def test_workers_end_with_a_trainer_that_is_killed(tmp_path: Path) -> None:
    dataset = DetectionDataset(squares(tmp_path), tmp_path, "train", 64)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    trainer = os.fork()
    if trainer == 0:
        try:
            asked = load_batches(dataset, BATCHES, num_workers=2, pin_memory=False)
            next(asked)
            theirs.send(len(multiprocessing.active_children()))
            signal.pause()
        finally:
            os._exit(1)
    assert ours.recv() > 0
    os.kill(trainer, signal.SIGKILL)
    os.waitpid(trainer, 0)
    theirs.close()  # each of the workers has inherited this end, too
    assert ours.poll(30)
    with pytest.raises(EOFError):
        ours.recv()
