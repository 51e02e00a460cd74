"""What every sink is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

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
