"""The time of a file's frames."""

from __future__ import annotations

from tracker.sources.base import SMALLEST_STEP

BACKWARDS, FORWARDS = 1.0, 10.0
"""Seconds back by which a clock has begun again; seconds ahead, in formats whose clock may (as FFmpeg takes them)."""


class FileClock:
    """A file's seconds from its first frame on: they always grow, whatever its clock does.

    Args:
        rate: frames a second, where known: the step where no time tells one.
        jumps: whether the format's clock may begin anywhere again.
    """

    def __init__(self, rate: float | None, *, jumps: bool) -> None:
        self.step = 1 / rate if rate else SMALLEST_STEP
        self.last = -self.step
        self._jumps = jumps
        self._offset: float | None = None
        self._before = 0.0  # what its clock said of the frame before

    def at(self, seconds: float | None, left_out: int) -> float:
        """The time of the next frame: what its clock says, None for nothing, after so many that were left out."""
        expected = self.last + self.step * (1 + left_out) if self.last >= 0 else 0.0
        if seconds is None:
            self.last = expected
            self._offset = None
            return expected
        gone = seconds - self._before
        if self._offset is None or gone < -BACKWARDS or (self._jumps and gone > FORWARDS):
            self._offset = expected - seconds
        self._before = seconds
        self.last = max(seconds + self._offset, self.last + SMALLEST_STEP, 0.0)
        return self.last
