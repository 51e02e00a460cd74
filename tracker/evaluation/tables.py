"""Boxes to be scored from tables of `tracker.formats`: KITTI's text, and every other format; a file may hold many."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracker.errors import DataError
from tracker.evaluation.benchmarks import KITTI_CLASSES, PEDESTRIAN, Rules
from tracker.evaluation.sequence import Boxes
from tracker.formats.mot import class_number
from tracker.formats.registry import AMBIGUOUS, BY_SUFFIX, read_tables, refuse_spreadsheets
from tracker.formats.table import Notes, Table

MOST_TRUNCATED, MOST_OCCLUDED = 0, 2
"""A true box of KITTI's beyond either is a distractor."""
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


def tables_in(path: Path, kind: str | None = None) -> dict[str, Table]:
    """The sequences of a file, by name.

    Args:
        path: of the file.
        kind: its format; told by its suffix where it is None.

    Raises:
        DataError: no such file, or something wrong in it.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with path.open("rb") as file:
        return _read(path, kind, hashlib.file_digest(file, "blake2b").digest())


@lru_cache(maxsize=4)
def _read(path: Path, kind: str | None, content: bytes) -> dict[str, Table]:
    """Kept for a while: every sequence asks for its own."""
    return {table.name: table for table in read_tables(path, kind, Notes())}


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
    tables = tables_in(path, None if is_table(path) else "kitti")
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
    class_id = np.array([_class_number(label, rules) for label in table.labels], np.int64)[table.label]
    _refuse_rows(path, table, class_id, rules, truth=truth)
    return Boxes(table.frame + 1, table.id, table.xyxy, class_id, _counts(table, rules))


def _class_number(label: str, rules: Rules) -> int:
    return (KITTI_CLASSES.get(label.lower()) if rules.kitti else class_number(label)) or OTHER


def _refuse_rows(path: Path, table: Table, class_id: NDArray[np.int64], rules: Rules, *, truth: bool) -> None:
    nobody = (table.id < 0) & ~(rules.kitti & (class_id == KITTI_CLASSES["dontcare"]))
    if nobody.any():
        frame = table.frame[int(nobody.argmax())]
        raise DataError(f"{path}: a negative id in frame {frame}; these look like detections, not like tracks")
    if not truth and rules.classes and not rules.kitti and (class_id != PEDESTRIAN).any():
        label = table.labels[table.label[int((class_id != PEDESTRIAN).argmax())]]
        raise DataError(f"{path}: a box of class {label!r}; this benchmark scores pedestrians alone")


def _counts(table: Table, rules: Rules) -> NDArray[np.bool_]:
    """Whether a true box counts: KITTI's where it is whole and not much hidden, others by their flag."""
    if rules.kitti:
        return np.asarray((table.truncated <= MOST_TRUNCATED) & (table.occluded <= MOST_OCCLUDED), np.bool_)
    return np.asarray(table.score != 0, np.bool_)
