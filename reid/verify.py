"""Verification: do two crops show one identity? Error rates over all thresholds, and which threshold to take.

Names are those of ISO/IEC 19795-1: the false match rate (FMR) is the share of pairs of different identities that
are called the same, the false non-match rate (FNMR) the share of pairs of one identity that are called different.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.errors import DataError
from reid.evaluate import Distances, Retrieval

RATES = (1e-2, 1e-3)
"""False match rates at which verification is reported."""
BINS = 2000
"""Of the histograms of distances."""
TRUSTED = 30
"""So many false matches make a rate worth trusting (Doddington's rule of 30); fewer are told."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold of "the same identity", and what it costs.

    Attributes:
        threshold: largest distance that is called the same.
        false_match_rate: share of different pairs called the same.
        false_non_match_rate: share of same pairs called different.
    """

    threshold: float
    false_match_rate: float
    false_non_match_rate: float


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """How well one threshold tells the same from different.

    Attributes:
        points: at each wanted false match rate.
        edges: ``(BINS + 1,)`` of the histograms: cosine distance 0–2.
        same: ``(BINS,)`` int64 pairs of one identity.
        different: ``(BINS,)`` int64 pairs of two.
    """

    points: tuple[OperatingPoint, ...]
    edges: NDArray[np.float64]
    same: NDArray[np.int64]
    different: NDArray[np.int64]

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``(BINS + 1,)`` FMR and FNMR at each edge as threshold: the ROC is one against the other."""
        fmr = np.concatenate([[0], np.cumsum(self.different)]) / self.different.sum()
        fnmr = 1 - np.concatenate([[0], np.cumsum(self.same)]) / self.same.sum()
        return fmr, fnmr

    @property
    def equal_errors(self) -> tuple[float, float]:
        """Threshold at which both rates are the same, to the width of a bin, and that rate."""
        fmr, fnmr = self.curve()
        crossing = int(np.argmax(fmr >= fnmr))
        return float(self.edges[crossing]), float((fmr[crossing] + fnmr[crossing]) / 2)

    def in_words(self) -> list[str]:
        """A sentence on each point: its threshold, what it costs, and whether there are pairs enough to know."""
        lines, impostors = [], int(self.different.sum())
        for p in self.points:
            allowed = round(p.false_match_rate * impostors)
            doubt = f"; only {allowed} such pairs here, so take it as a hint" if allowed < TRUSTED else ""
            lines.append(
                f"The same up to a cosine distance of {p.threshold:.3f}: {p.false_match_rate:.2%} of different pairs "
                f"are called the same, {p.false_non_match_rate:.1%} of the same are missed{doubt}"
            )
        threshold, rate = self.equal_errors
        return [*lines, f"Both errors are equal, {rate:.1%}, at {threshold:.3f}"]


def verification(
    distance: NDArray[np.floating], same: NDArray[np.bool_], *, false_match_rate: float = 1e-2
) -> OperatingPoint:
    """The largest threshold whose false match rate is no more than wanted.

    Args:
        distance: of any number of pairs.
        same: which of them show one identity.
        false_match_rate: wanted, in 0–1.

    Raises:
        DataError: no pair of one kind.
    """
    impostors = np.sort(np.asarray(distance, np.float64)[~same], axis=None)
    genuine = np.asarray(distance, np.float64)[same]
    return _point(genuine, impostors, len(impostors), false_match_rate)


def _point(
    genuine: NDArray[np.float64], nearest: NDArray[np.float64], impostors: int, false_match_rate: float
) -> OperatingPoint:
    """From all genuine distances, and the nearest of so many impostors in rising order."""
    if not impostors or not len(genuine):
        raise DataError("verification needs both pairs of the same and pairs of different identities")
    allowed = int(false_match_rate * impostors)
    # Just under the first impostor that is one too many.
    threshold = float(np.nextafter(nearest[allowed], -np.inf)) if allowed < impostors else float(nearest[-1])
    return OperatingPoint(
        threshold=threshold,
        false_match_rate=float(np.searchsorted(nearest, threshold, side="right") / impostors),
        false_non_match_rate=float((genuine > threshold).mean()),
    )


def verify(retrieval: Retrieval, distances: Distances, *, rates: Sequence[float] = RATES) -> Verification:
    """Verification over all pairs of a query and a gallery image that count (see `Retrieval`).

    The thresholds are exact; memory holds the pairs of one identity, the nearest pairs of two up to the largest
    rate, and a block of distances.

    Args:
        retrieval: labels.
        distances: of the queries from the gallery: cosine, in 0–2.
        rates: wanted false match rates, in 0–1.

    Raises:
        DataError: no pair of one kind.
    """
    impostors = sum(int(retrieval.kinds(rows)[1].sum()) for rows in retrieval.blocks())
    kept = min(int(max(rates) * impostors) + 1, impostors)
    nearest = np.empty(0, np.float32)
    genuine: list[NDArray[np.float32]] = []
    edges = np.linspace(0, 2, BINS + 1)
    counts = np.zeros((2, BINS), np.int64)
    for rows in retrieval.blocks():
        distance = distances(rows)
        matches, others = retrieval.kinds(rows)
        genuine.append(distance[matches])
        wrong = distance[others]
        counts += [_histogram(genuine[-1]), _histogram(wrong)]
        if len(nearest) == kept and kept:  # most cannot be among the nearest any more
            wrong = wrong[wrong < nearest.max()]
        nearest = np.concatenate([nearest, wrong])
        if len(nearest) > kept:
            nearest = np.partition(nearest, kept - 1)[:kept]
    same = np.concatenate(genuine).astype(np.float64) if genuine else np.empty(0)
    ordered = np.sort(nearest.astype(np.float64))
    points = tuple(_point(same, ordered, impostors, rate) for rate in rates)
    return Verification(points, edges, counts[0], counts[1])


def _histogram(distance: NDArray[np.float32]) -> NDArray[np.int64]:
    """``(BINS,)`` counts between 0 and 2; rounding beyond either end falls into the last bin there."""
    index = np.clip(distance * (BINS / 2), 0, BINS - 1).astype(np.int64)
    return np.bincount(index, minlength=BINS)
