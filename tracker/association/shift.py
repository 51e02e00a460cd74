"""What a moving camera does to the tracks: bring them where it looks now. Compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tracker.association import layout as at
from tracker.compiled import compiled
from tracker.motion import kalman

Float64 = NDArray[np.float64]


@compiled
def follow_camera(track: Float64, kind: int, camera: Float64) -> None:
    """Bring all that a track remembers of places into the new picture."""
    kalman.warp(kind, track[at.BELIEF : at.BELIEF + kalman.SIZE], camera)
    kalman.warp(kind, track[at.BELIEF_SEEN : at.BELIEF_SEEN + kalman.SIZE], camera)
    warp_box(track[at.BOX : at.BOX + 4], camera)
    for k in range(at.PASTS):
        if not math.isnan(track[at.PAST + 5 * k]):
            warp_box(track[at.PAST + 5 * k + 1 : at.PAST + 5 * k + 5], camera)
    for k in range(4):
        x, y = track[at.HEADING + 2 * k], track[at.HEADING + 2 * k + 1]
        dx, dy = camera[0, 0] * x + camera[0, 1] * y, camera[1, 0] * x + camera[1, 1] * y
        size, before = math.hypot(dx, dy), math.hypot(x, y)
        if size > 0:
            track[at.HEADING + 2 * k], track[at.HEADING + 2 * k + 1] = dx * before / size, dy * before / size


@compiled
def warp_box(box: Float64, camera: Float64) -> None:
    """Move the centre of a box and scale its sides."""
    grow = math.sqrt(max(abs(camera[0, 0] * camera[1, 1] - camera[0, 1] * camera[1, 0]), 1e-12))
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half_width, half_height = grow * (box[2] - box[0]) / 2, grow * (box[3] - box[1]) / 2
    cx = camera[0, 0] * x + camera[0, 1] * y + camera[0, 2]
    cy = camera[1, 0] * x + camera[1, 1] * y + camera[1, 2]
    box[0], box[1], box[2], box[3] = cx - half_width, cy - half_height, cx + half_width, cy + half_height
