"""CLEAR MOT (Bernardin and Stiefelhagen, 2008), by the conventions of MOTChallenge's evaluator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from tracker.association.assignment import assign
from tracker.evaluation.sequence import Sequence

THRESHOLD = 0.5
EPSILON = float(np.finfo(float).eps)
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

    @property
    def MOTA(self) -> float:  # noqa: N802  # the field's name
        """Multi-object tracking accuracy: 1 less errors per true box; can be negative, is 0 where there is no truth."""
        if not self.TP + self.FN:
            return 0.0
        return (self.TP - self.FP - self.IDSW) / (self.TP + self.FN)

    @property
    def MOTP(self) -> float:  # noqa: N802
        """Mean overlap of the matches."""
        return self.similarity / max(1, self.TP)


def clear(sequence: Sequence) -> Clear:
    """Score a sequence."""
    last = np.full(sequence.truths, -1)  # the track of each identity's last match
    before = np.full(sequence.truths, -1)  # the same, if it was in the last frame that could match
    matched = np.zeros(sequence.truths, np.int64)
    taken_up = np.zeros(sequence.truths, np.int64)
    tp = fp = fn = switches = 0
    similarity = 0.0
    for frame in sequence.frames:
        truth, result = frame.truth, frame.result
        if not len(truth) or not len(result):
            fp, fn = fp + len(result), fn + len(truth)
            continue
        score = CONTINUITY * (before[truth][:, None] == result[None]) + frame.similarity
        score[frame.similarity < THRESHOLD - EPSILON] = 0.0
        rows, columns = assign(-score, -EPSILON)
        hit, track = truth[rows], result[columns]
        switches += int(((last[hit] >= 0) & (last[hit] != track)).sum())
        resumed = before[hit] < 0
        before[:] = -1
        last[hit] = before[hit] = track
        taken_up[hit] += resumed
        matched[hit] += 1
        tp, fp, fn = tp + len(rows), fp + len(result) - len(rows), fn + len(truth) - len(rows)
        similarity += float(frame.similarity[rows, columns].sum())
    lives, _ = sequence.counts()
    share = matched[lives > 0] / lives[lives > 0]
    mostly, partly = int((share > MOSTLY).sum()), int(((share >= PARTLY) & (share <= MOSTLY)).sum())
    return Clear(
        TP=tp,
        FP=fp,
        FN=fn,
        IDSW=switches,
        Frag=int((taken_up[taken_up > 0] - 1).sum()),
        MT=mostly,
        PT=partly,
        ML=sequence.truths - mostly - partly,
        similarity=similarity,
    )


def combine(parts: Iterable[Clear]) -> Clear:
    """Several sequences as one."""
    parts = list(parts)
    return Clear(*(sum(getattr(part, f.name) for part in parts) for f in fields(Clear)))
