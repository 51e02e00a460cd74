"""Where files of tracks become arrays for `reid`, which reads none itself."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reid.data.mot import TrueBoxes

FLAGGED = 1
"""Ground truth's flag of boxes that count."""


def lend_readers() -> None:
    """Let `reid` read MOTChallenge sequences as data sets of crops."""
    from reid.data.mot import mot
    from reid.data.sets import READERS

    READERS["mot"] = partial(mot, read=read_people)


def read_people(sequence: Path) -> TrueBoxes:
    """The people of a sequence's ground truth: boxes with flag 1 and, where there are classes, of pedestrians.

    Args:
        sequence: folder of `gt/gt.txt`.

    Raises:
        DataError: names file and line.
    """
    import numpy as np

    from reid.data.mot import TrueBoxes
    from tracker.formats.mot import CLASSES
    from tracker.formats.registry import read_tables
    from tracker.formats.seqinfo import read_sequence_info
    from tracker.formats.table import OBJECT, UNKNOWN, Notes

    (table,) = read_tables(sequence, "mot", Notes())
    table = table.take(table.is_labelled(lambda name: name in (OBJECT, CLASSES[0])) & (table.score == FLAGGED))
    visible = np.full(len(table), UNKNOWN) if table.visibility is None else table.visibility
    return TrueBoxes(
        sequence / read_sequence_info(sequence).images,
        table.frame,
        table.id,
        table.xyxy,
        np.where(visible == UNKNOWN, 1.0, visible),
    )
