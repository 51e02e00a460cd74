"""Run an iterator ahead in a thread, a bounded number of items at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")

_END = object()


def prefetch(items: Iterable[T], ahead: int, name: str = "prefetch") -> Generator[T]:
    """Yield `items` in order while a thread works up to `ahead` of them in advance.

    An error in `items` is raised here, after the items that came before it. Closing the generator, also by
    leaving a loop over it, stops the thread before it returns; `items` that are a generator are closed too.

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
        except BaseException as error:  # noqa: BLE001  # likewise
            failure.append(error)
        put(_END)

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            yield item  # type: ignore[misc]
        if failure:
            raise failure[0]
    finally:
        stop.set()
        thread.join()
