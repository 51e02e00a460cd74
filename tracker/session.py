"""One invocation from a source to a run folder: open, build, track, write, and say how it went."""

from __future__ import annotations

import platform
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tracker.types import Tracks

if TYPE_CHECKING:
    pass

Status = Literal["done", "interrupted", "damaged"]

LIBRARIES = (
    "reacquire",
    "torch",
    "torchvision",
    "ultralytics",
    "onnxruntime",
    "opencv-python",
    "av",
    "numpy",
    "numba",
)


@dataclass(slots=True)
class TrackLife:
    """What is remembered of one id: how often and when it was seen."""

    frames: int
    first: float
    last: float
    class_id: int


@dataclass(slots=True)
class Census:
    """Counts of a run, kept as it goes; grows with the number of ids, not with time."""

    frames: int = 0
    detections: int = 0
    boxes: int = 0
    lives: dict[int, TrackLife] = field(default_factory=dict)

    def count(self, detections: int, tracks: Tracks, timestamp: float) -> None:
        """Add one frame."""
        self.frames += 1
        self.detections += detections
        seen = np.flatnonzero(tracks.detection >= 0)
        self.boxes += len(seen)
        for track_id, class_id in zip(tracks.id[seen].tolist(), tracks.class_id[seen].tolist(), strict=True):
            life = self.lives.get(track_id)
            if life is None:
                self.lives[track_id] = TrackLife(1, timestamp, timestamp, class_id)
            else:
                life.frames += 1
                life.last = timestamp

    def longest(self, count: int) -> list[tuple[int, TrackLife]]:
        """The ids that were seen in most frames."""
        return sorted(self.lives.items(), key=lambda item: (-item[1].frames, item[0]))[:count]


@dataclass(slots=True)
class Outcome:
    """How a run went."""

    status: Status
    problem: str | None
    folder: Path
    files: list[Path]
    census: Census
    seconds: float
    milliseconds: dict[str, float]

    @property
    def fps(self) -> float:
        """Frames a second, end to end."""
        return self.census.frames / max(self.seconds, 1e-9)

    def summary(self) -> dict[str, Any]:
        """As plain values, for `run.json` and `--json`."""
        return {
            "status": self.status,
            "problem": self.problem,
            "folder": str(self.folder),
            "files": [str(path) for path in self.files],
            "frames": self.census.frames,
            "detections": self.census.detections,
            "boxes": self.census.boxes,
            "identities": len(self.census.lives),
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "milliseconds_per_frame": {stage: round(ms, 3) for stage, ms in self.milliseconds.items()},
            "longest_tracks": [
                {"id": i, "frames": life.frames, "first": round(life.first, 3), "last": round(life.last, 3)}
                for i, life in self.census.longest(10)
            ],
        }


@contextmanager
def interruptible() -> Generator[Callable[[], bool]]:
    """Yield a function that says whether the user asked to stop.

    The first Ctrl-C (or SIGTERM) only sets it, so that files are finished; a second one interrupts at once.
    Outside the main thread signals cannot be caught, and it never says yes.
    """
    asked = threading.Event()

    def ask(signum: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found
