"""How a run went, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tracker.types import Tracks

Status = Literal["done", "interrupted", "damaged"]


@dataclass(slots=True)
class TrackLife:
    """What is remembered of one id: how often and when it was seen."""

    frames: int
    first: float
    last: float
    class_id: int


@dataclass(slots=True)
class Counts:
    """What is counted in a run, as it goes; grows with the number of ids, not with time.

    Attributes:
        frames: of the source.
        detections: in them.
        boxes: of tracks that were seen.
        predicted: of tracks that were shown out of sight, where they are expected; the files hold both.
        lives: of ids.
    """

    frames: int = 0
    detections: int = 0
    boxes: int = 0
    predicted: int = 0
    lives: dict[int, TrackLife] = field(default_factory=dict)

    def count(self, detections: int, tracks: Tracks, timestamp: float) -> None:
        """Add one frame."""
        self.frames += 1
        self.detections += detections
        seen = np.flatnonzero(tracks.detection >= 0)
        self.boxes += len(seen)
        self.predicted += len(tracks) - len(seen)
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
class RunResult:
    """How a run went."""

    status: Status
    problem: str | None
    folder: Path
    files: list[Path]
    counts: Counts
    seconds: float
    milliseconds: dict[str, float]
    compile_seconds: float = 0.0
    conclusions: list[str] = field(default_factory=list)

    @property
    def fps(self) -> float:
        """Frames a second, end to end but for compiling, which a machine does once."""
        return self.counts.frames / max(self.seconds - self.compile_seconds, 1e-9)

    def summary(self) -> dict[str, Any]:
        """As plain values, for `run.json` and `--json`."""
        return {
            "status": self.status,
            "problem": self.problem,
            "folder": str(self.folder),
            "files": [str(path) for path in self.files],
            "frames": self.counts.frames,
            "detections": self.counts.detections,
            "boxes": self.counts.boxes,
            "predicted": self.counts.predicted,
            "identities": len(self.counts.lives),
            "seconds": round(self.seconds, 3),
            "compile_seconds": round(self.compile_seconds, 3),
            "fps": round(self.fps, 2),
            "milliseconds_per_frame": {stage: round(ms, 3) for stage, ms in self.milliseconds.items()},
            "longest_tracks": [
                {"id": i, "frames": life.frames, "first": round(life.first, 3), "last": round(life.last, 3)}
                for i, life in self.counts.longest(10)
            ],
        }
