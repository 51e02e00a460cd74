"""Intervals: what they hold by construction, and what they must not promise."""

import math

import numpy as np
import pytest

from tracker.evaluation.bootstrap import Interval, caution, differences, intervals, verdict
from tracker.evaluation.evaluate import combine, score


def scores_of(hits, frames=20):
    """Sequences of one object, found in so many of the frames."""
    scores = {}
    for i, found in enumerate(hits):
        tracker = [[1] if t < found else [] for t in range(frames)]
        scores[f"S{i}"] = score([[0]] * frames, tracker, [np.ones((1, len(ids))) for ids in tracker])
    return scores | {"combined": combine(scores)}


def test_an_interval_holds_its_value_and_is_the_same_each_time():
    scores = scores_of([5, 8, 10, 12, 15, 18, 20, 9])
    first, again = intervals(scores, draws=300, seed=1), intervals(scores, draws=300, seed=1)
    assert first == again
    assert first["MOTA"].low < first["MOTA"].value < first["MOTA"].high
    assert first["MOTA"].value == pytest.approx(scores["combined"].summary()["MOTA"])
    assert intervals(scores, draws=300, seed=2) != first


def test_against_a_plain_loop():
    """MOTA of one object a sequence is the mean share of frames; its bootstrap can be written in two lines."""
    hits = np.array([5, 8, 10, 12, 15, 18])
    drawn = np.random.default_rng(5).integers(0, 6, (400, 6))
    expected = np.quantile((hits[drawn] / 20).mean(1), [0.025, 0.975])
    found = intervals(scores_of(hits), draws=400, seed=5)["MOTA"]
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_pairs_are_surer_than_two_intervals():
    """B finds two frames more in every sequence: that is certain, though sequences differ by far more."""
    hits = [3, 6, 9, 12, 15, 18, 4, 10]
    difference = differences(scores_of(hits), scores_of([h + 2 for h in hits]), draws=300)["MOTA"]
    assert (difference.low, difference.value, difference.high) == pytest.approx((0.1, 0.1, 0.1))
    assert difference.certain
    apart = intervals(scores_of(hits), draws=300)["MOTA"]
    assert apart.high - apart.low > 0.2


def test_noise_is_called_noise():
    a, b = [5, 8, 10, 12, 15, 18, 11, 9], [6, 7, 12, 10, 16, 17, 10, 10]
    difference = differences(scores_of(a), scores_of(b), draws=500)["MOTA"]
    assert verdict("MOTA", difference, 8) == "cannot be told apart"


def test_a_tracker_is_not_ahead_of_itself():
    scores = scores_of([3, 9, 14, 6, 12, 18])
    for difference in differences(scores, scores, draws=100).values():
        assert (difference.low, difference.value, difference.high) == (0, 0, 0)


def test_one_sequence_has_no_interval():
    found = intervals(scores_of([7]))["MOTA"]
    assert found.value == pytest.approx(0.35)
    assert math.isnan(found.low)
    assert "one sequence: there is no interval" in caution(1)


@pytest.mark.parametrize(
    ("metric", "interval", "sequences", "words"),
    [
        ("HOTA", Interval(0.1, 0.05, 0.2), 7, "B is better"),
        ("HOTA", Interval(-0.1, -0.2, -0.05), 7, "A is better"),
        ("IDSW", Interval(5, 2, 9), 7, "A is better"),
        ("PT", Interval(5, 2, 9), 7, "differs"),
        ("HOTA", Interval(0.1, -0.1, 0.2), 7, "cannot be told apart"),
        ("HOTA", Interval(0.1, 0.05, 0.2), 5, "too few sequences to tell"),
    ],
)
def test_verdicts(metric, interval, sequences, words):
    assert verdict(metric, interval, sequences) == words


def test_few_sequences_are_told():
    assert "only 3 ways" in caution(2)
    assert "by chance 50% of the time" in caution(2)
    assert "few" in caution(7)
    assert caution(30) is None


def test_other_sequences_cannot_be_paired():
    with pytest.raises(ValueError, match="same sequences"):
        differences(scores_of([1, 2]), scores_of([1, 2, 3]))
