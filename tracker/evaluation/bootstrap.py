"""How sure a score is: intervals from resampled sequences (Efron, Annals of Statistics 7(1), 1979; percentile method).

Frames of a sequence hang together, so whole sequences are drawn, with replacement, and combined as the benchmark
combines them. Two trackers are compared on the same draws: what makes a sequence hard for both cancels out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.evaluation.evaluate import COMBINED, Scores, combine

LEVEL = 0.95
DRAWS = 1000
FEW = 10
"""Below so many sequences, intervals of the percentile method are too narrow."""
FEWEST = 6
"""Below so many, being ahead on every sequence is no proof: of five coins all fall alike 1 time in 16 (sign test)."""
LOWER_IS_BETTER = frozenset({"FP", "FN", "IDSW", "Frag", "ML", "IDFP", "IDFN", "FAF", "MLR"})
NEITHER = frozenset({"PT", "PTR", "Dets", "GT_Dets", "IDs", "GT_IDs", "Frames"})


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and where it lies in 95 of 100 resamplings.

    Attributes:
        value: from all sequences.
        low, high: ends of the interval; NaN with a single sequence, which says nothing of others.
    """

    value: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the interval leaves 0 out: for a difference, whether it is more than noise."""
        return self.low > 0 or self.high < 0


def intervals(scores: Mapping[str, Scores], *, draws: int = DRAWS, seed: int = 0) -> dict[str, Interval]:
    """Of every headline number of all sequences together.

    Args:
        scores: by sequence; a combined entry is not drawn from.
        draws: resamplings.
        seed: of the random numbers; the same seed draws the same sequences.
    """
    sampled = _sampled(scores, draws, seed)
    return {name: _interval(values) for name, values in sampled.items()}


def differences(
    a: Mapping[str, Scores], b: Mapping[str, Scores], *, draws: int = DRAWS, seed: int = 0
) -> dict[str, Interval]:
    """B less A, of every headline number of all sequences together, on the same draws of sequences.

    Args:
        a, b: by sequence, the same sequences; combined entries are not drawn from.
        draws: resamplings.
        seed: of the random numbers.

    Raises:
        ValueError: other sequences.
    """
    if set(a) != set(b):
        raise ValueError(f"paired differences need the same sequences, got {sorted(a)} and {sorted(b)}")
    of_a, of_b = _sampled(a, draws, seed), _sampled({name: b[name] for name in a}, draws, seed)
    return {name: _interval(of_b[name] - of_a[name]) for name in of_a}


def verdict(metric: str, difference: Interval, sequences: int) -> str:
    """What a difference of B less A means, in words.

    Args:
        metric: its name, which says whether more is better.
        difference: with its interval.
        sequences: that it comes from.
    """
    if sequences < FEWEST:
        return "too few sequences to tell"
    if not difference.certain:
        return "cannot be told apart"
    if metric in NEITHER:
        return "differs"
    return "B is better" if (difference.value > 0) != (metric in LOWER_IS_BETTER) else "A is better"


def caution(sequences: int) -> str | None:
    """What an interval over so few sequences cannot tell; None where there are enough."""
    if sequences == 1:
        return "one sequence: there is no interval, and no telling whether another sequence would say the same"
    if sequences < FEWEST:
        samples, chance = math.comb(2 * sequences - 1, sequences), 2.0 ** (1 - sequences)
        return (
            f"{sequences} sequences can be drawn in only {samples:,} ways, so the intervals say little; even if a "
            f"tracker is ahead on all of them, that happens by chance {chance:.0%} of the time"
        )
    if sequences < FEW:
        return (
            f"{sequences} sequences are few: the intervals are too narrow, so small certain differences may be chance"
        )
    return None


def _sampled(scores: Mapping[str, Scores], draws: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Every headline number ``(1 + draws,)``: first of the sequences as they are, then of each draw."""
    parts = [part for name, part in scores.items() if name != COMBINED]
    chosen = np.random.default_rng(seed).integers(0, len(parts), (draws, len(parts)))
    samples = [range(len(parts)), *chosen.tolist()] if len(parts) > 1 else [range(1)]
    summaries = [combine({str(i): parts[k] for i, k in enumerate(sample)}).summary() for sample in samples]
    return {name: np.array([summary[name] for summary in summaries], np.float64) for name in summaries[0]}


def _interval(values: NDArray[np.float64]) -> Interval:
    if len(values) == 1:
        return Interval(float(values[0]), math.nan, math.nan)
    low, high = np.quantile(values[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values[0]), float(low), float(high))
