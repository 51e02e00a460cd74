"""What sources of frames share: time that grows, damage that is counted."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from tracker.types import Frame

SMALLEST_STEP = 1e-3
"""Seconds between two frames whose timestamps do not grow: time never stands still or runs back."""


@dataclass(slots=True)
class Damages:
    """What was wrong with an input.

    Attributes:
        lost: pictures that were left out.
        first: the first of them, in words.
        traces: pictures that were taken though they build on a damaged one.
        reading: what could not be read.
        end: what is missing at the end.
    """

    lost: int = 0
    first: str = ""
    traces: int = 0
    reading: str | None = None
    end: str | None = None

    def lose(self, place: str) -> None:
        """Count a picture that is left out."""
        self.first = self.first or place
        self.lost += 1

    def sentence(self, name: str) -> str | None:
        """All of it, for `Source.problem`; None where nothing was wrong."""
        parts = []
        if self.lost == 1:
            parts.append(f"a damaged picture is left out, {self.first}")
        elif self.lost:
            parts.append(f"{self.lost} damaged pictures are left out, the first {self.first}")
        if self.traces:
            parts.append(f"{self.traces} that build on damaged ones may show traces of it")
        parts += [part for part in (self.reading, self.end) if part]
        return f"{name}: {'; '.join(parts)}" if parts else None


def first_frames(frames: Iterator[Frame], count: int | None) -> Generator[Frame]:
    """The first `count` frames, or all; the iterator is closed either way."""
    try:
        if count is None:
            yield from frames
            return
        for taken, frame in enumerate(frames, 1):
            yield frame
            if taken >= count:  # before the next one is waited for
                return
    finally:
        close = getattr(frames, "close", None)
        if close is not None:
            close()
