"""Loaders: batches made by other processes while the network computes."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain, islice

import torch

from yolov2.data.batches.dataset import Batch, DetectionDataset, collate
from yolov2.data.batches.draw import Draw
from yolov2.data.batches.workers import LoaderError, Made, NoWorkersError, Workers

PREFETCH = 4
"""Batches that each loader worker has ready or under way."""
RESTARTS = 3
"""How often workers are started anew for one batch before their error is taken for final."""
WAIT, WAIT_PER_IMAGE = 120.0, 10.0
"""Seconds after which a batch is lost: only a worker that hangs needs them."""

Asked = Sequence[int | Draw]
"""The images of a batch."""
Tell = Callable[[str], None]
"""Gets what people should know: a sentence."""


def silent(text: str) -> None:
    """Tell nobody."""


def load_batches(
    dataset: DetectionDataset,
    batches: Iterable[Asked],
    *,
    num_workers: int,
    pin_memory: bool,
    largest: int = 0,
    tell: Tell = silent,
) -> Iterator[Batch]:
    """One batch for each of ``batches``, in their order.

    A worker that dies or hangs is replaced, and where none can be started the images are read
    without; ``tell`` gets to know it. ``largest`` is the number of pixels of the largest canvas
    times images of a batch, where the first is not the largest.

    Raises:
        ImageError: an image file cannot be read; the text names it.
        LoaderError: workers die or hang again and again.
    """
    count, left = _usable(num_workers, tell), iter(batches)
    asked: deque[Asked] = deque()  # and not yet given
    told: set[str] = set()
    restarts = 0
    while True:
        # those of workers that are gone are asked for again
        coming = chain(tuple(asked), _remembered(left, asked))
        try:
            source = (
                _made_by_workers(dataset, coming, count, largest, pin_memory=pin_memory)
                if count
                else _made_here(dataset, coming, pin_memory=pin_memory)
            )
            for made in source:
                asked.popleft()
                restarts = 0
                _tell_once(made.notes, told, tell)
                yield made.batch
            return
        except NoWorkersError as error:
            tell(f"no loader workers can be started ({error}): the images are read without")
            count = 0
        except LoaderError as error:
            restarts += 1
            if restarts > RESTARTS:
                raise LoaderError(
                    f"{error}, as {RESTARTS} before it: too little memory ends processes so"
                    " (SIGKILL), or a disk that does not answer holds them up; num_workers: 0"
                    " reads the images without"
                ) from error
            tell(f"{error}: the loader was started anew")


def _tell_once(notes: Iterable[str], told: set[str], tell: Tell) -> None:
    for note in notes:
        if note not in told:
            told.add(note)
            tell(note)


class EvaluationLoader:
    """Batches of a data set in the table's order, as often as it is iterated over.

    Args:
        dataset: the images.
        batch_size: images of a batch; the last may have fewer.
        num_workers: processes that make batches.
        rank: which ``world``-th of the images: each is given once over all ``world`` processes.
        tell: see ``load_batches``.
    """

    def __init__(
        self,
        dataset: DetectionDataset,
        *,
        batch_size: int,
        num_workers: int,
        rank: int = 0,
        world: int = 1,
        tell: Tell = silent,
    ) -> None:
        self.dataset, self.num_workers, self.tell = dataset, num_workers, tell
        share = range(rank, len(dataset), world)
        self.batches = [share[i : i + batch_size] for i in range(0, len(share), batch_size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return load_batches(
            self.dataset,
            self.batches,
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
            tell=self.tell,
        )


def _usable(num_workers: int, tell: Tell) -> int:
    """At most as many workers as there are processors for this process."""
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity else os.cpu_count() or 1
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's, on this machine
    most = max(1, processors // processes)
    if num_workers <= most:
        return num_workers
    shared = f" for {processes} trainings" if processes > 1 else ""
    tell(
        f"num_workers: {num_workers} with {processors} processors{shared}: {most} loader workers"
        " are started, more would only wait for each other"
    )
    return most


def _remembered(batches: Iterator[Asked], asked: deque[Asked]) -> Iterator[Asked]:
    for each in batches:
        asked.append(each)
        yield each


def _make(dataset: DetectionDataset, asked: Asked) -> Made:
    batch = collate([dataset[each] for each in asked])
    notes, dataset.notes[:] = tuple(dataset.notes), []
    return Made(batch=batch, notes=notes)


def _made_here(
    dataset: DetectionDataset, coming: Iterator[Asked], *, pin_memory: bool
) -> Iterator[Made]:
    for each in coming:
        made = _make(dataset, each)
        yield replace(made, batch=made.batch.pin_memory()) if pin_memory else made


def _made_by_workers(
    dataset: DetectionDataset,
    coming: Iterator[Asked],
    count: int,
    largest: int,
    *,
    pin_memory: bool,
) -> Iterator[Made]:
    first = list(islice(coming, count * PREFETCH))
    if not first:
        return
    pixels = max(sum(_side(dataset, image) ** 2 for image in each) for each in first)
    # copying to page-locked memory takes its time: a batch ahead, while the card computes
    card = partial(torch.cuda.set_device, torch.cuda.current_device()) if pin_memory else None
    with (
        ThreadPoolExecutor(1, initializer=card) as pool,
        Workers(
            partial(_make, dataset),
            min(count, len(first)),
            ahead=len(first),
            size=3 * max(largest, pixels),
        ) as workers,
    ):

        def receive(asked: Asked) -> Callable[[], Made]:
            patience = WAIT + WAIT_PER_IMAGE * len(asked)
            job = partial(workers.receive, patience, pin_memory=pin_memory)
            return pool.submit(job).result if pin_memory else job

        for each in first:
            workers.ask(each)
        under_way = deque(first)
        received: Callable[[], Made] | None = receive(under_way.popleft())
        while received is not None:
            made = received()
            for each in islice(coming, 1):
                workers.ask(each)
                under_way.append(each)
            received = receive(under_way.popleft()) if under_way else None
            yield made


def _side(dataset: DetectionDataset, image: int | Draw) -> int:
    return image.side if isinstance(image, Draw) else dataset.image_size
