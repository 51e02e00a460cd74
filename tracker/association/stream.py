"""What a stream has taught about itself: how its boxes tremble, how gaps end, which beginnings are real. Compiled.

One array an engine, part of its state. Everything begins with a prior worth little, so that a few seconds of a stream
that is otherwise soon count for more. All of it is our own.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tracker.association.costs import Box
from tracker.compiled import compiled

Float64 = NDArray[np.float64]

EDGES = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5])
"""Seconds out of sight that part gaps into bins; longer ones are not counted."""
BINS = len(EDGES) - 1
KINDS = 4
"""Of gaps: bit 0 of a track matched less than `GROWN` times, bit 1 of one at the side of the picture."""
GROWN = 10
SCORES, YOUNG, GROWN_UP_SECONDS, FEWEST = 10, 9, 0.3, 3
"""Bins of a young track's mean score; it has proved real by YOUNG matches, or by FEWEST over so many seconds."""

FACTOR = 0  # 4: of the process variance of each measured quantity
LEFT, RIGHT = 4, 5  # pixels: from where to where anything was seen
GAPS = 6  # KINDS × BINS × 3: seconds watched, gaps closed, and how well the expected box fitted then
BEGINNINGS = GAPS + 3 * KINDS * BINS  # SCORES × YOUNG × 2: how many were false, and real
SIZE = BEGINNINGS + 2 * SCORES * YOUNG

GAP_PRIOR, CLOSE_RATE, CLOSE_SECONDS, FIT = 0.5, 0.4, 0.1, 0.7
"""Closed gaps that the prior is worth; it closes gaps at CLOSE_RATE / (age + CLOSE_SECONDS) a second, fitting FIT."""
BIRTH_PRIOR, EVEN_SCORE, SLOPE, MATCH_ODDS = 2.0, 0.5, 6.0, 3.0
"""Beginnings that the prior is worth; its log odds are SLOPE × (score - EVEN_SCORE) at the second match, and each
further match multiplies the odds by MATCH_ODDS."""


def fresh() -> Float64:
    """``(SIZE,)``: nothing seen yet."""
    stream = np.zeros(SIZE)
    stream[FACTOR : FACTOR + 4] = 1.0
    stream[LEFT], stream[RIGHT] = np.inf, -np.inf
    return stream


@compiled
def tune_filter(stream: Float64, lag: Float64, rate: float) -> None:
    """Follow boxes faster where surprises keep their sign from frame to frame, slower where they alternate.

    A Kalman filter whose noise is right leaves surprises that are not correlated in time (Mehra, IEEE Transactions on
    Automatic Control, 1970); the process variance is moved until that is so.

    Args:
        lag: ``(4,)``, for each measured quantity the sum over tracks of this surprise × the last, in deviations.
        rate: of learning.
    """
    for i in range(4):
        factor = stream[FACTOR + i] * math.exp(min(max(rate * lag[i], -0.5), 0.5))
        stream[FACTOR + i] = min(max(factor, 1e-4), 1e3)


@compiled
def process_factors(stream: Float64, size_noise: float) -> tuple[float, float, float, float]:
    """By what the process variance of each measured quantity is multiplied."""
    sides = size_noise * size_noise
    return stream[FACTOR], stream[FACTOR + 1], sides * stream[FACTOR + 2], sides * stream[FACTOR + 3]


@compiled
def widen(stream: Float64, xyxy: Float64) -> None:
    """Note from where to where anything is seen."""
    for j in range(len(xyxy)):
        stream[LEFT], stream[RIGHT] = min(stream[LEFT], xyxy[j, 0]), max(stream[RIGHT], xyxy[j, 2])


@compiled
def gap_kind(stream: Float64, hits: float, box: Box) -> int:
    """Of a track matched so often and now expected at `box`."""
    return (1 if hits < GROWN else 0) + (2 if box[0] < stream[LEFT] or box[2] > stream[RIGHT] else 0)


@compiled
def gap_bin(age: float) -> int:
    """Of a gap of so many seconds; `BINS` for those that are not counted."""
    found = 0
    while found < BINS and age + 1e-6 >= EDGES[found + 1]:
        found += 1
    return found


@compiled
def watch_gap(stream: Float64, kind: int, age: float, elapsed: float, overlap: float) -> None:
    """A gap of `age` seconds lasted `elapsed` more, or closed then with this overlap of the expected box (else -1)."""
    column = gap_bin(age)
    if column == BINS:
        return
    cell = GAPS + 3 * (kind * BINS + column)
    stream[cell] += elapsed
    if overlap >= 0:
        stream[cell + 1] += 1
        stream[cell + 2] += min(max(2 * overlap - 0.4, 0.0), 1.0)


@compiled
def chances_of_return(stream: Float64) -> Float64:
    """``(KINDS, BINS + 1)``: that a gap of this kind and age will close, and on the expected place.

    From the rates at which gaps closed, age by age (the Kaplan-Meier estimate): gaps that are still open, or were
    never to close, count for as long as they were watched.
    """
    chances = np.zeros((KINDS, BINS + 1))
    for kind in range(KINDS):
        for column in range(BINS - 1, -1, -1):
            cell = GAPS + 3 * (kind * BINS + column)
            width = EDGES[column + 1] - EDGES[column]
            expected = CLOSE_RATE / (EDGES[column] + width / 2 + CLOSE_SECONDS)
            rate = (stream[cell + 1] + GAP_PRIOR) / (stream[cell] + GAP_PRIOR / expected)
            fit = (stream[cell + 2] + GAP_PRIOR * FIT) / (stream[cell + 1] + GAP_PRIOR)
            closes = 1 - math.exp(-rate * width)
            chances[kind, column] = closes * fit + (1 - closes) * chances[kind, column + 1]
    return chances


@compiled
def has_proved(hits: float, seconds: float) -> bool:
    """Whether a track matched so often in a row, since so long, is no false start."""
    return bool(hits >= YOUNG or (hits >= FEWEST and seconds >= GROWN_UP_SECONDS - 1e-6))


@compiled
def note_beginning(stream: Float64, total: float, hits: float, real: bool) -> None:
    """A track matched so often in a row, with so much score in total, proved real, or ended."""
    matches = min(int(hits), YOUNG)
    if matches < 1:
        return
    row = min(int(SCORES * total / hits), SCORES - 1)
    for match in range(matches):
        stream[BEGINNINGS + 2 * (row * YOUNG + match) + (1 if real else 0)] += 1


@compiled
def chance_of_being(stream: Float64, total: float, hits: float) -> float:
    """That a track matched so often in a row, with so much score in total, is real."""
    if hits >= YOUNG:
        return 1.0
    score = total / hits
    cell = BEGINNINGS + 2 * (min(int(SCORES * score), SCORES - 1) * YOUNG + int(hits) - 1)
    odds = math.exp(SLOPE * (score - EVEN_SCORE)) * MATCH_ODDS ** (hits - 2)
    real = stream[cell + 1] + BIRTH_PRIOR * odds / (1 + odds)
    return float(real / (stream[cell] + stream[cell + 1] + BIRTH_PRIOR))
