"""Rates and latencies of the last seconds, in bounded memory."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from tracker.live.clock import Clock
from tracker.live.status import LATENCY_BOUNDS, Latencies

WINDOW = 5.0
"""Seconds that rates are taken over."""
LATENCIES = 512
"""Of the last pictures."""


class Rate:
    """How many a second, over the last seconds."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._window, self._clock = WINDOW, clock or Clock()
        self._marks: deque[tuple[float, float]] = deque()  # when, and the total then
        self._total = 0.0

    def add(self, count: float = 1.0) -> None:
        """Count `count`, now."""
        now = self._clock.now()
        self._total += count
        if not self._marks or now - self._marks[-1][0] > self._window / 50:
            self._marks.append((now, self._total - count))
        self._forget(now)

    def per_second(self) -> float:
        """The rate; 0 when nothing came for a whole window."""
        now = self._clock.now()
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


class Traffic:
    """How many pictures of a camera come and are served, and when its turn is.

    Args:
        wanted: pictures a second; as many as come where it is None.
        clock: that cameras are served by.

    Attributes:
        rate_in: pictures a second that come.
        rate_out: pictures a second that are tracked.
        latency: seconds from arrival to tracks.
        served: pictures that were tracked.
        progress: how far it has been served, in seconds at the rate that it wants.
    """

    def __init__(self, wanted: float | None, clock: Clock) -> None:
        self._wanted, self._clock = wanted, clock
        self.rate_in, self.rate_out, self.latency = Rate(clock), Rate(clock), Latency()
        self.served, self.progress = 0, 0.0
        self._arrived, self._came = 0, clock.now()

    def expects(self, within: float) -> bool:
        """Whether a picture is to be expected within these seconds, while all is well."""
        return self._clock.now() + within >= self._came + 0.9 / self._rate

    def pay(self, least: float) -> None:
        """Count a turn; one who had nothing to serve for a while starts from `least`, and so cannot save up turns."""
        self.progress = max(self.progress, least) + 1 / self._rate

    def arrive(self, total: int) -> None:
        """`total` pictures have come so far."""
        if total > self._arrived:
            self.rate_in.add(total - self._arrived)
            self._arrived = total

    def came(self, arrival: float | None) -> None:
        """A picture was taken, which came at `arrival`; or there was none after all."""
        self._came = self._clock.now() if arrival is None else arrival

    def serve(self, arrival: float) -> None:
        """A picture that came at `arrival` is tracked."""
        self.latency.add(self._clock.now() - arrival)
        self.rate_out.add()
        self.served += 1

    @property
    def _rate(self) -> float:
        """Pictures a second that are wanted and come."""
        coming = max(self.rate_in.per_second(), 1.0)
        return min(self._wanted or coming, coming)
