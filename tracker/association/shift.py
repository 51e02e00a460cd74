"""What a moving camera does to the tracks: bring them where it looks now. Compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tracker.association import costs
from tracker.association import layout as at
from tracker.association.pairing import box_at
from tracker.compiled import compiled
from tracker.motion import kalman

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]


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


FEWEST = 4
"""Tracks that must agree before their motion counts as the camera's."""
TURN = 0.6
"""Heights that a camera may shift a box beyond its prediction in one frame."""
AGREE = 0.08
"""Heights within which two shifts are the same."""


@compiled
def follow_common_motion(table: Float64, n: int, rules: Float64, xyxy: Float64) -> None:
    """Move every track by what those that can be told moved in common beyond their predictions.

    Where a camera moves and there are no pictures to measure it in. Each confirmed track votes with every detection
    of like size within its reach; the shift with most votes nearby is the common one, if more than half of the tracks
    are for it and fewer would be for none.
    """
    shift, who, voters, height = collect_shifts(table, n, int(rules[at.R_KIND]), xyxy)
    if voters < FEWEST:
        return
    radius = AGREE * height
    best, best_x, best_y = 0, 0.0, 0.0
    for a in range(len(shift)):
        support, x, y = supporters(shift, who, shift[a, 0], shift[a, 1], radius)
        if support > best:
            best, best_x, best_y = support, x, y
    if best < FEWEST or 2 * best < voters or best <= supporters(shift, who, 0.0, 0.0, radius)[0]:
        return
    for row in range(n):
        table[row, at.BELIEF] += best_x
        table[row, at.BELIEF + 1] += best_y
        for k in range(4):
            table[row, at.BOX + k] += best_x if k % 2 == 0 else best_y


@compiled
def collect_shifts(table: Float64, n: int, kind: int, xyxy: Float64) -> tuple[Float64, Index, int, float]:
    """Votes ``(V, 2)`` and whose they are, at most four a track; how many tracks vote, and their mean height."""
    shift, who = np.empty((4 * n + 4, 2)), np.empty(4 * n + 4, np.int64)
    count = voters = 0
    height = 0.0
    for row in range(n):
        if table[row, at.STATE] != at.CONFIRMED:
            continue
        box = kalman.corners(kind, table[row, at.BELIEF : at.BELIEF + kalman.SIZE])
        size, begin = box[3] - box[1], count
        for j in range(len(xyxy)):
            found = box_at(xyxy, j)
            dx, dy = (found[0] + found[2] - box[0] - box[2]) / 2, (found[1] + found[3] - box[1] - box[3]) / 2
            near = abs(dx) <= TURN * size and abs(dy) <= TURN * size and costs.height_ratio(box, found) >= 0.8
            if near and count < begin + 4:
                shift[count, 0], shift[count, 1], who[count] = dx, dy, row
                count += 1
        if count > begin:
            voters += 1
            height += size
    return shift[:count], who[:count], voters, height / max(voters, 1)


@compiled
def supporters(shift: Float64, who: Index, x: float, y: float, radius: float) -> tuple[int, float, float]:
    """How many tracks have a vote within `radius` of a shift, and the mean of these votes."""
    support, last, sx, sy = 0, -1, 0.0, 0.0
    for b in range(len(shift)):
        if who[b] != last and math.hypot(shift[b, 0] - x, shift[b, 1] - y) < radius:
            support += 1
            last = who[b]
            sx += shift[b, 0]
            sy += shift[b, 1]
    return support, sx / max(support, 1), sy / max(support, 1)
