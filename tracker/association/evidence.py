"""How much speaks for a newcomer being somebody who was lost: log-likelihood ratios of appearance, place and time.

Each is the natural logarithm of how probable what is seen would be if the two were one person, over how probable it
would be if they were two; so they are added. Compiled, and all of it is our own.
"""

from __future__ import annotations

import math

from tracker.association import overlap as ov
from tracker.association import priors as pr
from tracker.association import records as rc
from tracker.association.appearance import is_set, similarity
from tracker.association.buffers import Buffers
from tracker.compiled import Record, kernel
from tracker.motion import kalman

SHARPNESS, LEAST_LIKENESS, MOST_LIKENESS = 18.0, -6.0, 9.0
"""Of an embedder: how the evidence falls with the root of the distance, in units of the distance that says nothing;
and within which limits. Measured calibrations (`reid.calibration`) have slopes of 17 to 19 and such limits."""

COURSE_SECONDS, SPEED, SPREAD = 1.0, 0.4, 0.15
"""For how long a course is kept; heights a second, and at once, that somebody may be off from where it leads."""
STAYS_SECONDS = 3.0
"""For how long somebody out of sight follows his course, in the mean; whoever does not can appear anywhere."""
SIZES, GROWTH, SIZE = 0.5, 0.1, 0.1
"""Deviation of the logarithms of any two people's heights; of one person's at once, and added a second."""


@kernel
def likeness(distance: float, even: float) -> float:
    """Evidence of a cosine distance; `even` is the distance at which one person and two are equally likely."""
    if even <= 0:
        return LEAST_LIKENESS
    return max(LEAST_LIKENESS, min(MOST_LIKENESS, SHARPNESS * (1.0 - math.sqrt(max(distance, 0.0) / even))))


@kernel
def place(priors: Record, kind: int, lost: Record, found: ov.Box, now: float, nominal: float) -> float:
    """Evidence of where and how large somebody is seen now, beside where a track was lost, with what speed, and when.

    Against: people appear anywhere within what was ever seen. For: about where the course leads, which is the less
    sure the longer nobody saw it; and it may have been left, more probably with time. So a short gap decides by place
    almost alone, and a long one hardly.
    """
    gap, state = now - lost.seen, lost.state_seen
    box = kalman.corners(kind, state)
    height, found_height = max(box[3] - box[1], 1.0), max(found[3] - found[1], 1.0)
    steps = COURSE_SECONDS * (1 - math.exp(-gap / COURSE_SECONDS)) / nominal
    x, y = state.position[0] + steps * state.velocity[0], state.position[1] + steps * state.velocity[1]
    off = math.hypot((found[0] + found[2]) / 2 - x, (found[1] + found[3]) / 2 - y)
    spread = height * math.hypot(SPREAD, SPEED * gap)
    area = max((priors.right - priors.left) * (priors.bottom - priors.top), height * height)
    there = area / (2 * math.pi * spread * spread) * math.exp(-0.5 * (off / spread) ** 2)
    same, grown = min(math.hypot(SIZE, GROWTH * gap), SIZES), math.log(found_height / height)
    there *= SIZES / same * math.exp(-0.5 * grown * grown * (1 / (same * same) - 1 / (SIZES * SIZES)))
    stays = math.exp(-gap / STAYS_SECONDS)
    return math.log(stays * there + 1 - stays)


@kernel
def compare_company(buffers: Buffers) -> None:
    """Learn how unlike different people look in this stream: those in view at once are different.

    One pair a frame, all pairs in turn, of tracks that are known well, matched, and do not overlap.
    """
    tracks, counters, priors = buffers.tracks, buffers.counters[0], buffers.priors[0]
    evidence, rows, m = buffers.rules[0].reidentification.evidence, buffers.rows, 0
    for row in range(counters.tracks):
        if tracks[row].status == rc.CONFIRMED and tracks[row].detection >= 0 and tracks[row].evidence >= evidence:
            rows[m] = row
            m += 1
    if m < 2:
        return
    turn = priors.compared % (m * (m - 1) // 2)
    step = 1 + turn // m
    first, second = rows[turn % m], rows[(turn % m + step) % m]
    priors.compared += 1
    if not is_set(buffers.gallery[first, 0]) or not is_set(buffers.gallery[second, 0]):
        return
    kind = buffers.rules[0].motion.state
    if ov.pair_iou(kalman.corners(kind, tracks[first].state), kalman.corners(kind, tracks[second].state)) > 0.1:
        return
    pr.note_company(priors, 1.0 - similarity(buffers.gallery[first], False, buffers.gallery[second, 0]))
