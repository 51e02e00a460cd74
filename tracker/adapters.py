"""Bridges to the containers of other libraries: `supervision.Detections` and Ultralytics' `Results`.

Plain N×6 arrays are `Detections.from_array` and `Detections.to_array`. The other libraries are imported
only by the functions that make their objects; reading theirs needs no import at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tracker.errors import DataError
from tracker.types import Detections, Tracks

if TYPE_CHECKING:
    import supervision as sv
    from ultralytics.engine.results import Results


def from_supervision(detections: sv.Detections) -> Detections:
    """`supervision.Detections` as ours; masks and its other per-row arrays ride along in `data`."""
    data = {name: np.asarray(value) for name, value in detections.data.items()}
    if detections.mask is not None:
        data["mask"] = np.asarray(detections.mask)
    return Detections(
        xyxy=detections.xyxy,
        score=detections.confidence,
        class_id=detections.class_id,
        data=data,
    )


def to_supervision(detections: Detections, tracks: Tracks | None = None) -> sv.Detections:
    """Ours as `supervision.Detections`.

    With `tracks`, one row a track, `tracker_id` filled; the arrays that ride along come from the
    detections that the tracks were matched to, and are zero (an empty mask) where a track is only predicted.
    """
    import supervision as sv

    if tracks is None:
        rows, boxes, ids = detections, detections.xyxy, None
    else:
        data = {name: _of_tracks(value, tracks) for name, value in detections.data.items()}
        rows = Detections(tracks.xyxy, tracks.score, tracks.class_id, data=data)
        boxes, ids = tracks.xyxy, tracks.id
    riding: dict[str, Any] = dict(rows.data)
    mask = riding.pop("mask", None)
    return sv.Detections(
        xyxy=boxes, confidence=rows.score, class_id=rows.class_id, tracker_id=ids, mask=mask, data=riding
    )


def _of_tracks(value: NDArray[Any], tracks: Tracks) -> NDArray[Any]:
    """``(M, …)`` rows of an array ``(N, …)`` of the detections, zero for tracks without one."""
    value, seen = np.asarray(value), ~tracks.predicted
    rows = np.zeros((len(tracks), *value.shape[1:]), value.dtype)
    rows[seen] = value[tracks.detection[seen]]
    return rows


def _numpy(value: Any) -> NDArray[Any]:
    """A torch tensor on any device, or an array, as a numpy array."""
    return np.asarray(value.cpu() if hasattr(value, "cpu") else value)


def from_ultralytics(results: Results) -> Detections:
    """One image's Ultralytics `Results` as detections; masks and keypoints ride along.

    `data["mask"]` is (N, h, w), `data["keypoints"]` (N, K, 2) or (N, K, 3). Of oriented boxes it is the upright
    rectangle around each, as far as it is inside the picture.

    Raises:
        DataError: the results hold no boxes (a classification model).
    """
    if results.boxes is None and results.obb is None:
        raise DataError("Ultralytics results without boxes: use a detection, segmentation, pose or OBB model")
    if results.boxes is None:
        height, width = results.orig_shape
        xyxy = _numpy(results.obb.xyxy).clip(0, np.array([width, height] * 2, np.float32))
        return Detections(xyxy, _numpy(results.obb.conf), _numpy(results.obb.cls).astype(np.int64))
    data = {}
    if results.masks is not None:
        data["mask"] = _numpy(results.masks.data)
    if results.keypoints is not None:
        data["keypoints"] = _numpy(results.keypoints.data)
    boxes = results.boxes
    return Detections(_numpy(boxes.xyxy), _numpy(boxes.conf), _numpy(boxes.cls).astype(np.int64), data=data)


def to_ultralytics(tracks: Tracks, results: Results) -> Results:
    """A copy of `results` that holds the tracks, ids in `boxes.id`; masks and keypoints follow their rows."""
    import torch

    matched = tracks[~tracks.predicted]
    copy: Results = results[torch.as_tensor(matched.detection)]
    columns = (matched.xyxy, matched.id, matched.score, matched.class_id)
    copy.update(boxes=torch.as_tensor(np.column_stack(columns), dtype=torch.float32))
    return copy
