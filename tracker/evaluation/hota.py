"""Higher Order Tracking Accuracy (Luiten et al., IJCV 2021): detection and association, at 19 thresholds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.evaluation.matching import EPSILON, match
from tracker.evaluation.sequence import Float64, Int64, Sequence, numbered
from tracker.evaluation.summing import sums

THRESHOLDS = np.arange(0.05, 0.99, 0.05)


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
    s, levels = sequence, len(THRESHOLDS)
    if not s.num_gt_dets or not s.num_pred_dets:
        zero, one = np.zeros(levels), np.ones(levels)
        return Hota(zero, zero + s.num_pred_dets, zero + s.num_gt_dets, zero, zero, zero, one)
    names, name = s.id_pairs
    lives, tracks = s.counts()
    life, track = lives[names // s.num_pred_ids], tracks[names % s.num_pred_ids]
    score = _alignment(s, name, life + track)[name] * s.similarity
    pairs = match(s.gt_first, s.pred_first, s.pair_first, s.pair_pred, score)
    pairs = pairs[pairs >= 0]
    overlap, (known, name) = s.similarity[pairs], numbered(name[pairs])
    life, track = life[known][:, None], track[known][:, None]
    # At how many thresholds, which ascend, each match counts; from that, sums of all that count at each.
    passed = np.searchsorted(THRESHOLDS - EPSILON, overlap, "right")
    tp = _from(np.bincount(passed, minlength=levels + 1).astype(np.float64))
    located = _from(np.bincount(passed, overlap, minlength=levels + 1))
    table = np.bincount(name * (levels + 1) + passed, minlength=len(known) * (levels + 1))
    count = _from(table.reshape(len(known), levels + 1))
    divisor = np.maximum(1, tp)
    return Hota(
        TP=tp,
        FP=s.num_pred_dets - tp,
        FN=s.num_gt_dets - tp,
        AssA=(count * (count / np.maximum(1, life + track - count))).sum(0) / divisor,
        AssRe=(count * (count / np.maximum(1, life))).sum(0) / divisor,
        AssPr=(count * (count / np.maximum(1, track))).sum(0) / divisor,
        LocA=np.maximum(1e-10, located) / np.maximum(1e-10, tp),
    )


def _from(values: NDArray[Any]) -> NDArray[Any]:
    """``(…, L)``: at each threshold, the sum over all matches that pass it and perhaps more."""
    return np.cumsum(values[..., ::-1], axis=-1)[..., ::-1][..., 1:]


def _alignment(s: Sequence, name: Int64, boxes: Int64) -> Float64:
    """How well an identity and a track go together over the whole sequence, in 0–1 (Luiten, equation 9).

    Args:
        s: the sequence.
        name: ``(P,)`` for each pair of boxes, which pair of an identity and a track it is.
        boxes: for each of those, how many boxes both have.
    """
    of_gt, of_pred = sums(s.gt_first, s.pred_first, s.pair_first, s.pair_pred, s.similarity)
    union = of_pred[s.pair_pred] + of_gt[s.pair_gt] - s.similarity
    share = np.divide(s.similarity, union, out=np.zeros_like(union), where=union > EPSILON)
    together = np.bincount(name, share, minlength=len(boxes))
    return np.asarray(together / np.maximum(boxes - together, EPSILON))


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
