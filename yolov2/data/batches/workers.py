"""Processes that make batches beside the one that computes with them.

Images come through memory that is mapped before the processes are forked: ``/dev/shm`` (64 MB in
a container) and open files, through which PyTorch's own loader hands on tensors, run out, and then
a batch is lost and waited for without end. The rest goes through a pipe of each process's own, so
that one that dies in the middle of a word tears nobody else's.
"""

import errno
import mmap
import multiprocessing
import pickle
import queue
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from yolov2.data.batches.dataset import Batch

Asked = TypeVar("Asked")

GOODBYE = 5.0
"""Seconds that a worker has to end the batch that it is at, before it is killed."""


class LoaderError(ValueError):
    """A loader worker died or hangs; the text says how."""


class NoWorkersError(ValueError):
    """No loader workers can be started; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A batch, and what is to be told of its making."""

    batch: Batch
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """A batch on its way; with ``shape`` its images (B, 3, S, S) lie in the shared memory."""

    made: Made
    shape: tuple[int, ...] | None


class Workers(Generic[Asked]):
    """``count`` processes, each of which makes every ``count``-th batch.

    Args:
        make: what makes a batch of what is asked for.
        count: the number of processes.
        ahead: the most batches that are asked for and not yet received.
        size: bytes that there are for the images of one; a larger one comes too, but slower.

    Raises:
        NoWorkersError: they cannot be started.
    """

    def __init__(self, make: Callable[[Asked], Made], count: int, *, ahead: int, size: int) -> None:
        self.workers: list[_Worker] = []
        self.asked = self.received = 0
        try:
            # only a fork inherits memory that has no name
            forks = sys.platform == "linux"
            context = multiprocessing.get_context("fork" if forks else None)
            self.places = _places(ahead, size) if forks else None  # (ahead, size)
            for _ in range(count):
                inherited = [end for each in self.workers for end in each.ends] if forks else []
                self.workers.append(_Worker(context, make, self.places, inherited))
        except OSError as error:
            self.close()
            raise NoWorkersError(_reason(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.close(patience=0.0 if kind is LoaderError else GOODBYE)

    def ask(self, asked: Asked) -> None:
        """Have one more batch made.

        Raises:
            LoaderError: the worker whose turn it is died.
        """
        self.workers[self.asked % len(self.workers)].ask((self.asked, asked))
        self.asked += 1

    def receive(self, patience: float, *, pin_memory: bool) -> Made:
        """The next batch, in the order in which they were asked for; in memory of its own.

        Raises:
            LoaderError: its worker died, or gave nothing for ``patience`` seconds.
            Exception: what was raised by making it.
        """
        sent = self.workers[self.received % len(self.workers)].answer(patience)
        batch = sent.made.batch
        if sent.shape is not None and self.places is not None:
            place = self.places[self.received % len(self.places)]
            shared = place[: np.prod(sent.shape)].reshape(sent.shape)  # (B, 3, S, S)
            images = torch.from_numpy(shared)
            batch = replace(batch, images=images if pin_memory else images.clone())
        self.received += 1
        return replace(sent.made, batch=batch.pin_memory() if pin_memory else batch)

    def close(self, patience: float = GOODBYE) -> None:
        """End them, after ``patience`` seconds by force."""
        for worker in self.workers:
            worker.tasks.close()
        until = time.monotonic() + patience
        for worker in self.workers:
            worker.end(until)
        self.workers = []


def _reason(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.errno == errno.EMFILE:
        reason += f", ulimit -n is {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"
    return reason


class _Worker:
    """One of them, as the others see it; ``ends`` are what it has open here."""

    def __init__(
        self,
        context: Any,
        make: Callable[[Any], Made],
        places: NDArray[np.uint8] | None,
        inherited: Sequence[Connection],
    ) -> None:
        tasks, self.tasks = context.Pipe(duplex=False)
        self.answers, answers = context.Pipe(duplex=False)
        self.ends: tuple[Connection, Connection] = self.tasks, self.answers
        forked = [*inherited, *self.ends] if places is not None else []
        self.process = context.Process(
            target=_work, args=(make, places, tasks, answers, forked), daemon=True
        )
        self.process.start()
        tasks.close()
        answers.close()  # the worker's alone, so that its death is the end of what can be read

    def ask(self, task: tuple[int, Any]) -> None:
        try:
            self.tasks.send(task)
        except OSError:
            raise self._death() from None

    def answer(self, patience: float) -> _Sent:
        # its end too, because children of others may have inherited the pipe
        ready = wait([self.answers, self.process.sentinel], patience)
        if not ready:
            raise LoaderError(
                f"loader worker {self.process.pid} is alive, but gave no batch in {patience:.0f} s"
            )
        try:
            if self.answers not in ready:
                raise EOFError
            content = self.answers.recv_bytes()
        except (EOFError, OSError):
            raise self._death() from None
        answer = pickle.loads(content)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, _Sent)
        return answer

    def _death(self) -> LoaderError:
        self.process.join(GOODBYE)
        code = self.process.exitcode
        how = signal.Signals(-code).name if code is not None and code < 0 else f"status {code}"
        return LoaderError(f"loader worker {self.process.pid} died ({how})")

    def end(self, until: float) -> None:
        self.process.join(max(0.0, until - time.monotonic()))
        self.process.kill()
        self.process.join(GOODBYE)
        self.answers.close()


def _places(count: int, size: int) -> NDArray[np.uint8]:
    """Memory (count, size) for the images of so many batches; taken only as it is filled."""
    return np.frombuffer(mmap.mmap(-1, count * size), dtype=np.uint8).reshape(count, size)


def _work(
    make: Callable[[Any], Made],
    places: NDArray[np.uint8] | None,
    tasks: Connection,
    answers: Connection,
    inherited: Sequence[Connection],
) -> None:
    """What a worker does until the other end of ``tasks`` is closed or dead."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the trainer's business: it ends its workers
    torch.set_num_threads(1)
    for end in inherited:
        end.close()  # or this process would keep itself and the others waiting
    waiting: queue.SimpleQueue[tuple[int, Any] | None] = queue.SimpleQueue()
    ended = threading.Event()

    def listen() -> None:
        """Empty the pipe at all times, so that who asks is never held up."""
        try:
            while True:
                waiting.put(tasks.recv())
        except (EOFError, OSError):
            ended.set()
            waiting.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while (task := waiting.get()) is not None and not ended.is_set():
        number, asked = task
        place = None if places is None else places[number % len(places)]
        try:
            # plain pickle: multiprocessing's would put tensors into /dev/shm
            answers.send_bytes(pickle.dumps(_answer(make, asked, place)))
        except BrokenPipeError:
            return


def _answer(
    make: Callable[[Any], Made], asked: object, place: NDArray[np.uint8] | None
) -> _Sent | Exception:
    try:
        made = make(asked)
    except Exception as error:
        if not isinstance(error, ValueError | OSError):  # those say all in their sentence
            error.add_note(f"in a loader worker:\n{traceback.format_exc()}")
        return error
    images = made.batch.images  # uint8 (B, 3, S, S)
    if place is None or images.numel() > len(place):
        return _Sent(made=made, shape=None)
    place[: images.numel()] = images.numpy().reshape(-1)
    batch = replace(made.batch, images=images[:0].clone())
    return _Sent(made=replace(made, batch=batch), shape=tuple(images.shape))
