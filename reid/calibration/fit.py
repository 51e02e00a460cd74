"""From histograms of distances to log-likelihood ratios: a monotone logistic regression, bounded by what was seen."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from reid.calibration.counts import EDGES, REGIMES, SIZES, PairCounts

TRUSTED = 30
"""Pairs of each kind from which distances say something (Doddington's rule of 30), and what odds are bounded by: from
30 N pairs none is more certain than N to 1."""
BEGINNING = 30
"""Pairs that the next smaller size counts for: few pairs of a size are little reason to deviate from it, and where
there are none, it stands for them."""
PRIORS = (0.5, 0.1, 0.01)
"""Prior probabilities of "the same" at which the regression is to be right; at 0.5 alone, nobody would care about the
nearest of many strangers, who decide in a gallery."""
BENDS = 3
"""Places where the curve may bend."""
STIFFNESS = 1.0
"""What a bend costs; with many pairs little."""

_CENTRE = np.square((EDGES[1:] + EDGES[:-1]) / 2) / 2
"""Cosine distances of the bins' centres."""


def log_ratios(counts: PairCounts) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Log-likelihood ratios of "one identity" against "two" at the edges of the bins.

    A line over the cosine distance, which may bend a little at the quartiles and never rises: on people whom the
    regression has not seen it has a lower log-loss than histograms made monotone, straight lines and kernel densities
    (docs/calibration.md).

    Args:
        counts: of pairs.

    Returns:
        ``(2, 4, BINS + 1)`` natural logarithms, not rising, zeros where nothing is known; and ``(2,)`` of which regime
        something is known.
    """
    value = np.zeros((len(REGIMES), len(SIZES), len(EDGES)))
    known = np.zeros(len(REGIMES), bool)
    for regime in range(len(REGIMES)):
        before = np.zeros_like(counts.count[regime, 0])
        bound = np.zeros(2)
        for size in range(len(SIZES)):
            pairs = counts.count[regime, size]
            bound = np.maximum(bound, np.log(np.maximum(pairs.sum(1) / TRUSTED, 1)))
            total = before.sum(1, keepdims=True)
            pairs = pairs + before * np.divide(BEGINNING, total, out=np.zeros_like(total), where=total > 0)
            if not known[regime] and pairs.sum(1).min() < TRUSTED:
                continue
            known[regime] = True
            value[regime, size] = np.clip(_regression(pairs), -bound[0], bound[1])
            before = pairs
    return value, known


def _regression(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(BINS + 1,)`` of the histograms ``(2, BINS)`` of pairs of one identity and of two."""
    same, different = pairs / pairs.sum(1, keepdims=True)
    both = (same + different) / 2
    mean = float(both @ _CENTRE)
    scale = float(np.sqrt(both @ np.square(_CENTRE - mean))) or 1.0
    quartiles = np.interp(np.linspace(0, 1, BENDS + 2)[1:-1], np.cumsum(both), np.square(EDGES[1:]) / 2)
    ends = np.concatenate([[-np.inf], quartiles, [np.inf]])
    stiffness = STIFFNESS / pairs[0].sum()

    def basis(distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """A constant, and the part of the way from the mean that lies in each piece; coefficients are slopes."""
        pieces = [np.clip(distance, a, b) - np.clip(mean, a, b) for a, b in itertools.pairwise(ends)]
        return np.stack([np.ones_like(distance), *(-piece / scale for piece in pieces)], 1)

    seen = basis(_CENTRE)

    def loss(weight: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Log-loss at the priors, each in shares of what the prior alone costs, and its gradient."""
        odds, total = seen @ weight, 0.0
        slope = np.zeros_like(odds)
        for prior in PRIORS:
            shift = np.log(prior / (1 - prior))
            entropy = -(prior * np.log(prior) + (1 - prior) * np.log(1 - prior))
            wrong = same @ np.logaddexp(0, -odds - shift), different @ np.logaddexp(0, odds + shift)
            total += (prior * wrong[0] + (1 - prior) * wrong[1]) / entropy
            posterior = np.exp(-np.logaddexp(0, -odds - shift))
            slope += ((1 - prior) * different * posterior - prior * same * (1 - posterior)) / entropy
        bends = np.diff(weight[1:])
        gradient = seen.T @ slope
        gradient[1:-1] -= 2 * stiffness * bends
        gradient[2:] += 2 * stiffness * bends
        return total + stiffness * float(bends @ bends), gradient

    pieces = seen.shape[1] - 1
    start = np.concatenate([[0.0], np.full(pieces, 2.0)])
    bounds = [(None, None)] + [(0, None)] * pieces
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(basis(np.square(EDGES) / 2) @ found.x, np.float64)
