"""What ids look like, kept in memory for the end of a run and written nowhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.protocols import Sink
from tracker.types import Detections, Frame, Tracks

LEAST_SCORE = 0.5
"""Doubtful boxes say little about looks."""


class LooksSink(Sink):
    """Sums up the embeddings that each id was matched with; grows with the number of ids, not with time."""

    def __init__(self) -> None:
        self._sums: dict[int, NDArray[np.float64]] = {}

    def write(self, frame: Frame, detections: Detections, tracks: Tracks) -> None:
        if detections.embedding is None:
            return
        rows = np.flatnonzero(~tracks.predicted)
        rows = rows[detections.score[tracks.detection[rows]] >= LEAST_SCORE]
        vectors = detections.embedding[tracks.detection[rows]].astype(np.float64)
        for track_id, vector in zip(tracks.id[rows].tolist(), vectors, strict=True):
            known = self._sums.get(track_id)
            self._sums[track_id] = vector if known is None else known + vector

    def mean(self) -> dict[int, NDArray[np.float64]]:
        """Unit vectors of the ids that were ever seen well."""
        lengths = {i: float(np.linalg.norm(v)) for i, v in self._sums.items()}
        return {i: v / lengths[i] for i, v in self._sums.items() if lengths[i] > 0}
