"""Detections from a file in MOTChallenge's format: `public:DET.txt`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.runtime import sha256
from tracker.errors import DataError
from tracker.types import Detections, Frame

ENOUGH = 20
"""Boxes to look at before they are judged to be of the right form."""
SLACK = 1.1
"""Boxes may reach this far beyond the picture, in pictures."""


class PublicDetections:
    """Looks detections up by the frame's index; frames are 1-based in the file, 0-based in memory.

    Rows are ``frame, id, left, top, width, height, score, …``; a missing score is 1. Scores above 1, as some old
    detectors write, are scaled by the file's largest; negative ones become 0. Rows with NaN, without area or wholly
    outside the picture are dropped, counted in `dropped`, and told in `warnings`.

    Args:
        path: the file.
        least_score: rows below it are left out.

    Raises:
        DataError: no such file, or a row that is not of the format; names the line.
    """

    def __init__(self, path: Path, *, least_score: float | None = None) -> None:
        self.class_names = {0: "person"}
        self._path = path
        rows = read_rows(path)
        if len(rows) and rows[:, 0].min() < 1:
            row = int(np.argmin(rows[:, 0]))
            raise DataError(f"{path}, row {row + 1}: frame {rows[row, 0]:g}; frames in a MOT file begin at 1, not 0")
        with np.errstate(invalid="ignore"):
            faults = {"a value is NaN": ~np.isfinite(rows).all(1), "no width or height": (rows[:, 4:6] <= 0).any(1)}
        useless = np.logical_or.reduce(list(faults.values()))
        self.dropped = int(useless.sum())
        self.warnings = [
            f"{path}: {int(bad.sum())} rows dropped, the first is row {int(bad.argmax()) + 1}: {reason}"
            for reason, bad in faults.items()
            if bad.any()
        ]
        rows = rows[~useless]
        highest = rows[:, 6].max(initial=1.0)
        score = np.clip(rows[:, 6] / max(highest, 1.0), 0, 1)
        if least_score is not None:
            rows, score = rows[score >= least_score], score[score >= least_score]
        order = np.argsort(rows[:, 0], kind="stable")
        self._frame = rows[order, 0].astype(np.int64)
        self._xyxy = np.concatenate([rows[order, 2:4], rows[order, 2:4] + rows[order, 4:6]], axis=1)
        self._score = score[order]
        self._seen = self._beyond = self._outside = 0

    def describe(self) -> dict[str, Any]:
        """File, hash, and how many rows were dropped."""
        return {"weights": f"public:{self._path.name}", "sha256": sha256(self._path), "dropped_rows": self.dropped}

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """The rows of each frame.

        Raises:
            DataError: most boxes reach beyond the pictures, as when corners stand where sizes belong.
        """
        numbers = np.array([frame.index + 1 for frame in frames])
        begin, end = np.searchsorted(self._frame, numbers), np.searchsorted(self._frame, numbers, "right")
        found = [Detections(self._xyxy[b:e], self._score[b:e]) for b, e in zip(begin, end, strict=True)]
        for frame, detections in zip(frames, found, strict=True):
            self._check_corners(frame, detections)
        return [self._inside(frame, detections) for frame, detections in zip(frames, found, strict=True)]

    def _inside(self, frame: Frame, detections: Detections) -> Detections:
        """Without boxes wholly outside the picture."""
        xyxy = detections.xyxy
        low, high, size = xyxy[:, :2], xyxy[:, 2:], np.array(frame.size)
        inside = np.asarray(np.logical_and(high > 0, low < size).all(axis=1), np.bool_)
        if inside.all():
            return detections
        if not self._outside:
            box = [round(v, 1) for v in xyxy[~inside][0].tolist()]
            self.warnings.append(
                f"{self._path}: boxes outside the picture dropped, first in frame {frame.index + 1}: {box}"
            )
        self._outside += int((~inside).sum())
        self.dropped += int((~inside).sum())
        return detections[inside]

    def _check_corners(self, frame: Frame, detections: Detections) -> None:
        """Count boxes that would lie inside the picture if their sizes were corners, and do not as sizes."""
        if self._seen >= ENOUGH:
            return
        size = np.array(frame.size, np.float32)
        low, high = detections.xyxy[:, :2], detections.xyxy[:, 2:]
        written = high - low
        beyond = (high > SLACK * size).any(1) & (written > low).all(1) & (written <= SLACK * size).all(1)
        self._seen, self._beyond = self._seen + len(detections), self._beyond + int(beyond.sum())
        if self._seen >= ENOUGH and self._beyond > self._seen / 2:
            raise DataError(
                f"{self._path}: {self._beyond} of {self._seen} boxes reach far beyond the picture; columns 5 and 6 "
                "look like x2,y2 and must be width,height"
            )


def read_rows(path: Path) -> NDArray[np.float64]:
    """``(N, 7)`` of a MOT detection file: frame, id, left, top, width, height, score.

    Raises:
        DataError: names the line, and what was expected.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such detection file")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        fields = line.replace(",", " ").split()
        if not fields:
            continue
        if len(fields) < 6:
            raise DataError(f"{path}, line {number}: expected frame,id,left,top,width,height,score; got {line[:60]!r}")
        try:
            values = [float(field) for field in fields[:7]]
        except ValueError as error:
            raise DataError(f"{path}, line {number}: expected numbers, got {line[:60]!r}") from error
        rows.append(values if len(values) == 7 else [*values, 1.0])
    return np.array(rows, np.float64).reshape(-1, 7)
