"""CLEAR MOT (Bernardin and Stiefelhagen, 2008), by the conventions of MOTChallenge's evaluator."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tracker.compiled import compiled
from tracker.compiled_arrays import flags, integers, numbers
from tracker.evaluation.matching import EPSILON, match_frame
from tracker.evaluation.sequence import Float64, Int64, Sequence

THRESHOLD = 0.5
CONTINUITY = 1000.0
"""Worth of going on with the pair of the frame before: more than any overlap."""
MOSTLY, PARTLY = 0.8, 0.2
"""Shares of a life from which it is mostly (exclusive) or partly (inclusive) tracked."""


@dataclass(frozen=True, slots=True)
class Clear:
    """Counts of a sequence; several are added up.

    Attributes:
        TP: boxes matched; FP: false boxes; FN: missed ones.
        IDSW: identity switches.
        Frag: how often an identity's track was taken up again.
        MT: identities tracked for more than 80 % of their life; PT: for 20 to 80 %; ML: less.
        similarity: summed overlap of the matches.
        frames: frames of the sequence.
    """

    TP: int
    FP: int
    FN: int
    IDSW: int
    Frag: int
    MT: int
    PT: int
    ML: int
    similarity: float
    frames: int = 0

    @property
    def MOTA(self) -> float:  # noqa: N802  # the field's names
        """Multi-object tracking accuracy: 1 less errors per true box; can be negative, 0 without ground truth."""
        return (self.TP - self.FP - self.IDSW) / (self.TP + self.FN) if self.TP + self.FN else 0.0

    @property
    def MODA(self) -> float:  # noqa: N802
        """Multi-object detection accuracy: the same without switches."""
        return (self.TP - self.FP) / (self.TP + self.FN) if self.TP + self.FN else 0.0

    @property
    def MOTP(self) -> float:  # noqa: N802
        """Mean overlap of the matches."""
        return self.similarity / max(1, self.TP)

    @property
    def sMOTA(self) -> float:  # noqa: N802
        """MOTA in which a match is worth its overlap."""
        return (self.similarity - self.FP - self.IDSW) / (self.TP + self.FN) if self.TP + self.FN else 0.0

    @property
    def MOTAL(self) -> float:  # noqa: N802
        """MOTA in which switches count by the logarithm to base 10 of their number."""
        switches = math.log10(self.IDSW) if self.IDSW else 0.0
        return (self.TP - self.FP - switches) / (self.TP + self.FN) if self.TP + self.FN else 0.0

    @property
    def CLR_Re(self) -> float:  # noqa: N802
        """Recall of boxes."""
        return self.TP / max(1, self.TP + self.FN)

    @property
    def CLR_Pr(self) -> float:  # noqa: N802
        """Precision of boxes."""
        return self.TP / max(1, self.TP + self.FP)

    @property
    def CLR_F1(self) -> float:  # noqa: N802
        """Harmonic mean of the two."""
        return self.TP / max(1.0, self.TP + 0.5 * (self.FN + self.FP))

    @property
    def FAF(self) -> float:  # noqa: N802
        """False boxes a frame."""
        return self.FP / max(1, self.frames)

    @property
    def MTR(self) -> float:  # noqa: N802
        """Share of identities that are mostly tracked."""
        return self.MT / max(1, self.MT + self.PT + self.ML)

    @property
    def PTR(self) -> float:  # noqa: N802
        """Share of identities that are partly tracked."""
        return self.PT / max(1, self.MT + self.PT + self.ML)

    @property
    def MLR(self) -> float:  # noqa: N802
        """Share of identities that are mostly lost."""
        return self.ML / max(1, self.MT + self.PT + self.ML)


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """CLEAR's matches of a sequence, one row a true box.

    Attributes:
        pred: ``(G,)`` the tracker's box, a row of `Sequence.pred_id`; -1 where the box was missed.
        switch: ``(G,)`` whether the track is another than at the identity's last match.
        resumed: ``(G,)`` whether the identity was not matched in the frame before.
        similarity: ``(G,)`` overlap; 0 where the box was missed.
    """

    pred: Int64
    switch: NDArray[np.bool_]
    resumed: NDArray[np.bool_]
    similarity: Float64


def matches(sequence: Sequence) -> Matches:
    """Match frame by frame, going on with the pairs of the frame before where they still overlap by half."""
    s = sequence
    pair, switch, resumed = _follow(
        s.gt_id, s.pred_id, s.gt_first, s.pred_first, s.pair_first, s.pair_pred, s.similarity, s.num_gt_ids
    )
    hit = pair >= 0
    pred, similarity = np.full(len(pair), -1), np.zeros(len(pair))
    pred[hit], similarity[hit] = s.pair_pred[pair[hit]], s.similarity[pair[hit]]
    return Matches(pred, switch, resumed, similarity)


def clear(sequence: Sequence) -> Clear:
    """Score a sequence."""
    found = matches(sequence)
    hit = found.pred >= 0
    tp = int(hit.sum())
    lives, _ = sequence.counts()
    share = np.bincount(sequence.gt_id[hit], minlength=sequence.num_gt_ids) / np.maximum(lives, 1)
    taken_up = np.bincount(sequence.gt_id[found.resumed], minlength=sequence.num_gt_ids)
    mostly, partly = int((share > MOSTLY).sum()), int(((share >= PARTLY) & (share <= MOSTLY)).sum())
    return Clear(
        TP=tp,
        FP=sequence.num_pred_dets - tp,
        FN=sequence.num_gt_dets - tp,
        IDSW=int(found.switch.sum()),
        Frag=int(np.maximum(taken_up - 1, 0).sum()),
        MT=mostly,
        PT=partly,
        ML=sequence.num_gt_ids - mostly - partly,
        similarity=float(found.similarity.sum()),
        frames=len(sequence),
    )


@compiled
def _follow(
    gt_id: Int64,
    pred_id: Int64,
    gt_first: Int64,
    pred_first: Int64,
    pair_first: Int64,
    pair_pred: Int64,
    similarity: Float64,
    num_gt_ids: int,
) -> tuple[Int64, NDArray[np.bool_], NDArray[np.bool_]]:
    """The pair of every true box, -1 for none; whether it is a switch; whether it is taken up again."""
    boxes = len(gt_id)
    chosen, switch, resumed = integers(boxes, -1), flags(boxes), flags(boxes)
    track = integers(num_gt_ids, -1)  # of each identity's last match
    when = integers(num_gt_ids, -2)  # that was, counted in frames that could match
    score = numbers(len(similarity), 0.0)
    now = -1
    for frame in range(len(gt_first) - 1):
        t0, t1, r0, r1 = gt_first[frame], gt_first[frame + 1], pred_first[frame], pred_first[frame + 1]
        if t0 == t1 or r0 == r1:
            continue
        now += 1
        for t in range(t0, t1):
            goes_on = track[gt_id[t]] if when[gt_id[t]] == now - 1 else -1
            for pair in range(pair_first[t], pair_first[t + 1]):
                if similarity[pair] >= THRESHOLD - EPSILON:
                    score[pair] = (CONTINUITY if pred_id[pair_pred[pair]] == goes_on else 0.0) + similarity[pair]
        match_frame(t0, t1, r0, r1, pair_first, pair_pred, score, chosen)
        for t in range(t0, t1):
            if chosen[t] >= 0:
                identity, mine = gt_id[t], pred_id[pair_pred[chosen[t]]]
                switch[t] = track[identity] >= 0 and track[identity] != mine
                resumed[t] = when[identity] != now - 1
                track[identity], when[identity] = mine, now
    return chosen, switch, resumed


def combine(parts: Iterable[Clear]) -> Clear:
    """Several sequences as one."""
    parts = list(parts)
    return Clear(*(sum(getattr(part, f.name) for part in parts) for f in fields(Clear)))
