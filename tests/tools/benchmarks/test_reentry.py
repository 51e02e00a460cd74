"""The re-entry benchmark: scenes that are what they say, and returns counted right."""

import importlib
import itertools

import numpy as np
import pytest

from tracker.formats.table import make_table

SECONDS = 25


@pytest.fixture
def maker(tools, data, monkeypatch):
    made = importlib.import_module("tools.benchmarks.make_reentry_benchmark")
    monkeypatch.setattr(made, "DATA", data / "reid/market1501/val")
    return made


@pytest.fixture
def compare(tools):
    return importlib.import_module("tools.benchmarks.compare_reentry")


def test_the_splits_share_nobody(maker):
    tune, test = maker.identities("tune"), maker.identities("test")
    assert len(tune) >= 20
    assert len(test) >= 20
    assert not {c.images[0].tobytes() for c in tune} & {c.images[0].tobytes() for c in test}


def test_a_scene_is_the_same_every_time_and_has_what_it_is_for(maker):
    frames = list(maker.shoot("test", 1, SECONDS))
    again = itertools.islice(maker.shoot("test", 1, SECONDS), 40)
    for (picture, boxes, seen, found), other in zip(frames, again, strict=False):
        np.testing.assert_array_equal(picture, other[0])
        np.testing.assert_array_equal(boxes, other[1])
        np.testing.assert_array_equal(seen, other[2])
        np.testing.assert_array_equal(found, other[3])
    assert len(frames) == SECONDS * maker.RATE
    share = np.array([seen[:, 0] for _, _, seen, _ in frames])
    there = np.array([~np.isnan(boxes[:, 0]) for _, boxes, _, _ in frames])
    assert ((share >= 0) & (share <= 1)).all()
    assert not share[~there].any()
    in_view = share > maker.SEEN
    gaps = [np.diff(np.flatnonzero(column)) for column in in_view.T]
    assert sum((g > maker.RATE).sum() for g in gaps) >= 3  # people come back after more than a second
    found, true = sum(len(f) for *_, f in frames), in_view.sum()
    assert 0.6 < found / true < 1.1


def test_ground_truth_says_who_is_hidden(maker):
    boxes, seen = np.array([[10.0, 10, 50, 90], [100, 10, 140, 90], [-90, 0, -50, 80]]), np.zeros((3, 5))
    seen[0, 0] = 0.7
    assert maker.truth_rows(3, boxes, seen) == [
        "3,1,10.00,10.00,40.00,80.00,1,1,0.700\n",
        "3,2,100.00,10.00,40.00,80.00,0,8,0.000\n",
    ]


def boxes_of(rows):
    """`(frame, id, x, in sight)`, boxes of 40 × 80."""
    frame, who, x, seen = (np.array(column) for column in zip(*sorted(rows), strict=True))
    xyxy = np.c_[x, np.zeros(len(x)), x + 40, np.full(len(x), 80)].astype(float)
    label = ["pedestrian" if sight else "distractor" for sight in seen]
    return make_table(frame=frame - 1, id=who, xyxy=xyxy, label=label, columns={"score": seen})


def test_returns_are_counted(compare):
    """Person 1 is hidden from frame 21 to 50 and keeps his id; 2 is away, and comes back with the id of 1."""
    true = [(f, 1, 0, not 21 <= f <= 50) for f in range(1, 81)]
    true += [(f, 2, 300, True) for f in range(1, 21)] + [(f, 2, 300, True) for f in range(60, 81)]
    found = [(f, 7, 0, True) for f in range(1, 81) if f <= 20 or 50 < f < 60]
    found += [(f, 8, 300, True) for f in range(1, 21)] + [(f, 7, 300, True) for f in range(60, 81)]
    found += [(f, 9, 0, True) for f in range(60, 81)]
    scene = compare.Scene("made", [None] * 80, boxes_of(true), 10.0)
    counted = scene.truth.take(scene.truth.score != 0)
    assert compare.count_returns(scene, counted, boxes_of(found)) == compare.Returns(
        hidden=1, hidden_kept=0, away=1, away_kept=0, stolen=1
    )
    kept = [(f, i, x, s) if i != 9 else (f, 7, x, s) for f, i, x, s in found if not (i == 7 and f >= 60)]
    assert compare.count_returns(scene, counted, boxes_of(kept)) == compare.Returns(
        hidden=1, hidden_kept=1, away=1, away_kept=0, stolen=0
    )
