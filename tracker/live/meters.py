"""Rates and latencies of the last seconds, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np

from tracker.live.status import LATENCY_BOUNDS, Latencies

WINDOW = 5.0
"""Seconds that rates are taken over."""
LATENCIES = 512
"""Of the last pictures."""


class Rate:
    """How many a second, over the last seconds."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._marks: deque[tuple[float, float]] = deque()  # when, and the total then
        self._total = 0.0

    def add(self, count: float = 1.0, now: float | None = None) -> None:
        """Count so many, now."""
        now = time.monotonic() if now is None else now
        self._total += count
        if not self._marks or now - self._marks[-1][0] > self._window / 50:
            self._marks.append((now, self._total - count))
        self._forget(now)

    def per_second(self, now: float | None = None) -> float:
        """The rate; 0 when nothing came for a whole window."""
        now = time.monotonic() if now is None else now
        self._forget(now)
        marks = list(self._marks)
        if not marks:
            return 0.0
        return (self._total - marks[0][1]) / max(now - marks[0][0], 0.5)

    def _forget(self, now: float) -> None:
        while len(self._marks) > 1 and now - self._marks[1][0] > self._window:
            self._marks.popleft()
        if self._marks and now - self._marks[-1][0] > self._window:
            self._marks.clear()


class Latency:
    """The last latencies, their percentiles, and all of them as a histogram."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: deque[float] = deque(maxlen=LATENCIES)
        self._buckets = [0] * (len(LATENCY_BOUNDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """One picture took so long."""
        with self._lock:
            self._last.append(seconds)
            self._buckets[int(np.searchsorted(LATENCY_BOUNDS, seconds))] += 1
            self._sum += seconds

    def percentiles(self) -> tuple[float, float] | tuple[None, None]:
        """Median and 95th percentile of the last ones, seconds; None before the first."""
        with self._lock:
            values = list(self._last)
        if not values:
            return None, None
        median, high = np.percentile(values, (50, 95)).tolist()
        return median, high

    def histogram(self) -> Latencies:
        """All of them, by size."""
        with self._lock:
            return Latencies(tuple(self._buckets), self._sum)
