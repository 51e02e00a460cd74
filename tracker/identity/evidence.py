"""What speaks for two tracklets being one identity, and what speaks against it: a sum of log-likelihood ratios."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid.tracklets import tracklet_distance
from tracker.identity.place import log_ratio as place_ratio
from tracker.identity.table import Table
from tracker.identity.travel import TravelTimes

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]
ALL = slice(None)
TERMS = ("appearance", "place", "travel time")
"""What is added up."""


class Distances(Protocol):
    """What distances mean; `reid.calibration.Calibration` is one."""

    def log_likelihood_ratio(
        self, distance: ArrayLike, n_left: ArrayLike, n_right: ArrayLike, *, across: ArrayLike
    ) -> Float64:
        """Natural logarithms of p(distance | one identity) / p(distance | two); arguments broadcast."""


@dataclass(slots=True, eq=False)
class Views:
    """Which cameras can see one object at one instant.

    Attributes:
        overlapping: pairs of numbers of cameras that share a part of the world.
        declared: whether somebody said which do. If nobody did, two cameras may, and travel times learn whether they
            do; one camera never shows one object twice.
    """

    overlapping: frozenset[tuple[int, int]] = frozenset()
    declared: bool = False

    def exclusive(self, left: Int64, right: Int64) -> Mask:
        """Whether one object cannot be in both at once; arguments broadcast."""
        if not self.declared:
            return np.asarray(left == right)
        named = [camera for pair in self.overlapping for camera in pair]
        size = 1 + max(int(np.max(left, initial=0)), int(np.max(right, initial=0)), *named, 0)
        shared = np.zeros((size, size), bool)
        for a, b in self.overlapping:
            shared[a, b] = shared[b, a] = True
        return np.asarray(~shared[left, right] | (left == right))


@dataclass(slots=True, eq=False)
class Evidence:
    """How tracklets of a table are compared.

    Attributes:
        distances: of their looks.
        travel: from camera to camera.
        views: which can see one object at one instant.
    """

    distances: Distances
    travel: TravelTimes = field(default_factory=TravelTimes.unknown)
    views: Views = field(default_factory=Views)

    def terms(self, table: Table, one: Int64, others: Int64 | slice = ALL) -> Float64:
        """Evidence of rows against rows, term by term.

        Args:
            table: of both.
            one: ``(M,)`` rows.
            others: ``(N,)`` rows; of all, nothing is copied.

        Returns:
            ``(3, M, N)`` natural logarithms: `TERMS`.
        """
        rows = table.rows
        count, camera = rows["count"], rows["camera"]
        across = camera[one][:, None] != camera[others][None]
        distance = tracklet_distance(table.prototypes[one], table.prototypes[others])
        looks = self.distances.log_likelihood_ratio(distance, count[one][:, None], count[others][None], across=across)
        return np.stack([looks, self._place(table, one, others), self.travel_term(table, one, others)])

    def travel_term(self, table: Table, one: Int64, others: Int64 | slice = ALL) -> Float64:
        """``(M, N)`` the last of `terms`."""
        camera = table.rows["camera"]
        left, right = camera[one][:, None], camera[others][None]
        first, gap = _order(table, one, others)
        return self.travel.log_ratio(np.where(first, left, right), np.where(first, right, left), gap)

    def _place(self, table: Table, one: Int64, others: Int64 | slice) -> Float64:
        """``(M, N)``; nothing between cameras, and of those that were there together."""
        rows, index = table.rows, np.arange(len(table))[others]
        first, gap = _order(table, one, others)
        ratio = np.zeros(gap.shape)
        i, j = np.nonzero((rows["camera"][one][:, None] == rows["camera"][others][None]) & (gap > 0))
        lost = np.where(first[i, j], one[i], index[j])
        found = np.where(first[i, j], index[j], one[i])
        ratio[i, j] = place_ratio(rows["last"][lost], rows["velocity"][lost], rows["first"][found], gap[i, j])
        return ratio

    def forbidden(self, table: Table, one: Int64, others: Int64 | slice = ALL) -> Mask:
        """``(M, N)`` which cannot be one: of two classes, or seen at one instant where one object cannot be."""
        rows = table.rows
        begin, end, camera, class_id = (rows[name] for name in ("begin", "end", "camera", "class_id"))
        together = (begin[one][:, None] <= end[others][None]) & (begin[others][None] <= end[one][:, None])
        exclusive = self.views.exclusive(camera[one][:, None], camera[others][None])
        return np.asarray((together & exclusive) | (class_id[one][:, None] != class_id[others][None]))


def simultaneous(begin: Float64, end: Float64, camera: Int64, views: Views) -> tuple[Int64, Int64]:
    """Pairs of tracklets that were seen at one instant where one object cannot be; each once."""
    order = np.argsort(begin, kind="stable")
    count = np.searchsorted(begin[order], end[order], side="right") - np.arange(len(order)) - 1
    i = np.repeat(np.arange(len(order)), count)
    j = i + 1 + np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count)
    i, j = order[i], order[j]
    chosen = views.exclusive(camera[i], camera[j])
    return i[chosen], j[chosen]


def _order(table: Table, one: Int64, others: Int64 | slice) -> tuple[Mask, Float64]:
    """``(M, N)`` whether the one began first, and seconds from the end of what did to the beginning of the other."""
    begin, end = table.rows["begin"], table.rows["end"]
    left, right = begin[one][:, None], begin[others][None]
    first = left < right  # of those that began together, either is
    return first, np.where(first, right - end[one][:, None], left - end[others][None])


def learn_travel(table: Table, rows: Int64, label: Int64) -> TravelTimes:
    """Travel times of tracklets of which a label says who is who.

    Args:
        table: of them.
        rows: ``(N,)`` which.
        label: ``(N,)``, equal for one identity.
    """
    begin, end, camera, class_id = (table.rows[name][rows] for name in ("begin", "end", "camera", "class_id"))
    i, j = np.nonzero((begin[:, None] <= begin[None]) & (class_id[:, None] == class_id[None]))
    once = (begin[i] < begin[j]) | (i < j)
    i, j = i[once], j[once]
    gap = begin[j] - end[i]
    return TravelTimes.learned(np.stack([camera[i], camera[j]]), gap, label[i] == label[j], len(table.cameras))
