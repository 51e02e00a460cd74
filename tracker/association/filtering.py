"""The Kalman filters of the tracks: predict, follow the camera, learn from what was matched. Compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tracker.association import costs
from tracker.association import layout as at
from tracker.association import memory as mem
from tracker.association import stream as st
from tracker.association.grid import Grid
from tracker.association.shift import common_shift, follow_camera
from tracker.compiled import compiled
from tracker.motion import kalman

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]


@compiled
def predict(where: Index, now: float) -> None:
    """Move every track to the new frame's time, and as the camera moved."""
    ledger, table = mem.line(where, mem.LEDGER), mem.sheet(where, mem.TABLE)
    rules, stream = mem.line(where, mem.RULES), mem.line(where, mem.STREAM)
    elapsed, factors = now - ledger[at.L_NOW], st.process_factors(stream, rules[at.R_SIZE_NOISE])
    kind, steps = int(rules[at.R_KIND]), elapsed / rules[at.R_NOMINAL]
    p, v = rules[at.R_POSITION_NOISE], rules[at.R_VELOCITY_NOISE]
    fade = math.exp(-elapsed / rules[at.R_COAST])
    moved, camera = ledger[at.L_MOVED] > 0, ledger[at.L_CAMERA : at.L_CAMERA + 6].reshape(2, 3)
    for row in range(mem.tracks_in(where)):
        if table[row, at.STATE] == at.REMEMBERED:
            continue
        belief = table[row, at.BELIEF : at.BELIEF + kalman.SIZE]
        if moved:
            follow_camera(table[row], kind, camera)
        if table[row, at.STATE] == at.LOST:
            # The size of what is out of sight stays as it was.
            if kind == kalman.XYWH:
                belief[kalman.VELOCITY + 2] = 0.0
            if kind != kalman.XYSR:
                belief[kalman.VELOCITY + 3] = 0.0
            for i in range(4):
                belief[kalman.VELOCITY + i] *= fade
        kalman.predict(kind, belief, steps, p, v, factors)


@compiled
def steady(where: Index, grid: Grid) -> None:
    """Move every track by what the boxes say that the camera moved."""
    kind, table, n = int(mem.line(where, mem.RULES)[at.R_KIND]), mem.sheet(where, mem.TABLE), mem.tracks_in(where)
    dx, dy = common_shift(table, n, kind, grid, mem.line(where, mem.LEDGER)[at.L_NOW])
    if dx != 0 or dy != 0:
        camera = np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]])
        for row in range(n):
            follow_camera(table[row], kind, camera)


@compiled
def replay(track: Float64, box: costs.Box, now: float, rules: Float64, stream: Float64) -> None:
    """Observation-centric re-update: the filter is run again over the gap, on boxes between the last and the new.

    Cao et al., CVPR 2023, section 4.1: removes the error that a blind filter has gathered.
    """
    kind, nominal = int(rules[at.R_KIND]), rules[at.R_NOMINAL]
    gap = now - track[at.SEEN]
    steps = round(gap / nominal)
    if steps <= 1 or steps > 10_000:
        return
    belief = track[at.BELIEF : at.BELIEF + kalman.SIZE]
    belief[:] = track[at.BELIEF_SEEN : at.BELIEF_SEEN + kalman.SIZE]
    p, v, r = rules[at.R_POSITION_NOISE], rules[at.R_VELOCITY_NOISE], rules[at.R_MEASUREMENT_NOISE]
    factors = st.process_factors(stream, rules[at.R_SIZE_NOISE])
    length = gap / nominal / steps
    for step in range(1, steps + 1):
        kalman.predict(kind, belief, length, p, v, factors)
        if step < steps:
            part = step / steps
            x1 = track[at.BOX] + part * (box[0] - track[at.BOX])
            y1 = track[at.BOX + 1] + part * (box[1] - track[at.BOX + 1])
            x2 = track[at.BOX + 2] + part * (box[2] - track[at.BOX + 2])
            y2 = track[at.BOX + 3] + part * (box[3] - track[at.BOX + 3])
            kalman.update(kind, belief, kalman.measure(kind, x1, y1, x2, y2), 1.0, r)


@compiled
def learn_motion(
    track: Float64, box: costs.Box, score: float, now: float, before: float, rules: Float64, stream: Float64,
    lag: Float64,
) -> None:  # fmt: skip
    """Update a track's filter; add to `lag` how this surprise goes with the last."""
    kind, r = int(rules[at.R_KIND]), rules[at.R_MEASUREMENT_NOISE]
    if rules[at.R_REUPDATE] > 0:
        replay(track, box, now, rules, stream)
    scale = 1.0
    if rules[at.R_NOISE_BY_SCORE] > 0:
        scale = math.sqrt(max(1.0 - score, rules[at.R_NOISE_BY_SCORE]))
    belief = track[at.BELIEF : at.BELIEF + kalman.SIZE]
    z = kalman.measure(kind, box[0], box[1], box[2], box[3])
    if rules[at.R_ADAPT] > 0:
        for i in range(4):
            surprise = min(max(kalman.surprise(kind, belief, z, scale, r, i), -3.0), 3.0)
            if track[at.SEEN] >= before and track[at.HITS] >= 2:
                lag[i] += surprise * track[at.SURPRISE + i]
            track[at.SURPRISE + i] = surprise
    kalman.update(kind, belief, z, scale, r)
    track[at.BELIEF_SEEN : at.BELIEF_SEEN + kalman.SIZE] = belief
