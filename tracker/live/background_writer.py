"""A thread with a bounded queue before it: what is slow, or far away, never holds up the tracking."""

from __future__ import annotations

import logging
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from tracker.redact import redact

Item = TypeVar("Item")
log = logging.getLogger("reacquire.live")


class BackgroundWriter(ABC, Generic[Item]):
    """Takes items at once and handles them one after the other in its own thread.

    Args:
        name: of the thread, and in the log.
        most: items that may wait; beyond it the oldest is dropped, and counted.

    Attributes:
        dropped: items that were lost: they came faster than they went, or failed.
        trouble: what is wrong now, in words; None while all is well.
    """

    RETRY_SECONDS = 30.0
    """After a failure it is tried again so often; meanwhile items are dropped, or wait."""
    KEEPS = False
    """Whether an item that failed is tried again, and others wait behind it."""

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
        """Do what is to be done with an item; an error makes it pause."""

    def proves(self, item: Item) -> bool:
        """Whether an item that was handled shows that all is well again: not while it still waits for the disk."""
        return True

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
                self._does(self.idle)
                continue
            if not self._handled(item):
                self.dropped += 1
        self._does(self.finish)

    def _handled(self, item: Item) -> bool:
        """Whether an item got where it belongs."""
        step = partial(self.handle, item)
        if not self.KEEPS and time.monotonic() < self._silent_until:
            return False
        done = self._does(step)
        while self.KEEPS and not done:
            stopped = self._stop.wait(self.RETRY_SECONDS)
            done = self._does(step)
            if stopped:
                break
        if done and self.trouble is not None and self.proves(item):
            log.info("%s: goes on", self.name)
            self.trouble = None
        return done

    def _does(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except Exception as error:  # noqa: BLE001  # whatever a disk, a library or an item does, the next one comes
            self._troubled(redact(str(error) or type(error).__name__))
            return False
        return True

    def _troubled(self, reason: str) -> None:
        self._silent_until = time.monotonic() + self.RETRY_SECONDS
        if self.trouble is None:
            log.warning("%s: %s; tried again every %.0f s, tracking goes on", self.name, reason, self.RETRY_SECONDS)
        self.trouble = reason
