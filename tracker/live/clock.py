"""The time that cameras are served by: the machine's, or one that a test steps; and what it is called by people."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

CLOCK_SET = 1.0
"""Seconds by which the machine's clock must have been set before anybody cares."""


class Clock:
    """Time that runs evenly, and waiting in it."""

    def now(self) -> float:
        """Seconds since some moment; never runs back."""
        return time.monotonic()

    def wait_for(self, changed: threading.Condition, ready: Callable[[], bool], seconds: float) -> bool:
        """Wait, holding `changed`, until `ready`, at most these seconds; whether it is."""
        return changed.wait_for(ready, seconds)


class CameraClock:
    """A camera's seconds, which run evenly whatever becomes of the machine's clock, and the machine's time for them.

    Args:
        clock: that runs evenly.
        origin: what this moment counts as: unix seconds.
    """

    def __init__(self, clock: Clock, origin: float) -> None:
        self._clock, self._zero = clock, clock.now() - origin
        self.behind = 0.0
        """Seconds to add for the machine's time."""

    def now(self) -> float:
        """The camera's seconds."""
        return self._clock.now() - self._zero

    def compare(self) -> None:
        """Look whether the machine's clock was set."""
        behind = time.time() - self.now()
        self.behind = behind if abs(behind) > CLOCK_SET else 0.0
