"""What every sink is, and how files come to their final name only when they are whole."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tracker.errors import ReacquireError
from tracker.types import Detections, Frame, Tracks


class Sink(ABC):
    """Takes results, frame by frame. Open on creation; close it, or use it as a context.

    Attributes:
        path: the file that it writes, or None.
    """

    path: Path | None = None

    @abstractmethod
    def write(self, frame: Frame, detections: Detections, tracks: Tracks) -> None:
        """Take one frame's results."""

    def close(self) -> None:  # noqa: B027  # a sink without a file has nothing to close
        """Finish the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Turn a failure to write into an error that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "the disk is full; what was written before stays readable" if full else error.strerror or str(error)
        raise ReacquireError(f"{path}: cannot be written: {hint}") from error


def partial_name(path: Path) -> Path:
    """The name of a file until it is whole: `tracks.mp4` is `tracks.partial.mp4`."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")
