"""A thread with a bounded queue before it: what is slow, or far away, never holds up the tracking."""

from __future__ import annotations

import logging
import queue
import threading
import time
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from tracker.errors import ReacquireError
from tracker.redact import redact

Item = TypeVar("Item")
log = logging.getLogger("reacquire.live")


class Outlet(ABC, Generic[Item]):
    """Takes items at once and handles them one after the other in its own thread.

    Args:
        name: of the thread, and in the log.
        most: items that may wait; beyond it the oldest is dropped, and counted.

    Attributes:
        dropped: items that were lost because they came faster than they went.
        trouble: what is wrong now, in words; None while all is well.
    """

    RETRY_SECONDS = 30.0
    """After a failure items are dropped so long, then it is tried again."""

    def __init__(self, name: str, most: int) -> None:
        self.name, self.dropped = name, 0
        self.trouble: str | None = None
        self._waiting: queue.Queue[Item] = queue.Queue(most)
        self._stop = threading.Event()
        self._silent_until = 0.0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, item: Item) -> None:
        """Take an item; never waits."""
        while not self._stop.is_set():
            try:
                self._waiting.put_nowait(item)
            except queue.Full:
                try:
                    self._waiting.get_nowait()
                    self.dropped += 1
                except queue.Empty:
                    continue
            else:
                return

    def stop(self) -> None:
        """Take nothing more, and finish soon."""
        self._stop.set()

    def join(self, timeout: float) -> None:
        """Wait until it has finished."""
        if self._thread.is_alive():
            self._thread.join(timeout)

    @abstractmethod
    def handle(self, item: Item) -> None:
        """Do what is to be done with an item; an `OSError` or `ReacquireError` makes it pause."""

    def idle(self) -> None:  # most have nothing to do
        """Called a few times a second while there is nothing to handle."""

    def finish(self) -> None:
        """Called at the end."""

    def _work(self) -> None:
        while True:
            try:
                item = self._waiting.get(timeout=0.05 if self._stop.is_set() else 0.25)
            except queue.Empty:
                if self._stop.is_set():
                    break
                self._guarded(self.idle)
                continue
            if time.monotonic() < self._silent_until:
                self.dropped += 1
                continue
            self._guarded(lambda item=item: self.handle(item))
        self._guarded(self.finish)

    def _guarded(self, step: object) -> None:
        try:
            step()  # type: ignore[operator]
        except (OSError, ReacquireError, ValueError) as error:
            self._troubled(redact(str(error)))
        else:
            if self.trouble is not None and time.monotonic() >= self._silent_until:
                log.info("%s: goes on", self.name)
                self.trouble = None

    def _troubled(self, reason: str) -> None:
        self._silent_until = time.monotonic() + self.RETRY_SECONDS
        self.trouble = reason
        log.warning("%s: %s; tried again in %.0f s, tracking goes on", self.name, reason, self.RETRY_SECONDS)
