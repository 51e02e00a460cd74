"""Where things lie in the arrays that the compiled engine works on.

The table of tracks is one ``(capacity, WIDTH)`` float64 array, a row a track, so that a frame costs one call with few
arguments. A recipe is two arrays: a row of numbers for each stage, and one of rules for the rest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.motion.kalman import SIZE

Float64 = NDArray[np.float64]

# Columns of a track.
ID = 0  # 0 until confirmed
SERIAL = 1  # of every track, also those that never get an id
STATE = 2
HITS = 3  # matches; while tentative, those since the last miss
STREAK = 4  # matches since the last miss
BORN = 5  # seconds
SEEN = 6  # seconds of the last match
SCORE = 7  # of the last match
SCORE_BEFORE = 8  # of the match before
CLASS = 9
BOX = 10  # 4: the last matched detection
BELIEF = 14  # SIZE: the Kalman filter's
BELIEF_SEEN = BELIEF + SIZE  # SIZE: the same, just after the last match
HEADING = BELIEF_SEEN + SIZE  # 4 × 2: unit direction of each corner; a centre's in the first
EVIDENCE = HEADING + 8  # how often it was seen well, each time as far as it could be trusted
SURPRISE = EVIDENCE + 1  # 4: of the last match, in deviations
SCORES = SURPRISE + 4  # sum over its matches; while tentative, over those since the last miss
GAP = SCORES + 1  # kind of gap it is in
CHANCE = GAP + 1  # that it is still where it is expected, while lost
PAST = CHANCE + 1  # PASTS × 5: time and box of the last matches, newest first
PASTS = 6
WIDTH = PAST + 5 * PASTS

TENTATIVE, CONFIRMED, LOST = 0, 1, 2  # of `TrackState`
REMEMBERED = 3  # lost for so long that only its looks are left

# What an engine keeps beside the table.
L_FIRST, L_NOW = range(2)  # seconds of the first frame and of the last; NaN before any
L_TRACKS, L_BORN, L_NEXT_ID = range(2, 5)  # tracks there are, how many were ever born, the next id
L_MOVED, L_CAMERA = 5, 6  # whether the camera moved towards the next frame; 6: how, as an affine
L_WIDTH = L_CAMERA + 6

# Columns of what is shown.
O_ID, O_BOX, O_SCORE, O_CLASS, O_DETECTION, O_STATE, O_WIDTH = 0, 1, 5, 6, 7, 8, 9

# Columns of a stage.
(
    S_TRACKS, S_LOW, S_HIGH, S_OVERLAP, S_BUFFER, S_TIMES_SCORE, S_MODE, S_WEIGHT, S_GATE, S_LEAST_OVERLAP, S_LOOK_GATE,
    S_MAHALANOBIS_GATE, S_REACH, S_SLACK, S_SIZE_RATIO, S_BY_AGE, S_SEEN_WITHIN, S_GONE_FOR, S_AGAINST, S_DIRECTION,
    S_CORNERS, S_SCORE_CHANGE, S_SHAPE, S_MAHALANOBIS, S_LOW_BELOW, S_LOW_PENALTY, S_STEP, S_SAMPLES, S_NUMBER, S_WIDTH,
) = range(30)  # fmt: skip

MOTION, LOOK, FUSED, LEAST, ADAPTIVE = range(5)  # S_MODE

# Rules.
(
    R_KIND, R_POSITION_NOISE, R_VELOCITY_NOISE, R_NOISE_BY_SCORE, R_COAST, R_REUPDATE, R_DIRECTION_STEPS, R_NOMINAL,
    R_CLASS_AGNOSTIC, R_BOOST, R_BIRTH_SCORE, R_CONFIRM_HITS, R_AT_ONCE, R_BIRTH_OVERLAP, R_KEEP, R_LOST, R_DUPLICATE,
    R_SHOWN_AFTER, R_LOOKS, R_MOMENTUM, R_MOMENTUM_BY_SCORE, R_LOOK_SCORE, R_LOOK_HIDDEN, R_SAMPLES, R_NOVELTY,
    R_BOX_DETECTION, R_DIRECTIONS, R_SHOWN_LOST, R_EVIDENCE, R_SAME, R_AT_FIRST, R_LEAD, R_WAIT,
    R_REMEMBERED, R_STAGES, R_MEASUREMENT_NOISE, R_START_VELOCITY, R_SIZE_NOISE, R_ADAPT, R_BY_BOXES, R_SHOWN_CHANCE,
    R_BIRTH_CHANCE, R_WIDTH,
) = range(43)  # fmt: skip

# Columns of a record: what was thought of one pair.
(
    E_STAGE, E_ROW, E_DETECTION, E_VERDICT, E_COST, E_GATE, E_OVERLAP, E_MOTION, E_LOOK, E_DIRECTION, E_SCORE_CHANGE,
    E_MAHALANOBIS, E_DISTANCE, E_WIDTH,
) = range(14)  # fmt: skip

VERDICTS = (
    "outbid", "matched", "beyond the gate", "another class", "too little overlap", "looks unlike", "too far by motion",
    "out of reach", "another size",
)  # fmt: skip
OUTBID, MATCHED, BEYOND_GATE, OTHER_CLASS, LITTLE_OVERLAP, UNLIKE, IMPROBABLE, OUT_OF_REACH, OTHER_SIZE = range(9)

DONE, BAD_ROW, BAD_TIME, NO_ROOM = range(4)  # how a frame went
