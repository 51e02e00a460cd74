"""Boxes to be scored from tables of every other format than MOTChallenge's and KITTI's text: one file may hold many."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracker.errors import DataError
from tracker.evaluation.benchmarks import KITTI_CLASSES, PEDESTRIAN, Rules
from tracker.evaluation.kitti import MOST_OCCLUDED, MOST_TRUNCATED
from tracker.evaluation.sequence import Boxes
from tracker.formats.mot import class_number
from tracker.formats.registry import AMBIGUOUS, BY_SUFFIX, read_tables, refuse_spreadsheets
from tracker.formats.table import Notes, Table

OTHER = 0
"""Number of classes that no benchmark knows."""
SUFFIXES = tuple(suffix for suffix in BY_SUFFIX if suffix != AMBIGUOUS)


def is_table(path: Path) -> bool:
    """Whether a file is neither MOTChallenge's nor KITTI's text.

    Raises:
        DataError: it is a spreadsheet.
    """
    refuse_spreadsheets(path)
    return path.suffix.lower() in SUFFIXES and path.is_file()


def tables_in(path: Path) -> dict[str, Table]:
    """The sequences of a file, by name.

    Raises:
        DataError: no such file, or something wrong in it.
    """
    about = path.stat()
    return _read(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int) -> dict[str, Table]:
    """Kept for a while: every sequence asks for its own."""
    return {table.name: table for table in read_tables(path, None, Notes())}


def read_boxes(path: Path, name: str | None, rules: Rules, *, truth: bool, length: int | None = None) -> Boxes:
    """The boxes of one sequence in a file.

    Args:
        path: of the file.
        name: of the sequence; a file's only one may be called otherwise.
        rules: whose classes count.
        truth: whether it is ground truth.
        length: frames of the sequence, where known.

    Raises:
        DataError: no such sequence in it, a frame past the end, ids below 0, ground truth without rows, or a result
            with classes that are not scored.
    """
    tables = tables_in(path)
    table = tables.get(name or "") or (next(iter(tables.values())) if len(tables) == 1 else None)
    if table is None:
        raise DataError(f"{path}: no sequence {name!r} in it; there are {', '.join(list(tables)[:8])}")
    if truth and not len(table):
        raise DataError(f"{path}: no rows; ground truth must have some, or there is nothing to score against")
    if length is not None and len(table) and table.frame[-1] >= length:
        raise DataError(
            f"{path}: frame {table.frame[-1]} (from 0), but the sequence has only {length} frames: "
            "is the file of another sequence?"
        )
    if rules.kitti:
        numbers = [KITTI_CLASSES.get(label.lower(), OTHER) for label in table.labels]
    else:
        numbers = [class_number(label) or OTHER for label in table.labels]
    class_id = np.array(numbers, np.int64)[table.label]
    unlabelled = class_id == (KITTI_CLASSES["dontcare"] if rules.kitti and truth else -1)
    if ((table.id < 0) & ~unlabelled).any():
        raise DataError(f"{path}: a negative id; these look like detections, not like tracks")
    if not truth and rules.classes and not rules.kitti and (class_id != PEDESTRIAN).any():
        label = table.labels[table.label[int((class_id != PEDESTRIAN).argmax())]]
        raise DataError(f"{path}: a box of class {label!r}; this benchmark scores pedestrians alone")
    return Boxes(table.frame + 1, table.id, table.xyxy, class_id, _counts(table, rules))


def _counts(table: Table, rules: Rules) -> NDArray[np.bool_]:
    """Whether a true box counts: KITTI's where it is whole and not much hidden, others by their flag."""
    if rules.kitti:
        return np.asarray((table.truncated <= MOST_TRUNCATED) & (table.occluded <= MOST_OCCLUDED), np.bool_)
    return np.asarray(table.score != 0, np.bool_)
