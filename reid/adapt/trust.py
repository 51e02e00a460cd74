"""Is the adapted network better? Judged on tracklets that it did not learn from, without labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.adapt.identities import mutual_nearest
from reid.tracklets import prototype, tracklet_distance

DRAWS = 500
"""Of tracklets, with replacement: how far scores vary by chance (the bootstrap)."""
CONFIDENCE = 0.95
"""That a score has risen."""
DOUBT = 0.8
"""Confidence that a score has fallen from which nothing is promoted."""
MOST_LOST = 0.05
"""What a score may lose, however unsure that is."""
CONSISTENT = 0.8
"""Separation below which tracklets mix people, or a track's halves are no more alike than strangers."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Of one network on held-out tracklets, each a fraction in 0–1 that is better when it is higher.

    Attributes:
        separation: ``(T,)`` share of the strangers seen apart who are farther than the tracklet's own other half.
        consistency: ``(T,)`` reciprocal rank of a tracklet's second half among all second halves, by its first.
        agreement: ``(T,)`` whether both halves have the same nearest tracklet in the other cameras, which is the one
            that comes back to it; NaN where there is no other camera.
    """

    separation: NDArray[np.float64]
    consistency: NDArray[np.float64]
    agreement: NDArray[np.float64]

    def means(self) -> dict[str, float]:
        """Of the tracklets; NaN where nothing was judged."""
        return {name: _mean(getattr(self, name)) for name in ("separation", "consistency", "agreement")}


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def scores(
    vectors: NDArray[np.float32],
    groups: list[NDArray[np.int64]],
    camera: NDArray[np.int64],
    apart: NDArray[np.bool_],
) -> Scores:
    """Scores of tracklets.

    Args:
        vectors: ``(N, D)`` of unit length.
        groups: rows of each tracklet's crops, in the order of time.
        camera: ``(T,)``.
        apart: ``(T, T)``.
    """
    first = np.stack([prototype(vectors[rows[: len(rows) // 2]]) for rows in groups])
    second = np.stack([prototype(vectors[rows[len(rows) // 2 :]]) for rows in groups])
    halves = tracklet_distance(first, second)
    own = np.diagonal(halves)
    farther = np.where(apart, halves > own[:, None], 0).sum(1)
    some = apart.sum(1)
    separation = np.divide(farther, some, out=np.full(len(own), np.nan), where=some > 0)
    # Mates of the tracklet in the same camera at another time may be the same person: only who was seen apart, or
    # another camera's, can be wrong, and of another camera nobody knows.
    rank = 1 + np.where(apart, halves < own[:, None], 0).sum(1)
    return Scores(separation, np.where(some > 0, 1 / rank, np.nan), _agreement(first, second, camera, apart))


def _agreement(
    first: NDArray[np.float32], second: NDArray[np.float32], camera: NDArray[np.int64], apart: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Both halves lead to the same tracklet elsewhere."""
    if len(np.unique(camera)) < 2:
        return np.full(len(camera), np.nan)
    blocked = apart | (camera[:, None] == camera[None])
    one, other = (tracklet_distance(a, b) for a, b in ((first, second), (second, first)))
    links = [set(map(tuple, mutual_nearest(d, camera, blocked)[0].tolist())) for d in (one, other)]
    found = np.zeros(len(camera))
    for a, b in links[0] & links[1]:
        found[[a, b]] = 1
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to take the adapted network.

    Attributes:
        promoted: whether it is offered.
        reason: one sentence.
        before: means of the scores of the old network.
        after: of the adapted one.
    """

    promoted: bool
    reason: str
    before: dict[str, float]
    after: dict[str, float]


def verdict(before: Scores, after: Scores, *, seed: int = 0) -> Verdict:
    """Promote what has surely risen in separation and consistency, and fallen in nothing.

    Args:
        before: of the old network, on held-out tracklets.
        after: of the adapted one, on the same.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    means = before.means(), after.means()
    risen, fallen = [], []
    for name in means[0]:
        change = getattr(after, name) - getattr(before, name)
        change = change[np.isfinite(change)]
        if not len(change):
            continue
        drawn = change[random.integers(len(change), size=(DRAWS, len(change)))].mean(1)
        if np.quantile(drawn, 1 - CONFIDENCE) > 0:
            risen.append(name)
        if change.mean() < -MOST_LOST or np.quantile(drawn, DOUBT) < 0:
            fallen.append(name)
    if fallen:
        return Verdict(
            False, f"{' and '.join(fallen)} fell on tracklets that were held out: the old weights stay", *means
        )
    if "separation" not in risen or not {"consistency", "agreement"} & set(risen):
        return Verdict(False, "no sure gain on tracklets that were held out: the old weights stay", *means)
    return Verdict(True, f"{' and '.join(risen)} rose on tracklets that were held out, and nothing fell", *means)
