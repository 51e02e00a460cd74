"""Identity metrics (Ristani et al., ECCV 2016 workshops): each identity with one track for all its life."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tracker.assignment import best_edges
from tracker.evaluation.sequence import Sequence

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Identity:
    """Counts of a sequence; several are added up.

    Attributes:
        IDTP: boxes of identities covered by the one track that is theirs; IDFP, IDFN: what is left on either side.
    """

    IDTP: int
    IDFP: int
    IDFN: int

    @property
    def IDF1(self) -> float:  # noqa: N802  # the field's name
        """Harmonic mean of the two."""
        return self.IDTP / max(1.0, self.IDTP + 0.5 * (self.IDFP + self.IDFN))

    @property
    def IDP(self) -> float:  # noqa: N802
        """Share of the tracker's boxes that are right."""
        return self.IDTP / max(1.0, self.IDTP + self.IDFP)

    @property
    def IDR(self) -> float:  # noqa: N802
        """Share of the true boxes that are covered."""
        return self.IDTP / max(1.0, self.IDTP + self.IDFN)


def identity(sequence: Sequence) -> Identity:
    """Score a sequence.

    Giving identity g the track t covers as many boxes as the two overlap in; the pairs that cover most in all are
    the pairs that leave fewest false and missed boxes.
    """
    names, name = sequence.id_pairs
    together = np.bincount(name[sequence.similarity >= THRESHOLD], minlength=len(names))
    names, together = names[together > 0], together[together > 0]
    width = max(1, sequence.num_pred_ids)
    covered = int(together[best_edges(names // width, names % width, -together.astype(np.float64))].sum())
    return Identity(covered, sequence.num_pred_dets - covered, sequence.num_gt_dets - covered)


def combine(parts: Iterable[Identity]) -> Identity:
    """Several sequences as one."""
    parts = list(parts)
    return Identity(sum(p.IDTP for p in parts), sum(p.IDFP for p in parts), sum(p.IDFN for p in parts))
