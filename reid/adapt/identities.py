"""Which tracklets are taken for one person, by who is nearest to whom: no radius, and nothing to tune."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid.tracklets import prototype, tracklet_distance

LEARNED_FROM = 20
"""Links from which the times on the way between two cameras are learned."""
SLACK = 0.5
"""Of the range of those times, before and after it."""


def prototypes(vectors: NDArray[np.float32], groups: list[NDArray[np.int64]]) -> NDArray[np.float32]:
    """``(T, D)`` of the vectors ``(N, D)`` of each tracklet's crops."""
    return np.stack([prototype(vectors[rows]) for rows in groups])


def mutual_nearest(
    distance: NDArray[np.float32], camera: NDArray[np.int64], apart: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Tracklets that are each the nearest of the other, for every two cameras (or within one).

    Args:
        distance: ``(T, T)``.
        camera: ``(T,)``.
        apart: ``(T, T)`` which cannot be one person.

    Returns:
        ``(L, 2)`` pairs, and ``(L,)`` how clear each is: by which share the nearest is nearer than the second.
    """
    blocked = np.where(apart | np.eye(len(camera), dtype=bool), np.inf, distance)
    pairs, clear = [], []
    cameras = np.unique(camera)
    for first in cameras:
        for second in cameras[cameras >= first]:
            left, right = np.flatnonzero(camera == first), np.flatnonzero(camera == second)
            between = blocked[np.ix_(left, right)]
            forth, back = between.argmin(1), between.argmin(0)
            found = np.flatnonzero((back[forth] == np.arange(len(left))) & np.isfinite(between.min(1)))
            if first == second:
                found = found[found < forth[found]]
            near = between[found, forth[found]]
            second_best = np.minimum(_second(between)[found], _second(between.T)[forth[found]])
            pairs.append(np.stack([left[found], right[forth[found]]], 1))
            clear.append(np.where(np.isfinite(second_best), 1 - near / np.maximum(second_best, 1e-6), 0.0))
    return np.concatenate(pairs), np.concatenate(clear)


def _second(distance: NDArray[np.float32]) -> NDArray[np.float64]:
    """``(R,)`` the second smallest of each row; infinite where there is none."""
    if distance.shape[1] < 2:
        return np.full(len(distance), np.inf)
    return np.asarray(np.partition(distance, 1, axis=1)[:, 1], np.float64)


def in_learned_times(
    pairs: NDArray[np.int64], clear: NDArray[np.float64], camera: NDArray[np.int64], span: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which links take about as long as the clearer half of the links between the same two cameras does.

    Args:
        pairs: ``(L, 2)``.
        clear: ``(L,)`` how clear each is.
        camera: ``(T,)``.
        span: ``(T, 2)`` begin and end; where it is unknown, or too few links are there to learn from, all may be.
    """
    kept = np.ones(len(pairs), bool)
    gap = span[pairs[:, 1], 0] - span[pairs[:, 0], 1]
    way = camera[pairs[:, 0]] * (camera.max(initial=0) + 1) + camera[pairs[:, 1]]
    for one in np.unique(way):
        rows = np.flatnonzero((way == one) & np.isfinite(gap))
        sure = rows[clear[rows] >= np.median(clear[rows])] if len(rows) else rows
        if len(sure) < LEARNED_FROM:
            continue
        low, high = np.quantile(gap[sure], [0.025, 0.975])
        slack = SLACK * (high - low)
        kept[rows] = (gap[rows] >= low - slack) & (gap[rows] <= high + slack)
    return kept


def pseudo_identities(
    distance: NDArray[np.float32],
    camera: NDArray[np.int64],
    apart: NDArray[np.bool_],
    span: NDArray[np.float64],
    *,
    share: float,
) -> NDArray[np.int64]:
    """Tracklets linked to identities: the clearest links first, none between people seen apart.

    Args:
        distance: ``(T, T)`` of the prototypes.
        camera: ``(T,)``.
        apart: ``(T, T)``.
        span: ``(T, 2)``.
        share: of the links that are taken, 0–1: few at first, when many are wrong.

    Returns:
        ``(T,)`` from 0 up, without gaps.
    """
    pairs, clear = mutual_nearest(distance, camera, apart)
    fits = in_learned_times(pairs, clear, camera, span)
    pairs, clear = pairs[fits], clear[fits]
    label = np.arange(len(camera))
    for a, b in pairs[np.argsort(-clear, kind="stable")][: round(share * len(pairs))].tolist():
        left, right = np.flatnonzero(label == label[a]), np.flatnonzero(label == label[b])
        if label[a] != label[b] and not apart[np.ix_(left, right)].any():
            label[right] = label[a]
    return np.unique(label, return_inverse=True)[1].astype(np.int64)


def strangers(label: NDArray[np.int64], apart: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``(I, I)`` which pseudo-identities are two people: some of their tracklets were seen apart."""
    count = int(label.max(initial=-1)) + 1
    found = np.zeros((count, count), bool)
    left, right = np.nonzero(apart)
    found[label[left], label[right]] = True
    np.fill_diagonal(found, False)
    return found


def nearest(vectors: NDArray[np.float32], groups: list[NDArray[np.int64]]) -> NDArray[np.float32]:
    """``(T, T)`` distances of tracklets by the vectors of their crops."""
    means = prototypes(vectors, groups)
    return tracklet_distance(means, means)
