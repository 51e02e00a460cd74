"""What a stream has taught about itself: how its boxes tremble, how gaps end, which beginnings are real. Compiled.

One record an engine, part of its state. Everything begins with a prior worth little, so that a few seconds of a stream
that is otherwise soon count for more. All of it is our own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.association.overlap import Box
from tracker.compiled import Record, kernel
from tracker.motion.kalman import Four

Float64 = NDArray[np.float64]

EDGES = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5])
"""Seconds out of sight that part gaps into bins; longer ones are not counted."""
BINS = len(EDGES) - 1
KINDS = 4
"""Of gaps: bit 0 of a track matched less than `GROWN` times, bit 1 of one at the side of the picture."""
GROWN = 10
BORDER = 0.25
"""Of a box's side; whoever is lost so near to where nothing was ever seen has left."""
SCORES, YOUNG, GROWN_UP_SECONDS, FEWEST = 10, 9, 0.3, 3
"""Bins of a young track's mean score; it has proved real by YOUNG matches, or by FEWEST over so many seconds."""

PRIORS = np.dtype(
    [
        ("noise_factor", np.float64, 4),  # of the process variance of each measured quantity
        ("score_weights", np.float64),  # sums over detections of score^3 and of score^4, those of long ago fading
        ("weighted_scores", np.float64),
        ("left", np.float64),  # pixels: from where to where anything was seen
        ("right", np.float64),
        ("top", np.float64),
        ("bottom", np.float64),
        ("compared", np.int64),  # pairs of people who were in view at once
        ("company", np.float64),  # what counts of them
        ("company_mean", np.float64),  # of their cosine distances
        ("company_variance", np.float64),
        ("gap_seconds", np.float64, (KINDS, BINS)),  # that gaps of this kind and age were watched
        ("gaps_closed", np.float64, (KINDS, BINS)),
        ("gaps_fitted", np.float64, (KINDS, BINS)),  # how well the expected box fitted then, summed
        ("false_starts", np.float64, (SCORES, YOUNG)),  # beginnings by mean score and matches
        ("real_starts", np.float64, (SCORES, YOUNG)),
        ("survival", np.float64, (KINDS, BINS + 1)),  # made of the gaps in every frame
    ]
)

SCORE_SECONDS, MOST_RAISED = 30.0, 2.0
"""Time constant in which the scores of long ago fade; the largest factor that scores are raised by."""
GAP_PRIOR, CLOSE_RATE, CLOSE_SECONDS, FIT = 0.5, 0.4, 0.1, 0.7
"""Closed gaps that the prior is worth; it closes gaps at CLOSE_RATE / (age + CLOSE_SECONDS) a second, fitting FIT."""
COMPANY_PRIOR, COMPANY_USUAL, COMPANY_DEVIATION = 30.0, 1.6, 0.25
"""Pairs that the prior is worth; mean and deviation of different people's distances, in units of the even distance."""
COMPANY_MEMORY, COMPANY_ENOUGH, COMPANY_BOUND = 1000.0, 200.0, 2.0
"""Pairs that are remembered; that stand in for an embedder's word; deviations below the mean that are still unlike."""
BIRTH_PRIOR, EVEN_SCORE, SLOPE, MATCH_ODDS = 2.0, 0.5, 6.0, 3.0
"""Beginnings that the prior is worth; its log odds are SLOPE × (score - EVEN_SCORE) at the second match, and each
further match multiplies the odds by MATCH_ODDS."""


def initial_priors() -> NDArray[Any]:
    """``(1,)`` of `PRIORS`: nothing seen yet."""
    priors = np.zeros(1, PRIORS)
    priors["noise_factor"] = 1.0
    priors["left"], priors["right"], priors["top"], priors["bottom"] = np.inf, -np.inf, np.inf, -np.inf
    return priors


@kernel
def tune_filter(priors: Record, correlation: Four, rate: float) -> None:
    """Follow boxes faster where innovations keep their sign from frame to frame, slower where they alternate.

    A Kalman filter whose noise is right leaves innovations that are not correlated in time (Mehra, IEEE Transactions
    on Automatic Control, 1970); the process variance is moved until that is so.

    Args:
        correlation: for each measured quantity the sum over tracks of this innovation × the last, in deviations.
        rate: of learning.
    """
    for i in range(4):
        factor = priors.noise_factor[i] * math.exp(min(max(rate * correlation[i], -0.5), 0.5))
        priors.noise_factor[i] = min(max(factor, 1e-4), 1e3)


@kernel
def score_factor(priors: Record, detections: Any, count: int, elapsed: float, sure: float) -> float:
    """By what scores are raised, so that the sure detections of this stream have the score `sure`; at least 1.

    How high the sure ones score is the mean of all scores, each weighted by its cube: of many weak detections and a
    few sure ones it follows the sure. Counted are the first `count` detections of this frame too.
    """
    fade = math.exp(-elapsed / SCORE_SECONDS)
    priors.score_weights *= fade
    priors.weighted_scores *= fade
    for j in range(count):
        cube = detections[j].given_score ** 3
        priors.score_weights += cube
        priors.weighted_scores += cube * detections[j].given_score
    if priors.weighted_scores <= 0:
        return 1.0
    return float(min(max(sure * priors.score_weights / priors.weighted_scores, 1.0), MOST_RAISED))


@kernel
def process_factors(priors: Record, size_noise: float) -> Four:
    """By what the process variance of each measured quantity is multiplied."""
    sides, factor = size_noise * size_noise, priors.noise_factor
    return factor[0], factor[1], sides * factor[2], sides * factor[3]


@kernel
def widen(priors: Record, xyxy: Float64, count: int) -> None:
    """Note from where to where anything is seen, by the first `count` boxes."""
    for j in range(count):
        priors.left, priors.right = min(priors.left, xyxy[j, 0]), max(priors.right, xyxy[j, 2])
        priors.top, priors.bottom = min(priors.top, xyxy[j, 1]), max(priors.bottom, xyxy[j, 3])


@kernel
def note_company(priors: Record, distance: float) -> None:
    """Two people who were in view at once look so unlike; what was long ago counts less and less."""
    priors.company = min(priors.company + 1, COMPANY_MEMORY)
    share, off = 1 / priors.company, distance - priors.company_mean
    priors.company_mean += share * off
    priors.company_variance = (1 - share) * (priors.company_variance + share * off * off)


@kernel
def even_distance(priors: Record, given: float) -> float:
    """The cosine distance at which one person and two are equally likely, in this stream.

    `given`, by the embedder; but where people who were in view at once look more alike than that, what hardly any two
    of them do. Where the embedder says nothing (0), that alone, once enough was seen.
    """
    if given <= 0:
        if priors.company < COMPANY_ENOUGH:
            return 0.0
        mean, variance = priors.company_mean, priors.company_variance
    else:
        known = priors.company / (priors.company + COMPANY_PRIOR)
        usual, deviation = COMPANY_USUAL * given, COMPANY_DEVIATION * given
        mean = usual + known * (priors.company_mean - usual)
        variance = deviation**2 + known * (priors.company_variance - deviation**2)
    allowed = max(mean - COMPANY_BOUND * math.sqrt(variance), 0.0)
    return float(min(allowed, given) if given > 0 else allowed)


@kernel
def gap_kind(priors: Record, hits: int, box: Box) -> int:
    """Of a track matched so often and now expected at `box`."""
    return (1 if hits < GROWN else 0) + (2 if box[0] < priors.left or box[2] > priors.right else 0)


@kernel
def left_picture(priors: Record, box: Box, dy: float) -> bool:
    """Whether somebody last seen at `box` has probably gone out, past all where anything was ever seen.

    To a side: who touches it. Up or down: whom his course, `dy` pixels a second, takes past it; where all walk on one
    line everybody touches it.
    """
    margin, height = BORDER * (box[2] - box[0]), BORDER * (box[3] - box[1])
    aside = box[0] <= priors.left + margin or box[2] >= priors.right - margin
    return bool(aside or box[1] + dy < priors.top - height or box[3] + dy > priors.bottom + height)


@kernel
def gap_bin(age: float) -> int:
    """Of a gap of so many seconds; `BINS` for those that are not counted."""
    found = 0
    while found < BINS and age + 1e-6 >= EDGES[found + 1]:
        found += 1
    return found


@kernel
def watch_gap(priors: Record, kind: int, age: float, elapsed: float, overlap: float) -> None:
    """A gap of `age` seconds lasted `elapsed` more, or closed then with this overlap of the expected box (else -1)."""
    column = gap_bin(age)
    if column == BINS:
        return
    priors.gap_seconds[kind, column] += elapsed
    if overlap >= 0:
        priors.gaps_closed[kind, column] += 1
        priors.gaps_fitted[kind, column] += min(max(2 * overlap - 0.4, 0.0), 1.0)


@kernel
def estimate_survival(priors: Record) -> None:
    """Say in `survival` how probably a gap of each kind and age will close, and on the expected place.

    From the rates at which gaps closed, age by age (the Kaplan-Meier estimate): gaps that are still open, or were
    never to close, count for as long as they were watched.
    """
    for kind in range(KINDS):
        priors.survival[kind, BINS] = 0.0
        for column in range(BINS - 1, -1, -1):
            seconds, closed = priors.gap_seconds[kind, column], priors.gaps_closed[kind, column]
            width = EDGES[column + 1] - EDGES[column]
            expected = CLOSE_RATE / (EDGES[column] + width / 2 + CLOSE_SECONDS)
            rate = (closed + GAP_PRIOR) / (seconds + GAP_PRIOR / expected)
            fit = (priors.gaps_fitted[kind, column] + GAP_PRIOR * FIT) / (closed + GAP_PRIOR)
            closes = 1 - math.exp(-rate * width)
            priors.survival[kind, column] = closes * fit + (1 - closes) * priors.survival[kind, column + 1]


@kernel
def has_proved(hits: int, seconds: float) -> bool:
    """Whether a track matched so often in a row, over so many seconds, is no false start."""
    return bool(hits >= YOUNG or (hits >= FEWEST and seconds >= GROWN_UP_SECONDS - 1e-6))


@kernel
def note_beginning(priors: Record, score_sum: float, hits: int, real: bool) -> None:
    """A track matched so often in a row, with these scores in sum, proved real, or ended."""
    if hits < 1:
        return
    row = min(int(SCORES * score_sum / hits), SCORES - 1)
    for match in range(min(hits, YOUNG)):
        if real:
            priors.real_starts[row, match] += 1
        else:
            priors.false_starts[row, match] += 1


@kernel
def real_probability(priors: Record, score_sum: float, hits: int) -> float:
    """That a track matched so often in a row, with these scores in sum, is real."""
    if hits >= YOUNG:
        return 1.0
    score = score_sum / hits
    row = min(int(SCORES * score), SCORES - 1)
    odds = math.exp(SLOPE * (score - EVEN_SCORE)) * MATCH_ODDS ** float(hits - 2)
    real = priors.real_starts[row, hits - 1]
    false = priors.false_starts[row, hits - 1]
    return float((real + BIRTH_PRIOR * odds / (1 + odds)) / (false + real + BIRTH_PRIOR))
