"""Boxes of many tracks in columns, for what is done when all of them are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tracker.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]

CORNERS = ("x1", "y1", "x2", "y2")


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

    @classmethod
    def from_table(cls, table: pa.Table) -> Trajectories:
        """From a table as `tracks.parquet` holds it.

        Raises:
            DataError: a column is missing, or as in `of`.
        """
        needed = ("frame", "timestamp", "id", *CORNERS, "score", "class_id")
        missing = [name for name in needed if name not in table.column_names]
        if missing:
            raise DataError(f"a table of tracks has the columns {', '.join(needed)}; missing: {', '.join(missing)}")
        columns = {name: table[name].to_numpy() for name in needed}
        marks = {n: table[n].fill_null(False).to_numpy() for n in ("filled", "predicted") if n in table.column_names}
        xyxy = np.column_stack([np.asarray(columns[name], np.float64) for name in CORNERS])
        c = columns
        return cls.of(c["frame"], c["timestamp"], c["id"], xyxy, c["score"], c["class_id"], **marks)

    def to_table(self, names: Mapping[int, str] | None = None) -> pa.Table:
        """As `tracks.parquet` holds it, by frame, then by id, with one column more: `filled`.

        Args:
            names: of class ids; a class without one is its number.
        """
        import pyarrow as pa

        order = np.lexsort((self.id, self.frame))
        class_id = self.class_id[order]
        corners = self.xyxy[order].astype(np.float32)
        columns: dict[str, Any] = {"frame": self.frame[order], "timestamp": self.time[order], "id": self.id[order]}
        columns |= {name: corners[:, i] for i, name in enumerate(CORNERS)}
        columns |= {"score": self.score[order].astype(np.float32), "class_id": class_id}
        text = pa.array([(names or {}).get(c, str(c)) for c in class_id.tolist()], pa.string())
        marks = {"predicted": self.predicted[order], "filled": self.filled[order]}
        return pa.table(columns | {"class": text} | marks)


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
