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

    def terms(self, table: Table, one: Int64, others: Int64) -> Float64:
        """Evidence of rows against rows, term by term.

        Args:
            table: of both.
            one: ``(M,)`` rows.
            others: ``(N,)`` rows.

        Returns:
            ``(3, M, N)`` natural logarithms: `TERMS`.
        """
        left, right = table.rows[one][:, None], table.rows[others][None]
        across = left["camera"] != right["camera"]
        distance = tracklet_distance(table.prototypes[one], table.prototypes[others])
        looks = self.distances.log_likelihood_ratio(distance, left["count"], right["count"], across=across)
        return np.stack([looks, self._place(table, one, others), self.travel_term(table, one, others)])

    def travel_term(self, table: Table, one: Int64, others: Int64) -> Float64:
        """``(M, N)`` the last of `terms`."""
        left, right = table.rows[one][:, None], table.rows[others][None]
        first = left["begin"] < right["begin"]  # of the pair; of those that began together, either is
        before = np.where(first, left["camera"], right["camera"])
        after = np.where(first, right["camera"], left["camera"])
        return self.travel.log_ratio(before, after, _gap(left, right))

    def _place(self, table: Table, one: Int64, others: Int64) -> Float64:
        """``(M, N)``; nothing between cameras, and of those that were there together."""
        rows = table.rows
        left, right = rows[one][:, None], rows[others][None]
        gap = _gap(left, right)
        ratio = np.zeros(gap.shape)
        i, j = np.nonzero((left["camera"] == right["camera"]) & (gap > 0))
        swap = rows["begin"][one[i]] >= rows["begin"][others[j]]
        lost, found = rows[np.where(swap, others[j], one[i])], rows[np.where(swap, one[i], others[j])]
        ratio[i, j] = place_ratio(lost["last"], lost["velocity"], found["first"], gap[i, j])
        return ratio

    def forbidden(self, table: Table, one: Int64, others: Int64) -> Mask:
        """``(M, N)`` which cannot be one: of two classes, or seen at one instant where one object cannot be."""
        left, right = table.rows[one][:, None], table.rows[others][None]
        together = (left["begin"] <= right["end"]) & (right["begin"] <= left["end"])
        exclusive = self.views.exclusive(left["camera"], right["camera"])
        return np.asarray((together & exclusive) | (left["class_id"] != right["class_id"]))


def simultaneous(rows: NDArray[np.void], views: Views) -> tuple[Int64, Int64]:
    """Pairs of rows that were seen at one instant where one object cannot be; each once."""
    order = np.argsort(rows["begin"], kind="stable")
    begin, end = rows["begin"][order], rows["end"][order]
    count = np.searchsorted(begin, end, side="right") - np.arange(len(rows)) - 1
    i = np.repeat(np.arange(len(rows)), count)
    j = i + 1 + np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count)
    i, j = order[i], order[j]
    chosen = views.exclusive(rows["camera"][i], rows["camera"][j])
    return i[chosen], j[chosen]


def _gap(left: NDArray[np.void], right: NDArray[np.void]) -> Float64:
    """Seconds from the end of the one that began first to the beginning of the other."""
    return np.asarray(
        np.maximum(left["begin"], right["begin"]) - np.where(left["begin"] < right["begin"], left["end"], right["end"])
    )


def learn_travel(table: Table, rows: Int64, label: Int64) -> TravelTimes:
    """Travel times of tracklets of which a label says who is who.

    Args:
        table: of them.
        rows: ``(N,)`` which.
        label: ``(N,)``, equal for one identity.
    """
    facts = table.rows[rows]
    begin, class_id = facts["begin"], facts["class_id"]
    i, j = np.nonzero((begin[:, None] <= begin[None]) & (class_id[:, None] == class_id[None]))
    once = (begin[i] < begin[j]) | (i < j)
    i, j = i[once], j[once]
    camera = np.stack([facts["camera"][i], facts["camera"][j]])
    return TravelTimes.learned(camera, begin[j] - facts["end"][i], label[i] == label[j], len(table.cameras))
