"""The Kalman filters of the tracks: predict, and learn from what was matched. Compiled."""

from __future__ import annotations

import math
from typing import Any

from tracker.association import priors as pr
from tracker.association import records as rc
from tracker.association.buffers import Buffers
from tracker.association.grid import box_at
from tracker.association.overlap import Box
from tracker.compiled import Record, kernel
from tracker.motion import kalman


@kernel
def predict(buffers: Buffers, parts: Any) -> None:
    """Move every track to the new frame's time, and as the camera moved."""
    counters, motion = buffers.counters[0], buffers.rules[0].motion
    elapsed, factors = counters.now - counters.before, pr.process_factors(buffers.priors[0], motion.size_noise)
    kind, steps = motion.state, elapsed / buffers.rules[0].nominal
    fade = math.exp(-elapsed / motion.coast_seconds)
    for row in range(counters.tracks):
        track = buffers.tracks[row]
        if counters.moved:
            parts.follow_camera(track, kind, counters.camera)
        if track.status == rc.REMEMBERED:
            continue
        if track.status == rc.LOST:
            # The size of what is out of sight stays as it was.
            velocity = track.state.velocity
            if kind == kalman.XYWH:
                velocity[2] = 0.0
            if kind != kalman.XYSR:
                velocity[3] = 0.0
            for i in range(4):
                velocity[i] *= fade
        kalman.predict(kind, track.state, steps, motion.position_noise, motion.velocity_noise, factors)


@kernel
def no_reupdate(buffers: Buffers, track: Record, box: Box) -> None:
    """For recipes that do not run the filter again."""


@kernel
def reupdate(buffers: Buffers, track: Record, box: Box) -> None:
    """Observation-centric re-update: the filter is run again over the gap, on boxes between the last and the new.

    Cao et al., CVPR 2023, section 4.1: removes the error that a filter without measurements has gathered.
    """
    motion, nominal = buffers.rules[0].motion, buffers.rules[0].nominal
    gap = buffers.counters[0].now - track.seen
    steps = round(gap / nominal)
    if steps <= 1 or steps > 10_000:
        return
    kind, state, last = motion.state, track.state, track.box
    kalman.copy_state(track.state_seen, state)
    p, v, r = motion.position_noise, motion.velocity_noise, motion.measurement_noise
    factors = pr.process_factors(buffers.priors[0], motion.size_noise)
    length = gap / nominal / steps
    for step in range(1, steps + 1):
        kalman.predict(kind, state, length, p, v, factors)
        if step < steps:
            part = step / steps
            between = (
                last[0] + part * (box[0] - last[0]),
                last[1] + part * (box[1] - last[1]),
                last[2] + part * (box[2] - last[2]),
                last[3] + part * (box[3] - last[3]),
            )
            kalman.update(kind, state, kalman.measure(kind, between), 1.0, r)


@kernel
def update_filter(buffers: Buffers, row: int, j: int, parts: Any) -> None:
    """Update the filter of track `row` by detection `j`; add to the frame's `correlation` its innovation × the last."""
    track, motion, box = buffers.tracks[row], buffers.rules[0].motion, box_at(buffers.xyxy, j)
    kind, r, scale = motion.state, motion.measurement_noise, 1.0
    parts.reupdate(buffers, track, box)
    if motion.noise_by_score > 0:  # GIAOTracker's NSA (Du et al., ICCV Workshops 2021, section 3.3)
        scale = math.sqrt(max(1.0 - buffers.detections[j].score, motion.noise_by_score))
    z = kalman.measure(kind, box)
    if motion.adapt > 0:
        counters = buffers.counters[0]
        for i in range(4):
            innovation = min(max(kalman.innovation(kind, track.state, z, scale, r, i), -3.0), 3.0)
            if track.seen >= counters.before and track.hits >= 2:
                counters.correlation[i] += innovation * track.innovation[i]
            track.innovation[i] = innovation
    kalman.update(kind, track.state, z, scale, r)
    kalman.copy_state(track.state, track.state_seen)
