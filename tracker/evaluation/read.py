"""Tables of every format as they are scored: what would give a silently wrong score is refused by file and line."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from tracker.errors import DataError
from tracker.evaluation.benchmarks import RULES, Rules, why_nothing_is_considered
from tracker.evaluation.sequence import compute_similarity
from tracker.formats.mot import Classes
from tracker.formats.registry import AMBIGUOUS, BY_SUFFIX, read_tables, refuse_spreadsheets
from tracker.formats.table import Notes, Table

SUFFIXES = tuple(suffix for suffix in BY_SUFFIX if suffix != AMBIGUOUS)
AS_CORNERS = 0.99
"""Share of boxes that are wider than they are far from the left, and higher than from the top, if they are corners."""
IN_PARTS = 1.1
"""Boxes given in parts of the picture's size end at 1, or a little beyond."""


def has_known_suffix(path: Path) -> bool:
    """Whether a file's suffix tells its format; if not, the benchmark does.

    Raises:
        DataError: it is a spreadsheet.
    """
    refuse_spreadsheets(path)
    return path.suffix.lower() in SUFFIXES and path.is_file()


def tables_in(path: Path, kind: str | None = None, classes: Classes = None) -> dict[str, Table]:
    """The sequences of a file, by name.

    Args:
        path: of the file.
        kind: its format; told by its suffix where it is None.
        classes: what column 8 of MOTChallenge's text holds.

    Raises:
        DataError: no such file, or something wrong in it.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with path.open("rb") as file:
        return _read(path, kind, classes, hashlib.file_digest(file, "blake2b").digest())


@lru_cache(maxsize=4)
def _read(path: Path, kind: str | None, classes: Classes, content: bytes) -> dict[str, Table]:
    """Kept for a while: every sequence asks for its own."""
    return {table.name: table for table in read_tables(path, kind, Notes(), classes=classes)}


def read_gt(path: Path, rules: Rules = RULES["none"], *, name: str | None = None, length: int | None = None) -> Table:
    """Ground truth in which some box is considered, its rows in order of frames and, in a frame, of the file.

    Args:
        path: of the file.
        rules: the benchmark's.
        name: of the sequence, where a file holds several.
        length: frames of the sequence, where known.

    Raises:
        DataError: no rows, none that is considered, or a row that would be read wrongly; names file and line.
    """
    table = _sequence(path, rules, "needed", name, length)
    if not len(table):
        raise DataError(f"{path}: no rows; ground truth must have some, or there is nothing to score against")
    reason = why_nothing_is_considered(table, rules)
    if reason is not None:
        raise DataError(f"{path}: no box of this ground truth counts: {reason}; --benchmark none scores every row")
    return table


def read_predictions(
    path: Path,
    rules: Rules = RULES["none"],
    *,
    name: str | None = None,
    length: int | None = None,
    gt: Table | None = None,
) -> Table:
    """A tracker's predictions, in the same order; an empty file has none.

    Args:
        path: of the file.
        rules: the benchmark's.
        name: of the sequence, where a file holds several.
        length: frames of the sequence, where known.
        gt: ground truth, to tell corners that are written where sizes belong, and boxes in parts of the picture.

    Raises:
        DataError: a row that would be read wrongly; names file and line.
    """
    table = _sequence(path, rules, "optional", name, length)
    if rules.evaluated is not None and not rules.only_own:
        other = ~table.is_labelled(lambda label: rules.class_of(label) == rules.evaluated)
        label = table.labels[table.label[int(other.argmax())]] if other.any() else ""
        table.refuse(other, f"a box of class {label!r}; this benchmark scores {rules.evaluated} alone")
    if gt is not None:
        _refuse_parts(path, table, gt)
        _refuse_corners(path, table, gt)
    return table


def _sequence(path: Path, rules: Rules, classes: Classes, name: str | None, length: int | None) -> Table:
    """One sequence of a file, all of whose boxes have ids, but for regions."""
    kind = None if has_known_suffix(path) else rules.text
    tables = tables_in(path, kind, classes if rules.evaluated is not None else "ignored")
    table = tables.get(name or "") or (next(iter(tables.values())) if len(tables) == 1 else None)
    if table is None:
        raise DataError(f"{path}: no sequence {name!r} in it; there are {', '.join(list(tables)[:8])}")
    if length is not None:
        table.refuse(table.frame >= length, f"the sequence has only {length} frames: is the file of another sequence?")
    region = table.is_labelled(lambda label: rules.class_of(label) == rules.regions)
    table.refuse((table.id < 0) & ~region, "a negative id; these look like detections, not like tracks")
    return table.in_file_order()


def _refuse_parts(path: Path, pred: Table, gt: Table) -> None:
    """No ground truth lies in the picture's first pixel; boxes that all do are parts of its size."""
    if len(pred) and len(gt) and pred.xyxy.max() <= IN_PARTS < gt.xyxy.max() / 10:
        raise DataError(
            f"{path}: all boxes lie in the picture's first pixel; they look like parts of its size and must be pixels"
        )


def _refuse_corners(path: Path, pred: Table, gt: Table) -> None:
    """Corners where width and height belong are further from the left and the top than they begin, in every row.

    That alone can be so by chance; but then the boxes do not agree much better with the ground truth as corners.
    """
    low, size = pred.xyxy[:, :2], pred.xyxy[:, 2:] - pred.xyxy[:, :2]
    usable = np.asarray((size > low).all(1))
    if not len(pred) or usable.mean() < AS_CORNERS:
        return
    as_corners = pred.take(usable)
    as_corners.xyxy[:] = np.concatenate([low, size], 1)[usable]
    length = max(pred.frames, gt.frames)
    hits, hits_as_corners = (
        int((compute_similarity(gt, boxes, length).similarity >= 0.5).sum()) for boxes in (pred, as_corners)
    )
    if hits_as_corners > 2 * hits:
        raise DataError(
            f"{path}: width and height look like the corner x2,y2: so read, {hits_as_corners} boxes overlap the ground "
            f"truth by half or more, otherwise {hits}; MOTChallenge's columns 5 and 6 must be width,height"
        )
