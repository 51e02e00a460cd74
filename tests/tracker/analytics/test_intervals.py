"""Counts over time, by hand."""

import pytest

from tracker.analytics.intervals import Intervals


def test_means_maxima_and_crossings_by_part():
    intervals = Intervals(10)
    for frame in range(40):  # two a second for twenty seconds: one cat at first, then three
        now = frame / 2
        intervals.update(now, {"view": {"cat": 1 if now < 5 else 3}})
    intervals.enter(3, "view", "cat")
    intervals.enter(5, "view", "cat", 2)
    intervals.cross(12, "door", "cat", "a_to_b")
    intervals.cross(13, "door", "cat", "a_to_b")
    intervals.cross(13, "door", "dog", "b_to_a")
    first, second = intervals
    assert (first.start, second.start) == (0, 10)
    cats = first.present["view", "cat"]
    assert (cats.most, cats.entered) == (3, 3)
    assert cats.seconds == pytest.approx(4.5 * 1 + 5 * 3)
    assert (first.seconds, second.seconds) == (9.5, 10)
    assert first.crossed == {}
    assert second.crossed == {("door", "cat", "a_to_b"): 2, ("door", "dog", "b_to_a"): 1}


def test_an_empty_part_is_there_and_a_gap_is_no_presence():
    intervals = Intervals(10)
    intervals.update(1, {"view": {"cat": 2}})
    intervals.update(35, {"view": {"cat": 2}})
    parts = list(intervals)
    assert [part.start for part in parts] == [0, 10, 20, 30]
    assert parts[1].present == {}
    assert parts[3].present["view", "cat"].seconds == 2.0  # one second for each, whatever was before
    assert list(Intervals()) == []
