"""Travel times from camera to camera, and of returns to one: learnt from tracklets that are one identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.errors import DataError

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
EDGES = np.concatenate([[-np.inf, 0], np.geomspace(1, 86_400, 32), [np.inf]])
"""Seconds between the end of one tracklet and the beginning of another: while it is still there, and then bins whose
width grows with the time, up to a day and beyond."""
BINS = len(EDGES) - 1
OF_ALL = 10.0
"""Links that the travel times of all cameras together count for in those of a pair of cameras."""
FLAT = 5.0
"""Links that the stated prior counts for, by which travel times say nothing."""

ASTRAY = 0.1
"""Share of ways that may take any time, whatever was learnt: so no time is much evidence against anybody."""


@dataclass(slots=True, eq=False)
class TravelTimes:
    """How often tracklets followed one another after which time.

    Attributes:
        same: ``(C, C, BINS)`` pairs of one identity: from camera, to camera, by `EDGES`.
        different: ``(C, C, BINS)`` pairs of two.
        ratio: ``(C, C, BINS)`` log-likelihood ratios that follow from them.
    """

    same: Float64
    different: Float64
    ratio: Float64

    @classmethod
    def unknown(cls) -> TravelTimes:
        """Of cameras that nobody was seen in yet: every time is as likely for one identity as for two."""
        return cls.learned(np.empty((2, 0), np.int64), np.empty(0), np.empty(0, bool), 0)

    @classmethod
    def learned(cls, camera: Int64, gap: Float64, same: NDArray[np.bool_], cameras: int) -> TravelTimes:
        """From pairs of tracklets.

        Args:
            camera: ``(2, P)`` from which camera to which.
            gap: ``(P,)`` seconds between the end of the one and the beginning of the other, which began no sooner.
                Those that were there at once count for both directions.
            same: ``(P,)`` which are taken for one identity.
            cameras: how many there are.
        """
        place = (camera[0] * cameras + camera[1]) * BINS + bin_of(gap)
        size, shape = cameras * cameras * BINS, (cameras, cameras, BINS)
        counts = [np.bincount(place[rows], minlength=size).reshape(shape).astype(np.float64) for rows in (same, ~same)]
        for count in counts:  # who is in two cameras at once is in neither first
            count[:, :, 0] += count[:, :, 0].T - np.diag(count[:, :, 0].diagonal())
        return cls.of_counts(*counts)

    @classmethod
    def of_counts(cls, same: Float64, different: Float64) -> TravelTimes:
        """From counts.

        Times of two people tell when people are there at all; the times of one identity are held against them, so that
        a camera that everybody passes is no evidence. Few links of a pair of cameras deviate little from what holds
        for all of them, and few links of all little from no evidence.
        """
        everybody = (different.sum((0, 1)) + 1) / (different.sum() + BINS)
        of_two = (different + OF_ALL * everybody) / (different.sum(2, keepdims=True) + OF_ALL)
        together = same.sum((0, 1)) + FLAT * everybody
        share = together / together.sum() / everybody
        of_all = OF_ALL * share * of_two
        of_one = (same + of_all) / (same.sum(2, keepdims=True) + of_all.sum(2, keepdims=True))
        ratio = np.log((1 - ASTRAY) * of_one / of_two + ASTRAY)
        ratio[:, :, 0] = (ratio[:, :, 0] + ratio[:, :, 0].T) / 2  # of those that were there at once, neither is first
        return cls(same, different, ratio)

    def log_ratio(self, before: Int64 | int, after: Int64 | int, gap: Float64) -> Float64:
        """Evidence of travel times; all arguments broadcast.

        Args:
            before: camera of the tracklet that began first.
            after: of the other.
            gap: seconds between the end of the one and the beginning of the other; below 0 while both were there.

        Returns:
            Natural logarithms; 0 for cameras that were not learned.
        """
        before, after = np.asarray(before), np.asarray(after)
        known = len(self.same)
        if not known:
            return np.zeros(np.broadcast(before, after, gap).shape)
        inside = (before < known) & (after < known)
        values = self.ratio[np.minimum(before, known - 1), np.minimum(after, known - 1), bin_of(gap)]
        return np.asarray(np.where(inside, values, 0.0))

    def as_plain(self) -> dict[str, Any]:
        """As plain values, for a store."""
        return {"same": self.same.tolist(), "different": self.different.tolist()}

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> TravelTimes:
        """What `as_plain` gave.

        Raises:
            DataError: it is something else.
        """
        try:
            counts = [np.array(content[name], np.float64) for name in ("same", "different")]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"travel times: damaged ({error})") from error
        cameras = len(counts[0])
        for i, count in enumerate(counts):
            if count.shape == (0,):
                counts[i] = count.reshape(0, 0, BINS)
            elif count.shape != (cameras, cameras, BINS) or not (np.isfinite(count) & (count >= 0)).all():
                raise DataError(f"travel times: expected counts of shape {cameras, cameras, BINS}, got {count.shape}")
        return cls.of_counts(*counts)


def bin_of(gap: Float64) -> Int64:
    """Of each gap, which of the `BINS`; the first is of tracklets that were there at one instant."""
    return np.clip(np.searchsorted(EDGES, gap) - 1, 0, BINS - 1).astype(np.int64)
