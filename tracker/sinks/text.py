"""Formats that are valid at every row: MOTChallenge text, CSV and JSON Lines, one row a track and frame."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tracker.errors import ReacquireError
from tracker.formats.csv import quoted
from tracker.formats.mot import result_lines
from tracker.sinks.base import Growing, Sink
from tracker.types import Detections, Frame, Tracks


class _LineSink(Sink):
    """Appends lines; a frame's reach the system at once and together, so that a killed process leaves whole ones."""

    def __init__(self, path: Path, header: str = "") -> None:
        self.path: Path = path
        self._file = Growing(path)
        try:
            self._file.append(header.encode())
        except ReacquireError:
            self._file.close()
            raise

    @abstractmethod
    def _lines(self, frame: Frame, tracks: Tracks) -> list[str]:
        """One line a track."""

    def write(self, frame: Frame, detections: Detections, tracks: Tracks) -> None:
        lines = self._lines(frame, tracks)
        if lines:
            self._file.append(("\n".join(lines) + "\n").encode(errors="backslashreplace"))

    def close(self) -> None:
        self._file.close()


class MotSink(_LineSink):
    """MOTChallenge results: ``frame, id, left, top, width, height, score, -1, -1, -1``, frames from 1.

    The format has no place to say that a box is predicted.
    """

    def _lines(self, frame: Frame, tracks: Tracks) -> list[str]:
        return result_lines(np.full(len(tracks), frame.index), tracks.id, tracks.xyxy, tracks.score)


class CsvSink(_LineSink):
    """A header, and the columns of `JsonLinesSink`, with a column for each corner of the box.

    Args:
        path: the file.
        class_names: names of class ids; a class without one is its number.
    """

    COLUMNS = ("frame", "timestamp", "id", "x1", "y1", "x2", "y2", "score", "class_id", "class", "predicted")

    def __init__(self, path: Path, class_names: Mapping[int, str] | None = None) -> None:
        super().__init__(path, ",".join(self.COLUMNS) + "\n")
        self._names = {number: quoted(name) for number, name in (class_names or {}).items()}

    def _lines(self, frame: Frame, tracks: Tracks) -> list[str]:
        columns = (tracks.id, tracks.class_id, tracks.score, tracks.xyxy, tracks.predicted)
        begin = f"{frame.index},{round(frame.timestamp, 6)}"
        return [
            f"{begin},{i},{x1:.2f},{y1:.2f},{x2:.2f},{y2:.2f},{s:.4f},{k},{self._names.get(k, k)},{str(mark).lower()}"
            for i, k, s, (x1, y1, x2, y2), mark in zip(*(column.tolist() for column in columns), strict=True)
        ]


class JsonLinesSink(_LineSink):
    """One JSON object a line: frame (from 0), timestamp (s), id, class_id, class, score, xyxy (px), predicted.

    `predicted` as in `ParquetSink`.

    Args:
        path: the file.
        class_names: names of class ids; a class without one is its number.
    """

    def __init__(self, path: Path, class_names: Mapping[int, str] | None = None) -> None:
        super().__init__(path)
        self._names = class_names or {}

    def _lines(self, frame: Frame, tracks: Tracks) -> list[str]:
        columns = (tracks.id, tracks.class_id, tracks.score, tracks.xyxy, tracks.predicted)
        return [
            json.dumps(
                {
                    "frame": frame.index,
                    "timestamp": round(frame.timestamp, 6),
                    "id": track_id,
                    "class_id": class_id,
                    "class": self._names.get(class_id, str(class_id)),
                    "score": round(score, 4),
                    "xyxy": [round(value, 2) for value in box],
                    "predicted": predicted,
                },
                ensure_ascii=False,
            )
            for track_id, class_id, score, box, predicted in zip(*(column.tolist() for column in columns), strict=True)
        ]
