"""Whether a newcomer is somebody who is remembered, somebody new, or whether that stays open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracker.identity.evidence import TERMS
from tracker.identity.table import NONE

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]
SURE = 0.9
"""Posterior probability from which an answer is given."""
SHOWN = 5
"""Candidates that an answer tells of."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An identity that a tracklet may be, and why.

    Attributes:
        identity: which.
        appearance: what looks say, as a natural logarithm: the mean over its tracklets, as all terms.
        place: what the place says where it was lost and found.
        travel_time: what the time says that it took.
        prior: what is held against every one of the identities, because there are so many.
        probability: that it is the one, 0–1; what is missing to 1 are the others, and somebody new.
        tracklets: how many of its were compared.
    """

    identity: int
    appearance: float
    place: float
    travel_time: float
    prior: float
    probability: float
    tracklets: int

    @property
    def evidence(self) -> float:
        """The sum."""
        return self.appearance + self.place + self.travel_time + self.prior


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of a tracklet.

    Attributes:
        identity: its, or None while the evidence does not suffice.
        new: probability that it is nobody who is remembered.
        candidates: the likeliest identities, best first; without those that cannot be.
        why: in a sentence.
    """

    identity: int | None
    new: float
    candidates: tuple[Candidate, ...]
    why: str


class Weighed(NamedTuple):
    """All identities that a tracklet may be, held against one another.

    Attributes:
        identity: ``(I,)`` which.
        terms: ``(3, I)`` mean evidence of their tracklets.
        tracklets: ``(I,)`` how many.
        probability: ``(I,)``.
        new: that it is none of them.
    """

    identity: Int64
    terms: Float64
    tracklets: Int64
    probability: Float64
    new: float


def weigh(terms: Float64, identity: Int64, forbidden: Mask, bar: float) -> Weighed:
    """What the evidence says of identities, by Bayes' rule over all of them and nobody.

    Args:
        terms: ``(3, N)`` evidence of each tracklet.
        identity: ``(N,)`` of each; those of none are left out.
        forbidden: ``(N,)`` tracklets that cannot be it; nor can their identities.
        bar: prior odds against each identity, as a logarithm.
    """
    known, inverse = _numbered(identity)
    count = np.bincount(inverse, minlength=len(known))
    means = np.stack([np.bincount(inverse, term, len(known)) for term in terms]) / np.maximum(count, 1)
    possible = (count > 0) & (np.bincount(inverse[forbidden], minlength=len(known)) == 0) & (known != NONE)
    means, count, known = means[:, possible], count[possible], known[possible]
    odds = np.exp(np.clip(means.sum(0) - bar, -60, 60))
    total = 1 + odds.sum()
    return Weighed(known, means, count, odds / total, float(1 / total))


def _numbered(identity: Int64) -> tuple[Int64, Int64]:
    """Identities, some of them perhaps of nobody, and which of them each row has."""
    low, high = (int(identity.min()), int(identity.max())) if len(identity) else (0, 0)
    if high - low < 1000 + 8 * len(identity):  # most are there: quicker than sorting
        return np.arange(low, high + 1), identity - low
    known, inverse = np.unique(identity, return_inverse=True)
    return known, inverse


def candidates(weighed: Weighed, bar: float) -> tuple[Candidate, ...]:
    """The likeliest few."""
    probability = weighed.probability
    least = np.partition(probability, -SHOWN)[-SHOWN] if len(probability) > SHOWN else 0.0
    likely = np.flatnonzero(probability >= least)
    best = likely[np.lexsort((weighed.identity[likely], -probability[likely]))[:SHOWN]]
    shown = []
    for i in best.tolist():
        looks, place, travel = weighed.terms[:, i].tolist()
        chance, tracklets = float(probability[i]), int(weighed.tracklets[i])
        shown.append(Candidate(int(weighed.identity[i]), looks, place, travel, -bar, chance, tracklets))
    return tuple(shown)


def sentence(identity: int | None, shown: tuple[Candidate, ...], new: float) -> str:
    """Why it is said."""
    if not shown:
        return "nobody is remembered that it could be"
    best = shown[0]
    values = zip(TERMS, (best.appearance, best.place, best.travel_time), strict=True)
    terms = ", ".join(f"{name} {value:+.1f}" for name, value in values) + f", prior {best.prior:+.1f}"
    if identity == best.identity:
        return f"identity {identity} with probability {best.probability:.2f}: {terms}"
    rather = "somebody new" if identity is not None else "open"
    return f"{rather}: identity {best.identity} has probability {best.probability:.2f} ({terms}), nobody {new:.2f}"
