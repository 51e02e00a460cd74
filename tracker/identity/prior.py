"""How likely it is, before anything is compared, that two tracklets are one identity."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

STRENGTH = 2.0
"""Pairs of one identity that the stated prior counts for."""
ROUNDS = 100
STEPS = np.linspace(-30, 30, 1201)
"""Evidence is counted in steps of 0.05, so that a round costs the same however many pairs there are."""


def stated_odds(tracklets: int) -> float:
    """Logarithm of the prior odds, when nothing is known but how many tracklets are remembered.

    Every other newcomer is taken for somebody who was seen before; so of the pairs of n tracklets, one in n is of one
    identity.
    """
    return -math.log(max(tracklets - 1, 1))


def learned_odds(evidence: NDArray[np.floating], tracklets: int) -> float:
    """Logarithm of the prior odds that fits what is seen: how many pairs are of one identity in all likelihood.

    The share of a kind in a mixture, when the likelihood ratio of each sample is known (expectation and maximisation
    as in Saerens, Latinne and Decaestecker, Neural Computation 2002), held by the stated prior while there are few.

    Args:
        evidence: ``(P,)`` log-likelihood ratios of all pairs that may be one identity.
        tracklets: how many they are pairs of.
    """
    share = 1 / (1 + math.exp(-stated_odds(tracklets)))
    place = np.rint((np.clip(evidence, STEPS[0], STEPS[-1]) - STEPS[0]) / (STEPS[1] - STEPS[0])).astype(np.int64)
    pairs, ratio = np.bincount(place, minlength=len(STEPS)), np.exp(STEPS)
    for _ in range(ROUNDS):
        expected = float(pairs @ (share * ratio / (share * ratio + 1 - share)))
        new = (expected + STRENGTH) / (len(place) + STRENGTH * max(tracklets, 2))
        done = abs(new - share) < 1e-6 * share
        share = new
        if done:
            break
    return math.log(share / (1 - share))
