"""MOTChallenge text files as boxes to be scored: what would give a silently wrong score is refused by file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracker.errors import DataError
from tracker.evaluation.sequence import Boxes, match_up
from tracker.formats.mot import read_mot

MOST_CLASSES = 1_000_000
AS_CORNERS = 0.99
"""Share of boxes that are wider than they are far from the left, and higher than from the top, if they are corners."""
IN_PARTS = 1.1
"""Boxes given in parts of the picture's size end at 1, or a little beyond."""


def read_truth(
    path: Path, *, world_coordinates: bool = False, length: int | None = None, classes: bool = False
) -> Boxes:
    """Ground truth: ``frame, id, left, top, width, height, flag, class, visibility``.

    Args:
        path: of the file.
        world_coordinates: columns 8 to 10 are positions in the world, as in MOT15, and no classes.
        length: frames of the sequence, where known.
        classes: whether the benchmark looks at classes, so that column 8 must hold them.

    Raises:
        DataError: names file and line; also where there are no rows at all.
    """
    rows = read_mot(path, length=length)
    if not len(rows):
        raise DataError(f"{path}: no rows; ground truth must have some, or there is nothing to score against")
    values = rows.values
    rows.refuse(values[:, 1] < 0, "a negative id, and this is ground truth; is it a file of detections?")
    counts = values[:, 6] != 0 if values.shape[1] > 6 else np.ones(len(rows), bool)
    kinds = np.ones(len(rows), np.int64)
    if classes and not world_coordinates and values.shape[1] > 7 and (values[:, 7] != -1).any():
        wrong = ~((values[:, 7] >= 1) & (values[:, 7] < MOST_CLASSES) & (values[:, 7] == np.floor(values[:, 7])))
        rows.refuse(wrong, "column 8 is no class; are these world coordinates, as in MOT15? Then use its rules")
        kinds = values[:, 7].astype(np.int64)
    return boxes_of(values, kinds, counts)


def read_result(path: Path, *, length: int | None = None, truth: Boxes | None = None, classes: bool = False) -> Boxes:
    """A tracker's result: ``frame, id, left, top, width, height, score, …``.

    Args:
        path: of the file; an empty one is a result without boxes.
        length: frames of the sequence, where known.
        truth: ground truth, to tell corners that are written where sizes belong.
        classes: whether the benchmark looks at classes and scores pedestrians alone.

    Raises:
        DataError: names file and line; also for negative ids, and for corners written where sizes belong.
    """
    rows = read_mot(path, length=length)
    values = rows.values
    rows.refuse(values[:, 1] < 0, "a negative id; these look like detections, not like tracks")
    if classes and values.shape[1] > 7:
        rows.refuse(values[:, 7] > 1, "column 8 is a class other than 1; this benchmark scores pedestrians alone")
    boxes = boxes_of(values, np.ones(len(rows), np.int64), np.ones(len(rows), bool))
    if truth is not None:
        _refuse_parts(path, boxes, truth)
        _refuse_corners(path, boxes, truth)
    return boxes


def boxes_of(values: NDArray[np.float64], class_id: NDArray[np.int64], counts: NDArray[np.bool_]) -> Boxes:
    """Rows of ``frame, id, left, top, width, height`` as boxes, in order of frames."""
    order = np.argsort(values[:, 0], kind="stable")
    values = values[order]
    return Boxes(
        frame=values[:, 0].astype(np.int64),
        id=values[:, 1].astype(np.int64),
        xyxy=np.concatenate([values[:, 2:4], values[:, 2:4] + values[:, 4:6]], axis=1),
        class_id=class_id[order],
        counts=counts[order],
    )


def _refuse_parts(path: Path, boxes: Boxes, truth: Boxes) -> None:
    """No truth lies in the picture's first pixel; boxes that all do are parts of its size."""
    if len(boxes) and len(truth) and boxes.xyxy.max() <= IN_PARTS < truth.xyxy.max() / 10:
        raise DataError(
            f"{path}: all boxes lie in the picture's first pixel; columns 3 to 6 look like parts of its size and must "
            "be pixels"
        )


def _refuse_corners(path: Path, boxes: Boxes, truth: Boxes) -> None:
    """Corners where width and height belong are further from the left and the top than they begin, in every row.

    That alone can be so by chance; but then the boxes do not agree much better with the truth as corners.
    """
    low, size = boxes.xyxy[:, :2], boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]
    if not len(boxes) or (size > low).all(1).mean() < AS_CORNERS:
        return
    usable = np.asarray((size > low).all(1))
    as_corners = Boxes(boxes.frame, boxes.id, np.concatenate([low, size], 1), boxes.class_id, boxes.counts)
    length = int(max(boxes.frame[-1], truth.frame[-1])) if len(truth) else int(boxes.frame[-1])
    hits, hits_as_corners = (
        int((match_up(truth, b, length).similarity >= 0.5).sum()) for b in (boxes, as_corners.keep(usable))
    )
    if hits_as_corners > 2 * hits:
        raise DataError(
            f"{path}: columns 5 and 6 look like x2,y2 and must be width,height: so read, {hits_as_corners} boxes "
            f"overlap the ground truth by half or more, otherwise {hits}"
        )
