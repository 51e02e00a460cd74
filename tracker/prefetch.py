"""Run an iterator ahead in a thread, a bounded number of items at a time."""

from __future__ import annotations

import atexit
import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_END = object()
EXIT_SECONDS = 10.0
"""How long the end of the process waits for a thread that is at work."""


def prefetch(items: Iterable[T], ahead: int, name: str = "prefetch") -> Generator[T]:
    """Yield `items` in order while a thread works up to `ahead` of them in advance.

    An error in `items` is raised here, after the items that came before it. Closing the generator, also by
    leaving a loop over it, stops the thread before it returns; `items` that are a generator are closed too. So does
    the end of the process: a thread that is still in the code of a library would abort it there.

    Args:
        items: consumed in the thread alone.
        ahead: how many finished items may wait, at least 1.
        name: the thread's name.
    """
    ready: queue.Queue[object] = queue.Queue(maxsize=ahead)
    stop = threading.Event()
    failure: list[BaseException] = []

    def put(item: object) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    break
        except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to the consumer
            failure.append(error)
        try:
            close = getattr(items, "close", None)
            if close is not None:
                close()
        except BaseException as error:  # noqa: BLE001  # the consumer's too
            failure.append(error)
        put(_END)

    with _running(threading.Thread(target=work, name=name, daemon=True), stop):
        while (item := ready.get()) is not _END:
            yield item  # type: ignore[misc]
        if failure:
            raise failure[0]


@contextmanager
def _running(thread: threading.Thread, stop: threading.Event) -> Generator[None]:
    """A thread that runs in the block; the process does not end before it either."""

    def end() -> None:
        stop.set()
        thread.join(EXIT_SECONDS)

    atexit.register(end)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        atexit.unregister(end)
