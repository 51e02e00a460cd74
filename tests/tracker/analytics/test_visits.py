"""Visits are what a loop over frames and ids finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.analytics.visits import LONGEST_STEP, Visits
from tracker.types import Tracks, TrackState


def tracks(ids, classes=None):
    n = len(ids)
    return Tracks(
        id=np.array(ids, np.int64),
        xyxy=np.tile(np.float32([0, 0, 2, 4]), (n, 1)),
        score=np.ones(n, np.float32),
        class_id=np.array([i % 2 for i in ids] if classes is None else classes, np.int64),
        detection=np.arange(n),
        state=np.full(n, TrackState.CONFIRMED, np.uint8),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sets(st.integers(1, 12), max_size=5), st.floats(0.01, 3)), min_size=1, max_size=30),
    st.integers(0, 2**32 - 1),
)
def test_as_a_loop_would(frames, seed):
    random = np.random.default_rng(seed)
    visits, expected, now = Visits(["a", "b"], {0: "cat", 1: "dog"}), {}, 0.0
    for ids, step in frames:
        now += step
        ids = list(ids)
        random.shuffle(ids)
        foot, inside = random.random((len(ids), 2)), random.random((len(ids), 2)) < 0.3
        visits.update(tracks(ids), foot, inside, now)
        for i, track in enumerate(ids):
            life = expected.setdefault(track, {"first": now, "last": now, "seconds": 0.0, "foot": foot[i], "in": set()})
            gap = now - life["last"]
            life["seconds"] += gap if gap <= LONGEST_STEP else 0
            life["last"], life["end"] = now, foot[i]
            life["in"] |= {name for name, there in zip("ab", inside[i], strict=True) if there}
    assert len(visits) == len(expected)
    for visit, (track, life) in zip(visits, sorted(expected.items()), strict=True):
        assert (visit.id, visit.class_name) == (track, ["cat", "dog"][track % 2])
        assert (visit.first, visit.last) == (life["first"], life["last"])
        assert visit.seconds == pytest.approx(life["seconds"])
        np.testing.assert_allclose([visit.first_foot, visit.last_foot], [life["foot"], life["end"]], atol=1e-6)
        assert set(visit.zones) == life["in"]


def test_thousands_of_ids_are_kept_and_the_last_are_named():
    visits = Visits([], {0: "cat"})
    for start in range(0, 3000, 100):
        visits.update(tracks(range(start, start + 100)), np.zeros((100, 2)), np.zeros((100, 0), bool), start / 100)
    assert [visit.id for visit in visits] == list(range(3000))
    assert visits.classes_of_last(2) == ["cat", "1"]
    assert visits.classes_of_last(0) == []
