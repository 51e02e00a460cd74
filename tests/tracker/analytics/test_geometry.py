"""Zones and lines against OpenCV's polygon test and hand-made walks."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.analytics.geometry import Geometry, crossings, distance, inside
from tracker.analytics.zones import Line, Zone
from tracker.types import Tracks

SIZE = (1000, 500)
SQUARE = ((0.4, 0.4), (0.6, 0.4), (0.6, 0.8), (0.4, 0.8))
NAMES = {0: "person", 1: "car"}


def tracks(feet, *, class_id=0, height=100):
    """Boxes that stand at these fractions of the picture, by id."""
    ids = list(feet)
    foot = np.array([feet[i] for i in ids], float).reshape(-1, 2) * SIZE
    boxes = np.column_stack([foot[:, 0] - 20, foot[:, 1] - height, foot[:, 0] + 20, foot[:, 1]])
    n = len(ids)
    return Tracks(ids, boxes, np.ones(n), np.full(n, class_id), np.arange(n), np.ones(n))


def walk(geometry, steps, *, rate=10.0, **options):
    """What happens to ids along their steps, with the step's number."""
    return [
        (i, h.kind, h.track, h.data)
        for i, feet in enumerate(steps)
        for h in geometry.update(tracks(feet, **options), SIZE, i / rate)
    ]


coordinate = st.integers(0, 40).map(lambda v: v / 4)
polygons = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=8, unique=True)


@given(polygons, st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=20))
def test_inside_is_what_opencv_says(polygon, points):
    polygon, points = np.array(polygon), np.array(points) + 1 / 64
    contour = (polygon * 64).astype(np.int32)
    signed = np.array([cv2.pointPolygonTest(contour, tuple(map(float, p * 64)), True) for p in points])
    clear = np.abs(signed) > 1e-6  # on the border both answers are right
    assert (inside(points, polygon) == (signed > 0))[clear].all()
    assert np.allclose(distance(points, polygon, np.roll(polygon, -1, 0)) * 64, np.abs(signed), atol=1e-3)


@given(st.tuples(coordinate, coordinate), st.tuples(coordinate, coordinate))
def test_crossing_a_line_and_back_is_opposite(start, end):
    start, end = np.array([start]) + 1 / 64, np.array([end]) + 1 / 64
    a, b = np.array([[5.0, 0.0]]), np.array([[5.0, 11.0]])  # downwards: its left is at larger x
    there, back = crossings(start, end, a, b)[0], crossings(end, start, a, b)[0]
    assert there == -back
    expected = np.sign(float(start[0, 0] > 5) - float(end[0, 0] > 5))
    assert there == expected


def test_a_line_is_crossed_once_and_its_direction_is_right():
    upwards = Line(name="door", points=((0.5, 0.9), (0.5, 0.1)))  # seen upwards, its left is at smaller x
    geometry = Geometry((), (upwards,), NAMES)
    there = [{1: (0.40 + i * 0.02, 0.5)} for i in range(11)]
    happened = walk(geometry, there + there[::-1])
    assert [(kind, data) for _, kind, _, data in happened] == [
        ("line_crossed", {"line": "door", "direction": "a_to_b"}),
        ("line_crossed", {"line": "door", "direction": "b_to_a"}),
    ]


def test_trembling_on_a_line_is_no_crossing():
    geometry = Geometry((), (Line(name="l", points=((0.5, 0), (0.5, 1))),), NAMES)
    steps = [{1: (0.45, 0.5)}] + [{1: (0.5 + 0.002 * (-1) ** i, 0.5)} for i in range(50)] + [{1: (0.45, 0.5)}]
    assert walk(geometry, steps) == []


def test_walking_round_the_end_of_a_line_is_no_crossing():
    geometry = Geometry((), (Line(name="l", points=((0.5, 0.2), (0.5, 0.6))),), NAMES)
    assert walk(geometry, [{1: (0.4, 0.5)}, {1: (0.45, 0.8)}, {1: (0.55, 0.8)}, {1: (0.6, 0.5)}]) == []


def test_a_bent_line_crossed_twice_at_once_is_none():
    bent = Line(name="l", points=((0.2, 0.2), (0.5, 0.8), (0.8, 0.2)))
    geometry = Geometry((), (bent,), NAMES)
    assert walk(geometry, [{1: (0.1, 0.4)}, {1: (0.9, 0.4)}]) == []


def test_a_crossing_while_out_of_sight_is_seen_afterwards():
    geometry = Geometry((), (Line(name="l", points=((0.5, 0), (0.5, 1))),), NAMES)
    happened = walk(geometry, [{1: (0.4, 0.5)}, {2: (0.1, 0.1)}, {2: (0.1, 0.1)}, {1: (0.6, 0.5)}])
    assert [(i, track) for i, _, track, _ in happened] == [(3, 1)]


def test_a_zone_is_entered_dwelt_in_and_left():
    geometry = Geometry((Zone(name="z", polygon=SQUARE, dwell=1.0),), (), NAMES)
    steps = [{7: (0.3, 0.6)}] * 3 + [{7: (0.5, 0.6)}] * 20 + [{7: (0.7, 0.6)}] * 3
    assert walk(geometry, steps) == [
        (3, "zone_entered", 7, {"zone": "z"}),
        (13, "zone_dwell", 7, {"zone": "z", "seconds": 1.0}),
        (23, "zone_left", 7, {"zone": "z", "seconds": 2.0}),
    ]
    assert geometry.occupants() == {"z": {}}


def test_who_begins_in_a_zone_enters_it_and_who_ends_in_it_leaves():
    geometry = Geometry((Zone(name="z", polygon=SQUARE),), (), NAMES)
    assert [k for _, k, _, _ in walk(geometry, [{1: (0.5, 0.5), 2: (0.5, 0.7)}])] == ["zone_entered"] * 2
    assert geometry.occupants() == {"z": {"person": 2}}
    left = geometry.forget(np.array([2]), 5.0)
    assert [(h.kind, h.track, h.data["seconds"]) for h in left] == [("zone_left", 2, 5.0)]
    assert geometry.occupants() == {"z": {"person": 1}}


def test_trembling_on_a_border_enters_once():
    geometry = Geometry((Zone(name="z", polygon=SQUARE),), (), NAMES)
    steps = [{1: (0.3, 0.6)}, {1: (0.5, 0.6)}] + [{1: (0.4 + 0.002 * (-1) ** i, 0.6)} for i in range(40)]
    assert [kind for _, kind, _, _ in walk(geometry, steps)] == ["zone_entered"]


def test_only_the_wanted_classes_count():
    zone = Zone(name="z", polygon=SQUARE, classes=("car",))
    line = Line(name="l", points=((0.45, 0), (0.45, 1)), classes=("car",))
    steps = [{1: (0.3, 0.6)}, {1: (0.5, 0.6)}]
    assert walk(Geometry((zone,), (line,), NAMES), steps, class_id=0) == []
    assert len(walk(Geometry((zone,), (line,), NAMES), steps, class_id=1)) == 2


def test_many_tracks_are_the_same_as_each_alone():
    rng = np.random.default_rng(0)
    zones = (Zone(name="z", polygon=SQUARE, dwell=0.5),)
    lines = (Line(name="l", points=((0.2, 0.1), (0.5, 0.5), (0.3, 0.9))),)
    ways = {i: np.clip(rng.normal(0, 0.04, (60, 2)).cumsum(0) + 0.5, 0, 1) for i in range(1, 20)}
    together = walk(Geometry(zones, lines, NAMES), [{i: w[t] for i, w in ways.items()} for t in range(60)])
    alone = [h for i, w in ways.items() for h in walk(Geometry(zones, lines, NAMES), [{i: w[t]} for t in range(60)])]
    key = lambda h: (h[0], h[2], h[1], str(h[3]))  # noqa: E731
    assert sorted(together, key=key) == sorted(alone, key=key)
    assert len(together) > 20


def test_a_change_leaves_alone_what_is_in_both():
    stays, goes = Zone(name="stays", polygon=SQUARE, dwell=1.0), Zone(name="goes", polygon=SQUARE)
    line = Line(name="l", points=((0.45, 0), (0.45, 1)))
    before = Geometry((goes, stays), (line,), NAMES)
    assert len(walk(before, [{1: (0.42, 0.6), 2: (0.9, 0.9)}] * 5)) == 2
    after = Geometry(
        (stays, Zone(name="new", polygon=SQUARE)), (Line(name="m", points=((0.8, 0), (0.8, 1))), line), NAMES
    )
    after.take_over(before)
    steps = [{1: (0.42, 0.6), 2: (0.9, 0.9)}, {1: (0.5, 0.6), 2: (0.7, 0.9)}, *[{1: (0.5, 0.6)}] * 10]
    happened = [(kind, track, data.get("zone") or data["line"]) for _, kind, track, data in walk(after, steps)]
    assert sorted(happened) == [
        ("line_crossed", 1, "l"),
        ("line_crossed", 2, "m"),
        ("zone_dwell", 1, "stays"),
        ("zone_entered", 1, "new"),
    ]


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_watch_costs_nothing(count):
    assert walk(Geometry((), (), NAMES), [dict.fromkeys(range(1, 1 + count), (0.5, 0.5))] * 2) == []
