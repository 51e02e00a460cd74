"""News for the page: one thread asks the service for events and states, and tells everybody who listens.

Each piece of news is written as JSON once. A listener keeps only the number of the last event that it was sent; one
that is too slow loses the events that are no longer remembered, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from tracker.errors import ReacquireError
from tracker.live.status import Event, LiveView
from tracker.live.web.models import EventOut, StatusOut
from tracker.redact import redact

LOGGER = logging.getLogger(__name__)
REMEMBERED = 1000
"""Events that a listener may be behind."""
PERIOD = 1.0
"""Seconds between two tellings of the state."""


@dataclass(frozen=True, slots=True)
class News:
    """One server-sent event."""

    kind: str
    data: str
    number: int | None = None

    def encode(self) -> bytes:
        """In the form of `text/event-stream`."""
        head = f"id: {self.number}\n" if self.number is not None else ""
        return f"{head}event: {self.kind}\ndata: {self.data}\n\n".encode()


class Feed:
    """Asks the service, tells listeners.

    Args:
        view: the service.
    """

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self._events: deque[tuple[str, News]] = deque(maxlen=REMEMBERED)
        self._status: News | None = None
        self._bells: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="feed the page", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to ask."""
        self._loop = loop
        self._thread.start()

    def close(self) -> None:
        """End every stream and the thread; called by the loop's thread."""
        self._closing.set()
        self._ring()

    async def listen(self, after: int | None, camera: str | None) -> AsyncGenerator[News]:
        """States and events for as long as it is read: those after a number, or only new ones."""
        bell = asyncio.Event()
        bell.set()
        self._bells.add(bell)
        last = after if after is not None else (self._events[-1][1].number or 0 if self._events else 0)
        status: News | None = None
        try:
            while not self._closing.is_set():
                await bell.wait()
                bell.clear()
                if self._status is not None and self._status is not status:
                    status = self._status
                    yield status
                events = list(self._events)
                if events and last > (events[-1][1].number or 0):
                    last = 0  # it listened to a service that numbered otherwise: before a restart without a checkpoint
                for where, news in events:
                    if news.number is not None and news.number > last:
                        last = news.number
                        if camera in (None, where):
                            yield news
        finally:
            self._bells.discard(bell)

    def _work(self) -> None:
        after, told = 0, 0.0
        while not self._closing.is_set():
            try:
                events = self._view.wait_events(after, PERIOD)
                for event in events:
                    after = max(after, event.number)
                    self._take(event)
                if events or time.monotonic() - told >= PERIOD * 0.9:
                    told = time.monotonic()
                    self._status = News("status", StatusOut.of(self._view).model_dump_json())
                self._tell(self._ring)
            except (ReacquireError, RuntimeError, OSError, KeyError) as error:  # the page outlives a stumble
                LOGGER.warning("the page gets no news: %s", redact(str(error)))
                self._closing.wait(PERIOD)

    def _take(self, event: Event) -> None:
        self._events.append((event.camera, News("event", EventOut.of(event).model_dump_json(), event.number)))

    def _tell(self, what: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)

    def _ring(self) -> None:
        for bell in self._bells:
            bell.set()
