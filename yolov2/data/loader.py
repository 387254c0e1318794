"""Loaders: batches made by other processes while the network computes."""

import signal
import threading
from collections.abc import Iterable, Iterator

import torch
from torch.utils.data import DataLoader

from yolov2.data.dataset import Batch, DetectionDataset, Item, collate
from yolov2.data.draw import Draw
from yolov2.data.images import ImageError

PREFETCH = 4
"""Batches that each loader worker has ready."""


class LoaderError(ValueError):
    """A loader worker died; the text says how."""


class _Draws:
    """What ``DataLoader`` takes for a batch sampler: lists of draws."""

    def __init__(self, batches: Iterable[tuple[Draw, ...]]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[list[Draw]]:
        return (list(draws) for draws in self.batches)


def load_batches(
    dataset: DetectionDataset,
    batches: Iterable[tuple[Draw, ...]],
    *,
    num_workers: int,
    pin_memory: bool,
) -> Iterator[Batch]:
    """One batch for each tuple of draws, in their order.

    Raises:
        ImageError: an image file cannot be read; the text names it.
        LoaderError: a worker died.
    """
    loader: DataLoader[Item] = DataLoader(
        dataset,
        batch_sampler=_Draws(batches),
        num_workers=num_workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        worker_init_fn=_in_worker if num_workers else None,
        prefetch_factor=PREFETCH if num_workers else None,
        generator=torch.Generator(),  # its seed for the workers, else drawn from the global one
    )
    try:
        batches = iter(loader)
        if num_workers:
            _learn_of_deaths_by_waiting()
        yield from batches
    except ImageError as error:
        # from a worker the text comes with its traceback; the last line is what happened
        raise ImageError(str(error).strip().splitlines()[-1].split("ImageError: ")[-1]) from None
    except (RuntimeError, EOFError, ConnectionError) as error:
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LoaderError(f"a loader worker died ({text})") from error


def _learn_of_deaths_by_waiting() -> None:
    """A dead worker shall be an error where its batch is waited for, and nowhere else.

    torch also raises from its handler of SIGCHLD: in the middle of whatever runs just then.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _in_worker(worker: int) -> None:
    """Signals are the trainer's business: it ends its workers itself."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def evaluation_loader(
    dataset: DetectionDataset, *, batch_size: int, num_workers: int, rank: int = 0, world: int = 1
) -> "DataLoader[Item]":
    """Batches in the table's order, each image once over all ``world`` processes."""
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=range(rank, len(dataset), world),
        num_workers=num_workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_in_worker if num_workers else None,
        generator=torch.Generator(),
    )
