"""Restored tracks, and the first picture after the pause."""

from __future__ import annotations

import numpy as np

from tracker.association.buffers import Buffers
from tracker.association.overlap import iou
from tracker.types import Detections

MOMENT = 0.3
"""Seconds that a pause counts as where embeddings are not known."""
LEAST_OVERLAP = 0.3


def length_of_pause(pause: float, lost_seconds: float, *, known: bool) -> float:
    """What a pause of this length is to count as, in seconds, so that no track dies of it.

    Where embeddings are known they bridge it, so it may be as long as the recipe looks for a lost track. Else boxes
    must, and it counts as a moment. A machine's clock may have run back.
    """
    longest = 0.9 * lost_seconds if known else min(MOMENT, 0.5 * lost_seconds)
    return pause if 0 < pause <= longest else longest


def show_embeddings(buffers: Buffers, count: int, detections: Detections) -> Buffers:
    """Teach the first `count` tracks, which know no embeddings, those of the detections that they are surely in.

    Surely: a track overlaps one of the detections most, and is overlapped by it most.
    """
    if detections.embedding is None or not len(detections) or not count:
        return buffers
    overlap = iou(buffers.tracks["box"][:count], detections.xyxy)
    best = overlap.argmax(1)
    mutual = np.flatnonzero((overlap.argmax(0)[best] == np.arange(count)) & (overlap.max(1) >= LEAST_OVERLAP))
    room, slots = buffers.quality.shape
    gallery = np.zeros((room, slots, detections.embedding.shape[1]), np.float32)
    gallery[mutual, : min(2, slots)] = detections.embedding[best[mutual], None]
    if slots > 1:
        buffers.quality[mutual, :2] = 1.0
    return buffers._replace(gallery=gallery)
