"""What a moving camera does to the tracks: bring them where it looks now. Compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tracker.association import overlap as ov
from tracker.association import records as rc
from tracker.association.buffers import Buffers
from tracker.association.grid import Grid, box_at, touching
from tracker.association.sorting import median
from tracker.compiled import Record, compiled, kernel
from tracker.compiled_arrays import numbers
from tracker.motion import kalman

Float64 = NDArray[np.float64]

WITNESSES, LEAST_WITNESSES, LEAST_OVERLAP = 32, 4, 0.2
"""Tracks that are asked where the camera went, at most; at least; and the overlap with a detection that makes one."""


@compiled
def compensate_nothing(buffers: Buffers, grid: Grid) -> None:
    """For recipes that do not take the camera's motion from the boxes."""


@compiled
def compensate_from_boxes(buffers: Buffers, grid: Grid) -> None:
    """Move every track by what the boxes say that the camera moved."""
    dx, dy = common_shift(buffers, grid)
    if dx != 0 or dy != 0:
        camera = np.empty((2, 3))
        camera[0, 0], camera[0, 1], camera[0, 2] = 1.0, 0.0, dx
        camera[1, 0], camera[1, 1], camera[1, 2] = 0.0, 1.0, dy
        for row in range(buffers.counters[0].tracks):
            follow_camera(buffers.tracks[row], buffers.rules[0].motion.state, camera)


@compiled
def common_shift(buffers: Buffers, grid: Grid) -> tuple[float, float]:
    """Pixels by which all is off from where it was expected: how the camera moved, where no picture tells.

    The median over the tracks seen in the last frame and the detections that they overlap most, as far as it is sure.
    """
    tracks, counters, kind = buffers.tracks, buffers.counters[0], buffers.rules[0].motion.state
    witness, overlap, found, asked = buffers.rows, buffers.keys, buffers.found, 0
    for j in range(counters.detections):
        witness[j], overlap[j] = -1, LEAST_OVERLAP
    for row in range(counters.tracks):
        if asked == WITNESSES:
            break
        if tracks[row].seen < counters.before or tracks[row].hits < 3:
            continue
        box = kalman.corners(kind, tracks[row].state)
        nearest, most = -1, 0.0
        for k in range(touching(grid, box, found)):
            iou = ov.pair_iou(box, box_at(grid.boxes, found[k]))
            if iou > most:
                nearest, most = found[k], iou
        if nearest >= 0 and most > overlap[nearest]:
            witness[nearest], overlap[nearest] = row, most
            asked += 1
    x, y, m = numbers(WITNESSES, 0.0), numbers(WITNESSES, 0.0), 0
    for j in range(counters.detections):
        if witness[j] >= 0:
            box, place = box_at(grid.boxes, j), tracks[witness[j]].state.position
            x[m], y[m] = (box[0] + box[2]) / 2 - place[0], (box[1] + box[3]) / 2 - place[1]
            m += 1
    return (sure_median(x, m), sure_median(y, m)) if m >= LEAST_WITNESSES else (0.0, 0.0)


@kernel
def sure_median(offsets: Float64, count: int) -> float:
    """The median of the first `count`, drawn towards 0 the more the less it stands out from its error.

    The error is estimated by the median deviation; the offsets change.
    """
    middle = median(offsets, count)
    for i in range(count):
        offsets[i] = abs(offsets[i] - middle)
    error = 1.2533 * 1.4826 * median(offsets, count) / math.sqrt(count)
    return float(middle * max(0.0, 1.0 - 2 * error * error / max(middle * middle, 1e-9)))


@kernel
def follow_nothing(track: Record, kind: int, camera: Float64) -> None:
    """For recipes whose camera stands still."""


@kernel
def follow_camera(track: Record, kind: int, camera: Float64) -> None:
    """Bring all that a track remembers of places into the new picture."""
    kalman.warp(kind, track.state, camera)
    kalman.warp(kind, track.state_seen, camera)
    warp_box(track.box, camera)
    for k in range(rc.HISTORY):
        if not math.isnan(track.history_time[k]):
            warp_box(track.history_box[k], camera)
    for k in range(4):
        x, y = track.heading[k, 0], track.heading[k, 1]
        dx, dy = camera[0, 0] * x + camera[0, 1] * y, camera[1, 0] * x + camera[1, 1] * y
        size, before = math.hypot(dx, dy), math.hypot(x, y)
        if size > 0:
            track.heading[k, 0], track.heading[k, 1] = dx * before / size, dy * before / size


@kernel
def warp_box(box: Float64, camera: Float64) -> None:
    """Move the centre of a box and scale its sides."""
    grow = math.sqrt(max(abs(camera[0, 0] * camera[1, 1] - camera[0, 1] * camera[1, 0]), 1e-12))
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half_width, half_height = grow * (box[2] - box[0]) / 2, grow * (box[3] - box[1]) / 2
    cx = camera[0, 0] * x + camera[0, 1] * y + camera[0, 2]
    cy = camera[1, 0] * x + camera[1, 1] * y + camera[1, 2]
    box[0], box[1], box[2], box[3] = cx - half_width, cy - half_height, cx + half_width, cy + half_height
