"""What a moving camera does to the tracks: bring them where it looks now. Compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tracker.association import costs
from tracker.association import layout as at
from tracker.association.grid import Grid, box_at, touching
from tracker.compiled import compiled
from tracker.motion import kalman

Float64 = NDArray[np.float64]

WITNESSES, LEAST_WITNESSES, LEAST_OVERLAP = 32, 4, 0.2
"""Tracks that are asked where the camera went, at most; at least; and the overlap with a detection that makes one."""


@compiled
def common_shift(table: Float64, n: int, kind: int, grid: Grid, before: float) -> tuple[float, float]:
    """Pixels by which all is off from where it was expected: how the camera moved, where no picture tells.

    The median over the tracks seen in the last frame and the detections that they overlap most, as far as it is sure.
    """
    witness, best = np.full(len(grid.boxes), -1, np.int64), np.full(len(grid.boxes), LEAST_OVERLAP)
    found, asked = np.empty(len(grid.boxes), np.int64), 0
    for row in range(n):
        if asked == WITNESSES:
            break
        if table[row, at.SEEN] < before or table[row, at.HITS] < 3:
            continue
        box = kalman.corners(kind, table[row, at.BELIEF : at.BELIEF + kalman.SIZE])
        nearest, most = -1, 0.0
        for j in found[: touching(grid, box, found)]:
            overlap = costs.pair_iou(box, box_at(grid.boxes, j))
            if overlap > most:
                nearest, most = j, overlap
        if nearest >= 0 and most > best[nearest]:
            witness[nearest], best[nearest] = row, most
            asked += 1
    x, y, m = np.empty(WITNESSES), np.empty(WITNESSES), 0
    for j in range(len(witness)):
        if witness[j] >= 0:
            found_box = box_at(grid.boxes, j)
            x[m] = (found_box[0] + found_box[2]) / 2 - table[witness[j], at.BELIEF]
            y[m] = (found_box[1] + found_box[3]) / 2 - table[witness[j], at.BELIEF + 1]
            m += 1
    return (sure_median(x[:m]), sure_median(y[:m])) if m >= LEAST_WITNESSES else (0.0, 0.0)


@compiled
def sure_median(offsets: Float64) -> float:
    """The median, drawn towards 0 the more the less it stands out from its error (by the median deviation)."""
    middle = np.median(offsets)
    error = 1.2533 * 1.4826 * np.median(np.abs(offsets - middle)) / math.sqrt(len(offsets))
    return float(middle * max(0.0, 1.0 - 2 * error * error / max(middle * middle, 1e-9)))


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
