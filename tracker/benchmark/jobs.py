"""The same work for many things, in several processes: progress, Ctrl-C, and failures that stop nobody else."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from reid.runtime import THREADS
from tracker.compile_clock import COMPILING, clock
from tracker.errors import ReacquireError
from tracker.processes import end_with_parent

Item = TypeVar("Item", contravariant=True)
Thing = TypeVar("Thing")
Result = TypeVar("Result", covariant=True)
Done = TypeVar("Done")

POLL_SECONDS = TELL_SECONDS = 0.1
LIBRARY_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", THREADS)


class StoppedError(Exception):
    """The user asked to stop."""


class Reporter(Protocol):
    """What work tells while it goes on; both raise `StoppedError` when it should end."""

    def __call__(self, stage: str, done: int) -> None: ...

    def say(self, line: str) -> None: ...


class Work(Protocol[Item, Result]):
    """What is done with each thing; travels to the other processes, so it must pickle."""

    def __call__(self, item: Item, report: Reporter, /) -> Result: ...


class Audience:
    """Is told how the work goes; subclass it to show progress."""

    def say(self, line: str) -> None:
        """A sentence for the user."""

    def progress(self, name: str, stage: str, done: int) -> None:
        """So much of one thing's stage is done."""

    def finished(self, name: str, outcome: Outcome[Any]) -> None:
        """One thing is done, failed or stopped."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Done]):
    """How it went with one thing: a result, or what was wrong; neither when it was stopped."""

    result: Done | None = None
    problem: str | None = None


def do_all(
    work: Work[Thing, Done],
    things: Mapping[str, Thing],
    *,
    jobs: int,
    audience: Audience,
    stopped: Callable[[], bool],
) -> dict[str, Outcome[Done]]:
    """Do the work for every thing; the outcome of each by its name, in order.

    Args:
        work: what to do.
        things: by name.
        jobs: processes; with 1, here.
        audience: is told.
        stopped: says whether the user asked to stop.
    """
    if jobs == 1 or len(things) < 2:
        run: Iterator[tuple[str, Outcome[Done]]] = _here(work, things, audience, stopped)
    else:
        run = _elsewhere(work, things, min(jobs, len(things)), audience, stopped)
    found = {}
    for name, outcome in run:
        found[name] = outcome
        audience.finished(name, outcome)
    return {name: found.get(name, Outcome()) for name in things}


class _Here:
    """Reports in this process."""

    def __init__(self, name: str, audience: Audience, stopped: Callable[[], bool]) -> None:
        self._name, self._audience, self._stopped = name, audience, stopped

    def __call__(self, stage: str, done: int) -> None:
        if self._stopped():
            raise StoppedError
        self._audience.progress(self._name, stage, done)

    def say(self, line: str) -> None:
        self._audience.say(f"{self._name}: {line}")


def _here(
    work: Work[Thing, Done], things: Mapping[str, Thing], audience: Audience, stopped: Callable[[], bool]
) -> Iterator[tuple[str, Outcome[Done]]]:
    for name, thing in things.items():
        yield name, Outcome() if stopped() else _attempt(work, thing, _Here(name, audience, stopped))


def _attempt(work: Work[Thing, Done], thing: Thing, report: Reporter) -> Outcome[Done]:
    try:
        return Outcome(work(thing, report))
    except StoppedError:
        return Outcome()
    except ReacquireError as error:
        return Outcome(problem=str(error))
    except Exception as error:  # noqa: BLE001  # whatever is wrong with one thing, the others go on
        return Outcome(problem=f"{type(error).__name__}: {error}")


def _elsewhere(
    work: Work[Thing, Done], things: Mapping[str, Thing], jobs: int, audience: Audience, stopped: Callable[[], bool]
) -> Iterator[tuple[str, Outcome[Done]]]:
    context = multiprocessing.get_context("spawn")
    told, stop = context.Queue(), context.Event()

    def listen() -> None:
        while True:
            try:
                name, stage, what = told.get_nowait()
            except queue.Empty:
                return
            if stage is None:
                audience.say(f"{name}: {what}" if name else what)
            else:
                audience.progress(name, stage, what)

    with (
        _threads(max((os.cpu_count() or 1) // jobs, 1)),
        ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(work, told, stop)) as pool,
    ):
        names: dict[Future[Outcome[Done]], str] = {}
        with _deaf():
            for name, thing in things.items():
                names[pool.submit(_in_a_process, name, thing)] = name
        waiting = set(names)
        while waiting:
            done, waiting = wait(waiting, POLL_SECONDS, return_when="FIRST_COMPLETED")
            listen()
            if stopped():
                stop.set()
            yield from ((names[future], _collected(future)) for future in done)
        listen()


def _collected(future: Future[Outcome[Done]]) -> Outcome[Done]:
    try:
        return future.result()
    except BrokenProcessPool:
        return Outcome(problem="its process died, perhaps for want of memory: try a smaller --jobs")


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started inside never hear Ctrl-C, from their first moment; here it only waits."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Processes that are started inside take so many threads each for their networks."""
    before = {name: os.environ.get(name) for name in LIBRARY_THREADS}
    os.environ.update(dict.fromkeys(LIBRARY_THREADS, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# What a worker's process remembers between two calls.
_worker: dict[str, Any] = {}


def _begin(work: Any, told: Any, stop: Any) -> None:
    """Of a worker's process: Ctrl-C is for the parent, which sets `stop`; where that is killed, so is this."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.update(work=work, told=told, stop=stop)
    clock.tell(lambda: told.put(("", None, COMPILING)))


class _There:
    """Reports from another process."""

    def __init__(self, name: str) -> None:
        self._name, self._told = name, 0.0

    def __call__(self, stage: str, done: int) -> None:
        if _worker["stop"].is_set():
            raise StoppedError
        if time.monotonic() - self._told > TELL_SECONDS:
            self._told = time.monotonic()
            _worker["told"].put((self._name, stage, done))

    def say(self, line: str) -> None:
        _worker["told"].put((self._name, None, line))


def _in_a_process(name: str, thing: Any) -> Outcome[Any]:
    if _worker["stop"].is_set():
        return Outcome()
    return _attempt(_worker["work"], thing, _There(name))
