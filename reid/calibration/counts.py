"""Distances of pairs of tracklets as histograms: what a calibration is fitted to, and what can be added up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

SIZES = (1, 2, 4, 8)
"""Embeddings a side for which distances are told apart: means of more are nearer to each other."""
BINS = 128
"""Of a histogram; see `EDGES`."""
EDGES = np.linspace(0, 2, BINS + 1)
"""Of the bins, as Euclidean distances of unit vectors, ``sqrt(2 · cosine distance)``. So bins are narrow where cosine
distances are small, as they all are with networks whose outputs are never negative."""
REGIMES = ("within", "across")
"""Both tracklets of one camera, or of two."""


def chord(distance: ArrayLike) -> NDArray[np.float64]:
    """Euclidean distance of unit vectors, 0–2, from their cosine distance, 0–2."""
    return np.asarray(np.sqrt(2 * np.clip(np.asarray(distance, np.float64), 0, 2)), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class PairCounts:
    """How many pairs of tracklets were seen at which distance.

    Attributes:
        count: ``(2, 4, 2, BINS)`` float64: within a camera and across cameras; by `SIZES`; pairs of one identity and
            of two; by `EDGES`. Not whole numbers where counts of others were weighed.
    """

    count: NDArray[np.float64]

    @classmethod
    def none(cls) -> PairCounts:
        """No pair at all."""
        return cls(np.zeros((len(REGIMES), len(SIZES), 2, BINS)))

    def __add__(self, other: PairCounts) -> PairCounts:
        return PairCounts(self.count + other.count)

    def __mul__(self, factor: float | NDArray[np.float64]) -> PairCounts:
        return PairCounts(self.count * factor)

    def add(self, distance: NDArray[np.floating], same: NDArray[np.bool_], *, size: int, across: bool) -> None:
        """Count pairs.

        Args:
            distance: ``(N,)`` cosine distances of prototypes.
            same: ``(N,)`` which are of one identity.
            size: embeddings a side, one of `SIZES`.
            across: of two cameras.
        """
        place = np.minimum((chord(distance) * (BINS / 2)).astype(np.int64), BINS - 1)
        cell = self.count[int(across), SIZES.index(size)]
        for kind, rows in enumerate((same, ~same)):
            cell[kind] += np.bincount(place[rows], minlength=BINS)

    @property
    def pairs(self) -> NDArray[np.float64]:
        """``(2, 4, 2)`` how many there are of each kind."""
        return np.asarray(self.count.sum(-1), np.float64)
