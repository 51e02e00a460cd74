"""The last events, numbered, for whoever waits for them; and to everybody who listens."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from tracker.live.status import Event, EventKind

KEPT = 2000
"""Events in memory."""


class EventLog:
    """Numbers events, keeps the last ones, wakes those who wait, and hands them on.

    Args:
        first: number of the first event; a restart goes on where it was.
        allow: takes the number that comes next; the number that may be given.
    """

    def __init__(self, first: int = 1, allow: Callable[[int], int] = lambda number: number) -> None:
        self._next, self._allow = first, allow
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._changed = threading.Condition()
        self._listeners: list[Callable[[Event], None]] = []

    @property
    def next_number(self) -> int:
        """Of the event that comes next."""
        return self._next

    def continue_at(self, number: int) -> None:
        """Number further events from `number` on."""
        with self._changed:
            self._next = max(self._next, number)

    def connect(self, listener: Callable[[Event], None]) -> None:
        """Hand every further event to `listener`, which must return at once."""
        self._listeners.append(listener)

    def add(
        self,
        kind: EventKind,
        camera: str,
        *,
        track: int | None = None,
        class_name: str | None = None,
        when: float | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Event:
        """Something happened, at `when` (unix seconds) or now."""
        when = time.time() if when is None else when
        with self._changed:
            self._next = self._allow(self._next)
            event = Event(
                number=self._next,
                kind=kind,
                camera=camera,
                track=track,
                class_name=class_name,
                time=when,
                data=dict(data or {}),
            )
            self._next += 1
            self._events.append(event)
            for listener in self._listeners:
                listener(event)
            self._changed.notify_all()
        return event

    def recent(self, limit: int, camera: str | None = None, after: int = 0) -> list[Event]:
        """The last events with a number above `after`, oldest first."""
        with self._changed:
            found = [e for e in self._events if e.number > after and (camera is None or e.camera == camera)]
        return found[-limit:] if limit > 0 else []

    def wait(self, after: int, timeout: float) -> list[Event]:
        """Events above `after`, waiting up to `timeout` seconds for the first."""
        with self._changed:
            self._changed.wait_for(lambda: self._next - 1 > after, timeout)
            return [e for e in self._events if e.number > after]

    def wake(self) -> None:
        """Nobody waits any longer: the service ends."""
        with self._changed:
            self._changed.notify_all()


def as_json(event: Event) -> dict[str, Any]:
    """An event as JSON values."""
    return asdict(event) | {"time": round(event.time, 3)}
