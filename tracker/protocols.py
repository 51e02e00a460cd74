"""What the parts of a pipeline are to each other, each defined once.

Whatever has these attributes and methods fits; a class that inherits from one of them gets what has a usual answer.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tracker.types import Detections, Frame, Tracks


class Source(Protocol):
    """Frames in order, each at its own time. Iterate it once; close it, or use it as a context.

    `tracker.sources.open_source` makes one; a class of your own inherits from this and writes `__iter__`.

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

    name: str = "source"
    kind: str = "video"
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

    def stop(self) -> None:
        """End the iteration soon, from any thread, without waiting for it."""
        return

    def close(self) -> None:
        """Let go of files, devices and threads."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Detector(Protocol):
    """Finds objects in frames; `tracker.detection.load_detector` makes one.

    Attributes:
        class_names: names of the class ids.
        warnings: what a user should know of its input so far, in words; it may grow.
    """

    class_names: Mapping[int, str]
    warnings: Sequence[str] = ()

    @abstractmethod
    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """One `Detections` a frame, in the frame's pixels."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What it is, for a run's record: weights, hash, size, backend, thresholds."""

    def end(self, frames: int) -> None:  # only those that know what should have come have something to say
        """Told that the source is at its end after so many frames; what is wrong with that goes to `warnings`."""
        return


class Embedder(Protocol):
    """Turns crops into vectors; `reid.load_embedder` makes one.

    Attributes:
        dimension: D of the vectors.
    """

    dimension: int

    def embed_batch(
        self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        """``(N_i, D)`` unit vectors for the ``(N_i, 4)`` boxes of every image."""

    def describe(self) -> dict[str, Any]:
        """What it is, for a run's record: weights, hash, size, backend, threshold."""


class Associator(Protocol):
    """Gives detections their ids; `tracker.load_tracker` makes one."""

    @property
    def needs_image(self) -> bool:
        """Whether `update` is to be given the picture."""

    @property
    def uses_embedding(self) -> bool:
        """Whether embeddings of the detections make a difference."""

    @property
    def embedding_score(self) -> float:
        """Lowest score of detections whose embeddings are compared."""

    def update(
        self,
        detections: Detections,
        *,
        timestamp: float | None = None,
        image: NDArray[np.uint8] | None = None,
        include_lost: bool = False,
    ) -> Tracks:
        """The tracks of the next frame, at `timestamp` (seconds)."""


class Sink(Protocol):
    """Takes results, frame by frame. Open on creation; close it, or use it as a context.

    Attributes:
        path: the file or folder that it writes, or None.
        conclusion: what it found, in lines for the user; known once it is closed.
        closed: the user closed it and wants no more results, as one closes a window.
    """

    path: Path | None = None
    conclusion: Sequence[str] = ()
    closed: bool = False

    @abstractmethod
    def write(self, frame: Frame, detections: Detections, tracks: Tracks) -> None:
        """Take one frame's results."""

    def close(self) -> None:
        """Finish the file."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
