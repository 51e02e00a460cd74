"""MOTChallenge text files: ground truth and results, every pitfall an error that names file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracker.errors import DataError
from tracker.evaluation.sequence import Boxes

WIDE = 0.5
"""Share of result boxes that reach beyond the picture's usual right and lower edge when corners stand for sizes."""


def read_table(path: Path) -> NDArray[np.float64]:
    """All rows of a file as numbers.

    Raises:
        DataError: missing; a row of another length; something that is no number. Names the line.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    lines = [line.replace(",", " ").split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    numbered = [(number, fields) for number, fields in enumerate(lines, 1) if fields]
    if not numbered:
        return np.empty((0, 7))
    width = len(numbered[0][1])
    for number, fields in numbered:
        if len(fields) != width or width < 6:
            raise DataError(
                f"{path}, line {number}: expected frame,id,left,top,width,height,… as in line "
                f"{numbered[0][0]} ({max(width, 6)} values), got {len(fields)}"
            )
    try:
        return np.array([fields for _, fields in numbered], np.float64)
    except ValueError as error:
        raise DataError(_not_a_number(path, numbered)) from error


def _not_a_number(path: Path, numbered: list[tuple[int, list[str]]]) -> str:
    for number, fields in numbered:
        for field in fields:
            try:
                float(field)
            except ValueError:
                return f"{path}, line {number}: expected a number, got {field!r}"
    raise AssertionError("unreachable: every field is a number")


def _check(path: Path, rows: NDArray[np.float64], *, length: int | None) -> None:
    """Refuse what would give a silently wrong score."""
    with np.errstate(invalid="ignore"):
        checks = (
            (~np.isfinite(rows[:, :6]).all(1), "a value is NaN or infinite"),
            (rows[:, 0] < 1, "frames in a MOT file begin at 1, not 0: add 1 to every frame"),
            (rows[:, 0] != np.floor(rows[:, 0]), "the frame is no whole number"),
            (rows[:, 1] != np.floor(rows[:, 1]), "the id is no whole number"),
            ((rows[:, 4] <= 0) | (rows[:, 5] <= 0), "width and height must be above 0"),
        )
    for bad, reason in checks:
        if bad.any():
            row = int(bad.argmax())
            shown = ",".join(f"{v:g}" for v in rows[row, :6])
            raise DataError(f"{path}, row {row + 1} ({shown}): {reason}; {int(bad.sum())} such rows")
    if length is not None and len(rows) and rows[:, 0].max() > length:
        row = int((rows[:, 0] > length).argmax())
        raise DataError(
            f"{path}, row {row + 1}: frame {rows[row, 0]:g}, but the sequence has only {length} frames: "
            "is it of another sequence?"
        )
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    twice = (np.diff(rows[order][:, :2], axis=0) == 0).all(1)
    if twice.any():
        row = order[int(twice.argmax()) + 1]
        raise DataError(f"{path}, row {row + 1}: id {rows[row, 1]:g} is in frame {rows[row, 0]:g} twice")


def _boxes(rows: NDArray[np.float64], class_id: NDArray[np.int64], counts: NDArray[np.bool_]) -> Boxes:
    order = np.argsort(rows[:, 0], kind="stable")
    rows, class_id, counts = rows[order], class_id[order], counts[order]
    return Boxes(
        frame=rows[:, 0].astype(np.int64),
        id=rows[:, 1].astype(np.int64),
        xyxy=np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1),
        class_id=class_id,
        counts=counts,
    )


def read_truth(path: Path, *, world_coordinates: bool = False, length: int | None = None) -> Boxes:
    """Ground truth: ``frame, id, left, top, width, height, flag, class, visibility``.

    Args:
        path: of the file.
        world_coordinates: columns 8 to 10 are positions in the world, as in MOT15, and no classes.
        length: frames of the sequence, where known.

    Raises:
        DataError: names file and row.
    """
    rows = read_table(path)
    _check(path, rows, length=length)
    counts = rows[:, 6] != 0 if rows.shape[1] > 6 else np.ones(len(rows), bool)
    classes = np.ones(len(rows), np.int64)
    if not world_coordinates and rows.shape[1] > 7 and (rows[:, 7] > 0).all():
        classes = rows[:, 7].astype(np.int64)
    return _boxes(rows, classes, counts)


def read_result(path: Path, *, length: int | None = None, truth: Boxes | None = None) -> Boxes:
    """A tracker's result: ``frame, id, left, top, width, height, score, …``.

    Raises:
        DataError: names file and row; also for negative ids, and for corners written where sizes belong.
    """
    rows = read_table(path)
    _check(path, rows, length=length)
    if len(rows) and rows[:, 1].min() < 0:
        row = int(rows[:, 1].argmin())
        raise DataError(f"{path}, row {row + 1}: id {rows[row, 1]:g}; these look like detections, not like tracks")
    if truth is not None and len(truth) and len(rows):
        edge = truth.xyxy[:, 2:].max(0) * 1.1
        beyond = ((rows[:, 2:4] + rows[:, 4:6]) > edge).any(1)
        as_corners = (rows[:, 4:6] > rows[:, 2:4]).all(1) & (rows[:, 4:6] <= edge).all(1)
        if (beyond & as_corners).mean() > WIDE:
            raise DataError(
                f"{path}: {beyond.mean():.0%} of the boxes reach far beyond the picture; columns 5 and 6 look like "
                "x2,y2 and must be width,height"
            )
    return _boxes(rows, np.ones(len(rows), np.int64), np.ones(len(rows), bool))
