"""How others give people one identity over cameras, as rules over distances of tracklets; for `identity_site`.

They are written anew from what public systems and papers describe; none of their code is here. Each takes tracklets in
the order of their ends and a threshold, a cosine distance of prototypes, and gives every tracklet a label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tracker.identity.linkage import average_linkage

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tracklets:
    """N tracklets in the order of their ends.

    Attributes:
        prototype: ``(N, D)`` of unit length.
        camera: ``(N,)``.
        begin, end: ``(N,)`` seconds.
    """

    prototype: NDArray[np.float32]
    camera: Int64
    begin: Float64
    end: Float64

    @property
    def distance(self) -> Float64:
        """``(N, N)`` cosine distances."""
        return np.asarray(1 - self.prototype @ self.prototype.T, np.float64)

    @property
    def together(self) -> NDArray[np.bool_]:
        """``(N, N)`` which were in one camera at one instant."""
        at_once = (self.begin[:, None] <= self.end[None]) & (self.begin[None] <= self.end[:, None])
        return np.asarray(at_once & (self.camera[:, None] == self.camera[None]))


class Rule(Protocol):
    """Labels of tracklets by a threshold."""

    def __call__(self, tracklets: Tracklets, threshold: float) -> Int64: ...


def nearest_tracklet(tracklets: Tracklets, threshold: float) -> Int64:
    """A re-identification service: a newcomer is who the nearest one that was stored before it is."""
    distance, label = tracklets.distance, np.arange(len(tracklets.end))
    for i in range(1, len(label)):
        nearest = int(distance[i, :i].argmin())
        if distance[i, nearest] <= threshold:
            label[i] = label[nearest]
    return label


def running_centroid(tracklets: Tracklets, threshold: float) -> Int64:
    """A newcomer is who the nearest mean of all who came before is, and moves that mean."""
    return _online(
        tracklets, threshold, lambda vectors, new: float(1 - _unit(vectors.mean(0)) @ new), cannot_link=False
    )


def online_average(tracklets: Tracklets, threshold: float) -> Int64:
    """A newcomer is who is nearest on average, of those who were not there at once."""
    return _online(tracklets, threshold, lambda vectors, new: float((1 - vectors @ new).mean()), cannot_link=True)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))


def _online(
    tracklets: Tracklets,
    threshold: float,
    distance: Callable[[NDArray[np.float32], NDArray[np.float32]], float],
    *,
    cannot_link: bool,
) -> Int64:
    together, label = tracklets.together, np.arange(len(tracklets.end))
    members: dict[int, list[int]] = {}
    for i, new in enumerate(tracklets.prototype):
        possible = {k: m for k, m in members.items() if not (cannot_link and together[i, m].any())}
        away = {k: distance(tracklets.prototype[m], new) for k, m in possible.items()}
        best = min(away, key=lambda k: (away[k], k), default=None)
        if best is not None and away[best] <= threshold:
            label[i] = best
        members.setdefault(int(label[i]), []).append(i)
    return label


def single_linkage(tracklets: Tracklets, threshold: float) -> Int64:
    """OpenVINO's demo for several cameras: whoever is near enough to one is one of them, once all are known."""
    from scipy.sparse.csgraph import connected_components

    _, label = connected_components(tracklets.distance <= threshold, directed=False)
    return np.asarray(label, np.int64)


def offline_average(tracklets: Tracklets, threshold: float) -> Int64:
    """Metropolis-like: average linkage once all are known, none of whom was in one camera twice at once."""
    return average_linkage(-tracklets.distance, tracklets.together, bar=-threshold).label


def with_travel_times(tracklets: Tracklets, threshold: float) -> Int64:
    """The same, and then anew without what takes a time that none of the first links took."""
    label = offline_average(tracklets, threshold)
    gap = tracklets.begin[None] - tracklets.end[:, None]
    gap = np.where(tracklets.begin[None] >= tracklets.begin[:, None], gap, gap.T)
    first = tracklets.begin[:, None] <= tracklets.begin[None]
    way = np.where(
        first, 1000 * tracklets.camera[:, None] + tracklets.camera, 1000 * tracklets.camera + tracklets.camera[:, None]
    )
    same = (label[:, None] == label[None]) & ~np.eye(len(label), dtype=bool)
    impossible = tracklets.together.copy()
    for pair in np.unique(way):
        here = way == pair
        times = gap[here & same]
        low, high = np.quantile(times, [0.02, 0.98]) if len(times) else (0.0, -1.0)
        impossible |= here & ((gap < low) | (gap > high))
    return average_linkage(-tracklets.distance, impossible | impossible.T, bar=-threshold).label


RULES: dict[str, Rule] = {
    "nearest tracklet": nearest_tracklet,
    "running centroid": running_centroid,
    "single linkage": single_linkage,
    "average linkage + cannot-link, online": online_average,
    "average linkage + cannot-link, offline": offline_average,
    "the same with travel times": with_travel_times,
}
