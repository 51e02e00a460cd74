"""The tracks as one table of arrays: a row a track, no object each."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tracker.motion.kalman import Beliefs
from tracker.types import TrackState

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(slots=True)
class TrackTable:
    """All living tracks.

    Attributes:
        id: ``(M,)``; 0 until confirmed.
        state: ``(M,)`` uint8 of `TrackState`.
        hits: ``(M,)`` consecutive matches while tentative, all matches after.
        seen: ``(M,)`` float64, seconds of the last match.
        score: ``(M,)`` float32 of the last match.
        class_id: ``(M,)`` int64.
        box: ``(M, 4)`` float32, the last matched detection's.
        embedding: ``(M, D)`` float32 unit vectors; zero where nothing was learnt yet. D is 0 without appearance.
        beliefs: the Kalman filter's.
    """

    id: Int64
    state: NDArray[np.uint8]
    hits: Int64
    seen: Float64
    score: Float32
    class_id: Int64
    box: Float32
    embedding: Float32
    beliefs: Beliefs

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def empty(cls, dimension: int = 0) -> TrackTable:
        """No tracks."""
        return cls(
            id=np.empty(0, np.int64),
            state=np.empty(0, np.uint8),
            hits=np.empty(0, np.int64),
            seen=np.empty(0),
            score=np.empty(0, np.float32),
            class_id=np.empty(0, np.int64),
            box=np.empty((0, 4), np.float32),
            embedding=np.empty((0, dimension), np.float32),
            beliefs=Beliefs(*(np.empty((0, 4)) for _ in range(5))),
        )

    @classmethod
    def born(
        cls,
        beliefs: Beliefs,
        box: Float32,
        score: Float32,
        class_id: Int64,
        embedding: Float32,
        seconds: float,
    ) -> TrackTable:
        """New tentative tracks of one hit."""
        n = len(box)
        return cls(
            id=np.zeros(n, np.int64),
            state=np.full(n, TrackState.TENTATIVE, np.uint8),
            hits=np.ones(n, np.int64),
            seen=np.full(n, seconds),
            score=score,
            class_id=class_id,
            box=box,
            embedding=embedding,
            beliefs=beliefs,
        )

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Every column by name."""
        columns = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "beliefs"}
        return columns | {f.name: getattr(self.beliefs, f.name) for f in fields(self.beliefs)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[np.generic]]) -> TrackTable:
        """The table whose `arrays` these are."""
        beliefs = Beliefs(**{f.name: arrays[f.name].copy() for f in fields(Beliefs)})  # type: ignore[arg-type]
        columns = {f.name: arrays[f.name].copy() for f in fields(cls) if f.name != "beliefs"}
        return cls(**columns, beliefs=beliefs)  # type: ignore[arg-type]

    def keep(self, rows: NDArray[np.bool_]) -> TrackTable:
        """The rows of a mask."""
        return TrackTable.from_arrays({name: column[rows] for name, column in self.arrays().items()})

    def joined(self, other: TrackTable) -> TrackTable:
        """Both, one below the other."""
        mine, theirs = self.arrays(), other.arrays()
        return TrackTable.from_arrays({name: np.concatenate([mine[name], theirs[name]]) for name in mine})
