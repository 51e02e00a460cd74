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


class PublicDetections:
    """Looks detections up by the frame's index; frames are 1-based in the file, 0-based in memory.

    Rows are ``frame, id, left, top, width, height, score, …``; a missing score is 1. Scores above 1, as some old
    detectors write, are scaled by the file's largest; negative ones become 0. Rows with NaN or without area are
    dropped and counted in `dropped`.

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
            line = int(np.argmin(rows[:, 0])) + 1
            raise DataError(f"{path}, line {line}: frame {rows[line - 1, 0]:g}; frames in a MOT file begin at 1, not 0")
        with np.errstate(invalid="ignore"):
            usable = np.isfinite(rows[:, :7]).all(1) & (rows[:, 4] > 0) & (rows[:, 5] > 0)
        self.dropped = int((~usable).sum())
        rows = rows[usable]
        highest = rows[:, 6].max(initial=1.0)
        score = np.clip(rows[:, 6] / max(highest, 1.0), 0, 1)
        if least_score is not None:
            rows, score = rows[score >= least_score], score[score >= least_score]
        order = np.argsort(rows[:, 0], kind="stable")
        self._frame = rows[order, 0].astype(np.int64)
        self._xyxy = np.concatenate([rows[order, 2:4], rows[order, 2:4] + rows[order, 4:6]], axis=1)
        self._score = score[order]

    def describe(self) -> dict[str, Any]:
        """File, hash, and how many rows were dropped."""
        return {"weights": f"public:{self._path.name}", "sha256": sha256(self._path), "dropped_rows": self.dropped}

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """The rows of each frame."""
        numbers = np.array([frame.index + 1 for frame in frames])
        begin, end = np.searchsorted(self._frame, numbers), np.searchsorted(self._frame, numbers, "right")
        return [Detections(self._xyxy[b:e], self._score[b:e]) for b, e in zip(begin, end, strict=True)]


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
