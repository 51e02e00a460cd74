"""How well odds hold: what was said of pairs of tracklets beside what they turned out to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from reid.calibration.calibration import Calibration
from reid.calibration.counts import EDGES, REGIMES, SIZES, PairCounts
from reid.calibration.fit import TRUSTED

BANDS = 10
"""Of the probabilities that were said, in the diagram and in the calibration error."""
_CENTRE = np.square((EDGES[1:] + EDGES[:-1]) / 2) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """How odds of one regime and size hold, with "one identity" and "two" equally likely beforehand.

    Attributes:
        regime: one of `REGIMES`.
        size: embeddings a side.
        same: pairs of one identity.
        different: pairs of two.
        said: ``(BANDS,)`` mean probability of "one identity" that was said; NaN in bands in which nothing was.
        found: ``(BANDS,)`` share of it that was true.
        weight: ``(BANDS,)`` share of the pairs, both kinds weighing the same.
        cost: the log-loss in bits (Cllr; Brümmer and du Preez 2006): 0 is certain and right, 1 knows nothing.
        least_cost: what the distances allow with the best odds, which only who knows the answers can give.
    """

    regime: str
    size: int
    same: int
    different: int
    said: NDArray[np.float64]
    found: NDArray[np.float64]
    weight: NDArray[np.float64]
    cost: float
    least_cost: float

    @property
    def calibration_error(self) -> float:
        """Expected calibration error (ECE): how far what is said is from what is true, on the average of the pairs."""
        return float(np.nansum(self.weight * np.abs(self.said - self.found)))


def reliability(calibration: Calibration, counts: PairCounts) -> list[Reliability]:
    """For every regime and size of which there are pairs enough to judge.

    Args:
        calibration: that said the odds.
        counts: of pairs that it was not made from, of whom one knows who is who.
    """
    return [
        _of(calibration, counts, regime, place)
        for regime in range(len(REGIMES))
        for place in range(len(SIZES))
        if counts.pairs[regime, place].min() >= TRUSTED and calibration.knows(across=bool(regime))
    ]


def _of(calibration: Calibration, counts: PairCounts, regime: int, place: int) -> Reliability:
    pairs, size = counts.count[regime, place], SIZES[place]
    share = pairs / pairs.sum(1, keepdims=True) / 2
    odds = calibration.log_likelihood_ratio(_CENTRE, size, size, across=bool(regime))
    probability = np.exp(-np.logaddexp(0, -odds))
    band = np.minimum((probability * BANDS).astype(np.int64), BANDS - 1)
    weight, true, said = (
        np.bincount(band, values, minlength=BANDS).astype(np.float64)
        for values in (share.sum(0), share[0], share.sum(0) * probability)
    )
    there = weight > 0
    cost = share[0] @ np.logaddexp(0, -odds) + share[1] @ np.logaddexp(0, odds)
    return Reliability(
        regime=REGIMES[regime],
        size=size,
        same=round(pairs[0].sum()),
        different=round(pairs[1].sum()),
        said=np.divide(said, weight, out=np.full(BANDS, np.nan), where=there),
        found=np.divide(true, weight, out=np.full(BANDS, np.nan), where=there),
        weight=weight,
        cost=float(cost / np.log(2)),
        least_cost=_least(share),
    )


def _least(share: NDArray[np.float64]) -> float:
    """The cost of the best monotone odds (pool adjacent violators)."""
    seen = share.sum(0) > 0
    same, all_of_them = share[0, seen], share.sum(0)[seen]
    best = 1 - isotonic_regression(1 - same / all_of_them, weights=all_of_them).x
    best = np.clip(best, 1e-12, 1 - 1e-12)
    return float(-(same @ np.log2(best) + (all_of_them - same) @ np.log2(1 - best)))
