"""Higher Order Tracking Accuracy (Luiten et al., IJCV 2021): detection and association, at 19 thresholds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.association.assignment import assign
from tracker.evaluation.sequence import Sequence

Float64 = NDArray[np.float64]
THRESHOLDS = np.arange(0.05, 0.99, 0.05)
EPSILON = float(np.finfo(float).eps)


@dataclass(frozen=True, slots=True, eq=False)
class Hota:
    """Scores of a sequence over the thresholds, each ``(19,)``; the headline numbers are their means.

    Attributes:
        TP, FP, FN: boxes.
        AssA, AssRe, AssPr: association's accuracy, recall and precision.
        LocA: mean overlap of the matches.
    """

    TP: Float64
    FP: Float64
    FN: Float64
    AssA: Float64
    AssRe: Float64
    AssPr: Float64
    LocA: Float64

    @property
    def DetA(self) -> Float64:  # noqa: N802  # the field's names
        """Detection accuracy."""
        return self.TP / np.maximum(1, self.TP + self.FN + self.FP)

    @property
    def DetRe(self) -> Float64:  # noqa: N802
        """Detection recall."""
        return self.TP / np.maximum(1, self.TP + self.FN)

    @property
    def DetPr(self) -> Float64:  # noqa: N802
        """Detection precision."""
        return self.TP / np.maximum(1, self.TP + self.FP)

    @property
    def HOTA(self) -> Float64:  # noqa: N802
        """Geometric mean of detection and association accuracy."""
        return np.asarray(np.sqrt(self.DetA * self.AssA))

    @property
    def OWTA(self) -> Float64:  # noqa: N802
        """Open-world variant: detection recall in place of accuracy."""
        return np.asarray(np.sqrt(self.DetRe * self.AssA))


def hota(sequence: Sequence) -> Hota:
    """Score a sequence."""
    levels = len(THRESHOLDS)
    truth_boxes, result_boxes = sequence.truth_boxes, sequence.result_boxes
    tp, located = np.zeros(levels), np.zeros(levels)
    if not truth_boxes or not result_boxes:
        zero, one = np.zeros(levels), np.ones(levels)
        return Hota(zero, zero + result_boxes, zero + truth_boxes, zero, zero, zero, one)
    lives, tracks = sequence.counts()
    alignment = _alignment(sequence, lives, tracks)
    # How often each identity and track are matched at each threshold. Kept as triples, which are few.
    pairs: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    overlaps: list[Float64] = [np.empty(0)]
    for frame in sequence.frames:
        if len(frame.truth) and len(frame.result):
            score = alignment[frame.truth[:, None], frame.result[None]] * frame.similarity
            rows, columns = assign(-score, -EPSILON)
            pairs.append(frame.truth[rows] * sequence.results + frame.result[columns])
            overlaps.append(frame.similarity[rows, columns])
    pair, overlap = np.concatenate(pairs), np.concatenate(overlaps)
    names, index = np.unique(pair, return_inverse=True)
    life, track = lives[names // sequence.results], tracks[names % sequence.results]
    accuracy, recall, precision = (np.zeros(levels) for _ in range(3))
    for level, threshold in enumerate(THRESHOLDS):
        hit = overlap >= threshold - EPSILON
        tp[level], located[level] = hit.sum(), overlap[hit].sum()
        count = np.bincount(index[hit], minlength=len(names))
        divisor = max(1, tp[level])
        accuracy[level] = (count * (count / np.maximum(1, life + track - count))).sum() / divisor
        recall[level] = (count * (count / np.maximum(1, life))).sum() / divisor
        precision[level] = (count * (count / np.maximum(1, track))).sum() / divisor
    return Hota(
        TP=tp,
        FP=result_boxes - tp,
        FN=truth_boxes - tp,
        AssA=accuracy,
        AssRe=recall,
        AssPr=precision,
        LocA=np.maximum(1e-10, located) / np.maximum(1e-10, tp),
    )


def _alignment(sequence: Sequence, lives: NDArray[np.int64], tracks: NDArray[np.int64]) -> Float64:
    """How well each identity and each track go together over the whole sequence, in 0–1 (Luiten, equation 9)."""
    together = np.zeros((sequence.truths, sequence.results))
    for frame in sequence.frames:
        s = frame.similarity
        if s.size:
            union = s.sum(0)[None] + s.sum(1)[:, None] - s
            share = np.divide(s, union, out=np.zeros_like(s), where=union > EPSILON)
            together[frame.truth[:, None], frame.result[None]] += share
    return np.asarray(together / np.maximum(lives[:, None] + tracks[None] - together, EPSILON))


def combine(parts: Iterable[Hota]) -> Hota:
    """Several sequences as one: boxes are added up, association is weighted by them."""
    parts = list(parts)
    tp = sum((p.TP for p in parts), np.zeros(len(THRESHOLDS)))

    def weighted(name: str, least: float) -> Float64:
        total = sum((getattr(p, name) * p.TP for p in parts), np.zeros(len(THRESHOLDS)))
        return np.asarray(np.maximum(least, total) / np.maximum(least, tp) if least < 1 else total / np.maximum(1, tp))

    return Hota(
        TP=tp,
        FP=sum((p.FP for p in parts), np.zeros(len(THRESHOLDS))),
        FN=sum((p.FN for p in parts), np.zeros(len(THRESHOLDS))),
        AssA=weighted("AssA", 1),
        AssRe=weighted("AssRe", 1),
        AssPr=weighted("AssPr", 1),
        LocA=weighted("LocA", 1e-10),
    )
