"""Detections from a file in MOTChallenge's format: `public:DET.txt`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.runtime import sha256
from tracker.errors import DataError
from tracker.formats.mot import read_detections
from tracker.protocols import Detector
from tracker.types import Detections, Frame

UNKNOWN = -1
"""Stands for a score that is not known."""
ENOUGH = 20
"""Boxes to look at before they are judged to be of the right form."""
SLACK = 1.1
"""Boxes may reach this far beyond the picture, in pictures."""


class PublicDetections(Detector):
    """Looks detections up by the frame's index; frames are 1-based in the file, 0-based in memory.

    Rows are ``frame, id, left, top, width, height, score, …``; a missing score is 1, and so is one that is -1, or 0, in
    every row. Scores above 1, as some old detectors write, are scaled by the file's largest; negative ones become 0.
    Rows with NaN, without area or wholly outside the picture are dropped, counted in `dropped`, and told in `warnings`.

    Args:
        path: the file.
        least_score: rows below it are left out.

    Raises:
        DataError: no such file, or a row that is not of the format; names the line.
    """

    def __init__(self, path: Path, *, least_score: float | None = None) -> None:
        self.class_names = {0: "person"}
        self._path = path
        read, faults = read_detections(path)
        useless = np.logical_or.reduce(list(faults.values()))
        self.dropped = int(useless.sum())
        self.warnings: list[str] = [
            f"{path}: {int(bad.sum())} rows dropped, the first in line {read.line(int(bad.argmax()))}: {reason}"
            for reason, bad in faults.items()
            if bad.any()
        ]
        rows = read.values[~useless]
        score = self._scores(rows[:, 6])
        if least_score is not None:
            rows, score = rows[score >= least_score], score[score >= least_score]
        order = np.argsort(rows[:, 0], kind="stable")
        self._frame = rows[order, 0].astype(np.int64)
        self._xyxy = np.concatenate([rows[order, 2:4], rows[order, 2:4] + rows[order, 4:6]], axis=1)
        self._score = score[order]
        self._seen = self._beyond = self._parts = self._outside = 0

    def _scores(self, written: NDArray[np.float64]) -> NDArray[np.float64]:
        """In 0–1. Many tools write -1 (or 0) everywhere for "not known", and some -1 among scores: both are told."""
        highest = written.max(initial=0.0)
        if len(written) and highest <= 0 and (written == written[0]).all():
            self.warnings.append(f"{self._path}: every score is {written[0]:g}: taken as not known, and counted as 1")
            return np.ones(len(written))
        if len(written) and highest <= 0:
            self.warnings.append(f"{self._path}: no score is above 0, so all count as 0: nothing will be tracked")
        elif unknown := int((written == UNKNOWN).sum()):
            self.warnings.append(f"{self._path}: {unknown} rows have the score -1, which counts as 0")
        return np.asarray(np.clip(written / max(highest, 1.0), 0, 1), np.float64)

    def describe(self) -> dict[str, Any]:
        """File, hash, and how many rows were dropped."""
        return {"weights": f"public:{self._path.name}", "sha256": sha256(self._path), "dropped_rows": self.dropped}

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """The rows of each frame.

        Raises:
            DataError: most boxes reach beyond the pictures, as when corners stand where sizes belong, or all lie in
                their first pixel, as when they are parts of the picture's size.
        """
        numbers = np.array([frame.index + 1 for frame in frames])
        begin, end = np.searchsorted(self._frame, numbers), np.searchsorted(self._frame, numbers, "right")
        found = [Detections(self._xyxy[b:e], self._score[b:e]) for b, e in zip(begin, end, strict=True)]
        for frame, detections in zip(frames, found, strict=True):
            self._check_form(frame, detections)
        return [self._inside(frame, detections) for frame, detections in zip(frames, found, strict=True)]

    def end(self, frames: int) -> None:
        """Told that the source has so many frames; rows beyond them are those of another video, or of a longer cut."""
        beyond = int((self._frame > frames).sum())
        if beyond:
            self.warnings.append(
                f"{self._path}: {beyond} rows are of frames beyond the last, {frames} (the file goes to "
                f"{self._frame[-1]}): is it of another video?"
            )

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

    def _check_form(self, frame: Frame, detections: Detections) -> None:
        """Count boxes that would lie in the picture if sizes were corners, and do not as sizes; and 0–1 ones."""
        if self._seen >= ENOUGH:
            return
        size = np.array(frame.size, np.float32)
        low, high = detections.xyxy[:, :2], detections.xyxy[:, 2:]
        written = high - low
        beyond = (high > SLACK * size).any(1) & (written > low).all(1) & (written <= SLACK * size).all(1)
        self._seen, self._beyond = self._seen + len(detections), self._beyond + int(beyond.sum())
        self._parts += int((high <= SLACK).all(1).sum())
        if self._seen >= ENOUGH and self._parts == self._seen:
            raise DataError(
                f"{self._path}: all {self._seen} boxes lie in the picture's first pixel; columns 3 to 6 look "
                "like parts of its size and must be pixels"
            )
        if self._seen >= ENOUGH and self._beyond > self._seen / 2:
            raise DataError(
                f"{self._path}: {self._beyond} of {self._seen} boxes reach far beyond the picture; columns 5 and 6 "
                "look like x2,y2 and must be width,height"
            )
