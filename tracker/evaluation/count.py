"""How much there is: boxes and ids on either side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from tracker.evaluation.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Count:
    """Counts of a sequence; several are added up.

    Attributes:
        Dets: the tracker's boxes; GT_Dets: true ones.
        IDs: tracks; GT_IDs: identities.
        Frames: of the sequence, empty ones too.
    """

    Dets: int
    GT_Dets: int
    IDs: int
    GT_IDs: int
    Frames: int


def count(sequence: Sequence) -> Count:
    """Count a sequence."""
    s = sequence
    return Count(s.num_pred_dets, s.num_gt_dets, s.num_pred_ids, s.num_gt_ids, len(s))


def combine(parts: Iterable[Count]) -> Count:
    """Several sequences as one."""
    parts = list(parts)
    return Count(*(sum(getattr(part, f.name) for part in parts) for f in fields(Count)))
