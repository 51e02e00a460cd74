"""KITTI's tracking labels as boxes to be scored: frames counted from 1, classes as numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tracker.errors import DataError
from tracker.evaluation.benchmarks import KITTI_CLASSES
from tracker.evaluation.sequence import Boxes
from tracker.formats.kitti import read_file
from tracker.formats.seqinfo import MOST_FRAMES
from tracker.formats.text import lines_of, number, read_bytes

MOST_TRUNCATED, MOST_OCCLUDED = 0, 2
"""A true box beyond either is a distractor."""
OTHER = 0


def read_labels(path: Path, *, truth: bool, length: int | None = None) -> Boxes:
    """One sequence's ground truth or result.

    Raises:
        DataError: names file and line; also where ground truth has no rows, or a result ids below 0.
    """
    table = read_file(path)
    if truth and not len(table):
        raise DataError(f"{path}: no rows; ground truth must have some, or there is nothing to score against")
    if length is not None and len(table) and table.frame[-1] >= length:
        raise DataError(
            f"{path}: frame {table.frame[-1]} (from 0), but the sequence has only {length} frames: "
            "is the file of another sequence?"
        )
    kinds = np.array([KITTI_CLASSES.get(name.lower(), OTHER) for name in table.labels])[table.label]
    known = (table.id >= 0) | (kinds == KITTI_CLASSES["dontcare"])
    if not truth and not known.all():
        row = int((~known).argmax())
        raise DataError(f"{path}: a negative id in frame {table.frame[row]}; these look like detections, not tracks")
    counts = (table.truncated <= MOST_TRUNCATED) & (table.occluded <= MOST_OCCLUDED)
    return Boxes(table.frame + 1, table.id, table.xyxy, kinds, counts).keep(known)


def sequence_lengths(folder: Path) -> dict[str, int]:
    """Frames by sequence from `evaluate_tracking.seqmap*` (``name empty first length``) in a folder or its parent.

    Raises:
        DataError: a line that is not of the format.
    """
    found = sorted([*folder.glob("evaluate_tracking.seqmap*"), *folder.parent.glob("evaluate_tracking.seqmap*")])
    lengths = {}
    for path in found:
        for place, line in enumerate(lines_of(read_bytes(path)), 1):
            fields = line.split()
            length = number(fields[3]) if len(fields) >= 4 else None
            if length is not None and 0 <= length <= MOST_FRAMES and length == int(length):
                lengths[fields[0]] = int(length)
            elif fields:
                raise DataError(f"{path}, line {place}: expected name, empty, first frame, length; got {line[:60]!r}")
    return lengths
