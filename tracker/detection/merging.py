"""One box an object."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MOST_DETECTIONS = 300
"""Of a frame."""
MOST_CANDIDATES = 3000
"""Of a frame, before boxes of one object are merged."""


def merge(
    boxes: NDArray[np.float32], score: NDArray[np.float32], class_id: NDArray[np.int64], iou: float
) -> NDArray[np.intp]:
    """Rows that stay when boxes of one class that overlap more than `iou` are one, best first."""
    corner_and_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(corner_and_size.tolist(), score.tolist(), class_id.tolist(), 0.0, iou)
    rows = np.asarray(kept, np.intp).ravel()
    return rows[np.argsort(-score[rows], kind="stable")][:MOST_DETECTIONS]
