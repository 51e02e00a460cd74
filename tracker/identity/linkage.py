"""Average linkage of what may be linked: clusters of the most alike, without pairs that cannot be one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Linked(NamedTuple):
    """Clusters.

    Attributes:
        label: ``(N,)`` of each row its cluster, numbered from 0 in the order of their first rows.
        height: ``(M,)`` the mean evidence at which each of the M unions was made; it never rises.
        similarity: ``(C, C)`` mean evidence between clusters, −inf where they cannot be one, and on the diagonal.
    """

    label: Int64
    height: Float64
    similarity: Float64


def average_linkage(
    similarity: Float64, forbidden: Mask, *, bar: float, groups: Int64 | None = None, weight: ArrayLike = 1.0
) -> Linked:
    """Unite the two clusters with the highest mean similarity, while it is above the bar and they may be one.

    The mean is over all pairs of a row of the one and a row of the other (Sokal and Michener's average linkage).
    A union is forbidden when any such pair is. Of equals, those with the first rows are united first. Each union costs
    O(N); with a remembered best partner of each cluster that is about O(N²) in all.

    Args:
        similarity: ``(N, N)`` symmetric; the diagonal counts for nothing.
        forbidden: ``(N, N)`` symmetric, pairs that cannot be one; the diagonal counts for nothing.
        bar: the lowest mean similarity of a union.
        groups: ``(N,)`` rows of equal number are one from the start; none are when None.
        weight: ``(N,)`` how many a row stands for.
    """
    rows = len(similarity)
    first = np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1].astype(np.int64)
    first = _in_order(first)
    mean, never, size = _grouped(similarity, forbidden, first, np.broadcast_to(np.asarray(weight, float), rows))
    parent, height = _unite(mean, never, size, bar)
    # What remains are the rows of `mean` that nobody swallowed.
    alive = np.flatnonzero(parent == np.arange(len(parent)))
    label = _in_order(parent[first])
    kept = mean[np.ix_(alive, alive)]
    kept[never[np.ix_(alive, alive)]] = -np.inf
    return Linked(label, np.array(height), kept)


def _in_order(label: Int64) -> Int64:
    """Numbered from 0 in the order of their first rows."""
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.reshape(-1)]


def _grouped(similarity: Float64, forbidden: Mask, label: Int64, weight: Float64) -> tuple[Float64, Mask, Float64]:
    """Mean similarity of groups, which of them cannot be one (none can be one with itself again), their weights."""
    count = int(label.max()) + 1 if len(label) else 0
    if count == len(label):
        mean, never = similarity.astype(np.float64), forbidden.copy()
    else:
        belongs = np.zeros((count, len(label)))
        belongs[label, np.arange(len(label))] = weight
        never = ((belongs > 0).astype(np.float32) @ forbidden @ (belongs > 0).T) > 0
        belongs /= belongs.sum(1, keepdims=True)
        mean = belongs @ similarity @ belongs.T
    np.fill_diagonal(never, True)
    return mean, never, np.bincount(label, weight, count).astype(np.float64)


def _unite(mean: Float64, never: Mask, size: Float64, bar: float) -> tuple[Int64, list[float]]:
    """Changes `mean`, `never` and `size` in place; of each row, the row that its cluster goes by, and the heights."""
    count = len(mean)
    open_ = np.where(never, -np.inf, mean)
    partner = open_.argmax(1) if count else np.empty(0, np.int64)
    best = open_[np.arange(count), partner]
    parent, height = np.arange(count), []
    while count:
        i = int(best.argmax())
        if not best[i] > bar:
            break
        j = int(partner[i])
        i, j = min(i, j), max(i, j)
        height.append(float(best[i]))
        mean[i] = (size[i] * mean[i] + size[j] * mean[j]) / (size[i] + size[j])
        never[i] |= never[j]
        mean[:, i], never[:, i] = mean[i], never[i]
        never[j], never[:, j] = True, True
        size[i] += size[j]
        parent[parent == j] = i
        open_[i] = np.where(never[i], -np.inf, mean[i])
        open_[:, i], open_[j], open_[:, j] = open_[i], -np.inf, -np.inf
        best[j] = -np.inf
        closer = (open_[i] > best) | ((open_[i] == best) & (i < partner))
        lost = (partner == i) | (partner == j)
        best[closer], partner[closer] = open_[i, closer], i
        for row in np.flatnonzero(lost & ~closer | (np.arange(count) == i)):
            partner[row] = open_[row].argmax()
            best[row] = open_[row, partner[row]]
    return parent, height
