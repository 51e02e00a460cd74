"""What every source of frames has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tracker.types import Frame

SMALLEST_STEP = 1e-3
"""Seconds between two frames whose timestamps do not grow: time never stands still or runs back."""


class Source(ABC):
    """Frames in order, each at its own time. Iterate it once; close it, or use it as a context.

    Attributes:
        name: what a person calls it; never holds a password.
        kind: "video", "images", "mot", "stream" or "webcam".
        size: width and height in pixels, or None before a live source has shown its first frame.
        frame_rate: frames a second where the source says so, else None; never guessed.
        length: frames where the source says so, else None; never guessed.
        live: frames are lost when nobody takes them, and the end is not known.
        problem: what was wrong with the input, once that is known: it ended before its end, broke, or lacks pictures.
        lost: pictures that could not be read and were left out so far: a longer step of time.
        rescaled: pictures of another size than the first so far, which were scaled to it.
    """

    name: str
    kind: str
    size: tuple[int, int] | None = None
    frame_rate: float | None = None
    length: int | None = None
    live: bool = False
    problem: str | None = None
    lost: int = 0
    rescaled: int = 0

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    def at(self, indices: Collection[int]) -> Generator[Frame]:
        """The frames of these indices alone, in order; those that are not there are left out."""
        last = max(indices, default=-1)
        for frame in self if indices else ():
            if frame.index in indices:
                yield frame
            if frame.index >= last:
                return

    def stop(self) -> None:  # noqa: B027  # only those that wait for frames need it
        """End the iteration soon, from any thread, without waiting for it."""

    def close(self) -> None:  # noqa: B027  # most have nothing to close
        """Let go of files, devices and threads."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
