"""Boxes of many tracks in columns, for what is done when all of them are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tracker.errors import DataError

if TYPE_CHECKING:
    pass

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Trajectories:
    """Boxes of many tracks, sorted by id, then by frame.

    Attributes:
        frame: ``(N,)`` int64, from 0.
        time: ``(N,)`` seconds.
        id: ``(N,)`` int64.
        xyxy: ``(N, 4)`` float64, pixels.
        score: ``(N,)``.
        class_id: ``(N,)`` int64.
        filled: ``(N,)``: nobody saw this box; it was put into a gap.
        predicted: ``(N,)``: nobody saw this box, whether it was filled in or is where the tracker expected it.
    """

    frame: Index
    time: Float64
    id: Index
    xyxy: Float64
    score: Float64
    class_id: Index
    filled: NDArray[np.bool_]
    predicted: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: NDArray[np.integer]) -> Trajectories:
        """Chosen rows, in the order given."""
        return Trajectories(*(getattr(self, name)[rows] for name in self.__slots__))

    @classmethod
    def of(
        cls,
        frame: ArrayLike,
        time: ArrayLike,
        track_id: ArrayLike,
        xyxy: ArrayLike,
        score: ArrayLike | None = None,
        class_id: ArrayLike | None = None,
        filled: ArrayLike | None = None,
        predicted: ArrayLike | None = None,
    ) -> Trajectories:
        """From columns in any order.

        Raises:
            DataError: columns of different lengths, NaN, an id twice in a frame, times that do not rise with frames.
        """
        frames = np.asarray(frame, np.int64)
        n = len(frames)
        put_in = np.zeros(n, bool) if filled is None else np.asarray(filled, bool)
        made = cls(
            frames,
            np.asarray(time, np.float64),
            np.asarray(track_id, np.int64),
            np.asarray(xyxy, np.float64).reshape(-1, 4),
            np.ones(n) if score is None else np.asarray(score, np.float64),
            np.zeros(n, np.int64) if class_id is None else np.asarray(class_id, np.int64),
            put_in,
            put_in if predicted is None else put_in | np.asarray(predicted, bool),
        )
        return _checked(made)


def _checked(rows: Trajectories) -> Trajectories:
    """Sorted, and refused where something cannot be."""
    lengths = {name: len(getattr(rows, name)) for name in rows.__slots__}
    if len(set(lengths.values())) != 1:
        raise DataError(f"columns of tracks have different lengths: {lengths}")
    if not (np.isfinite(rows.xyxy).all() and np.isfinite(rows.time).all()):
        raise DataError("a box or a time of tracks is NaN or infinite")
    rows = rows.take(np.lexsort((rows.frame, rows.id)))
    same = rows.id[1:] == rows.id[:-1]
    step = np.diff(rows.frame)
    if (same & (step == 0)).any():
        row = int(np.flatnonzero(same & (step == 0))[0])
        raise DataError(f"track {rows.id[row]} is in frame {rows.frame[row]} twice")
    if (same & (np.diff(rows.time) <= 0)).any():
        row = int(np.flatnonzero(same & (np.diff(rows.time) <= 0))[0])
        raise DataError(f"track {rows.id[row]}: time does not rise from frame {rows.frame[row]} to the next")
    return rows
