"""What a stream teaches: how its boxes tremble, how gaps end, which beginnings are real, how the camera moved."""

import math

import numpy as np
import pytest

from tracker import Detections, load_tracker
from tracker.association import priors as st
from tracker.association.buffers import make_buffers
from tracker.association.camera_shift import common_shift, sure_median
from tracker.association.compile import compile_recipe
from tracker.association.grid import make_grid
from tracker.config import load_recipe
from tracker.motion import kalman

GAPS = "gap_seconds", "gaps_closed", "gaps_fitted"


def some_gaps(seed):
    """A stream with random counts of gaps, and the same as ``(KINDS, BINS, 3)``."""
    random, (stream,) = np.random.default_rng(seed), st.initial_priors()
    counts = random.uniform(0, 20, (st.KINDS, st.BINS, 3)) * random.integers(0, 2, (st.KINDS, st.BINS, 1))
    counts[..., 2] = counts[..., 1] * random.uniform(0, 1, counts.shape[:2])
    for i, name in enumerate(GAPS):
        stream[name] = counts[..., i]
    return stream, counts


@pytest.mark.parametrize("seed", range(5))
def test_chances_of_return_are_those_of_every_way_that_a_gap_can_end(seed):
    """Naively: for every age, the sum over later bins of surviving until there, closing there, and fitting."""
    stream, counts = some_gaps(seed)
    st.estimate_survival(stream)
    chances = stream["survival"]
    for kind in range(st.KINDS):
        for begin in range(st.BINS):
            still_open, total = 1.0, 0.0
            for column in range(begin, st.BINS):
                low, high = st.EDGES[column], st.EDGES[column + 1]
                watched, closed, fitted = counts[kind, column]
                usual = st.CLOSE_RATE / ((low + high) / 2 + st.CLOSE_SECONDS)
                rate = (closed + st.GAP_PRIOR) / (watched + st.GAP_PRIOR / usual)
                stays = math.exp(-rate * (high - low))
                total += still_open * (1 - stays) * (fitted + st.GAP_PRIOR * st.FIT) / (closed + st.GAP_PRIOR)
                still_open *= stays
            assert chances[kind, begin] == pytest.approx(total)
    assert (chances[:, st.BINS] == 0).all()


def test_every_age_has_its_bin():
    for age in np.linspace(0, 3, 601):
        column = st.gap_bin(age)
        assert column == st.BINS or st.EDGES[column] - 1e-5 <= age < st.EDGES[column + 1]
        assert (column == st.BINS) == (age >= st.EDGES[-1] - 1e-5)


def test_gaps_are_counted_where_they_belong():
    (stream,) = st.initial_priors()
    st.watch_gap(stream, 2, 0.12, 0.04, -1.0)
    st.watch_gap(stream, 2, 0.12, 0.04, 0.6)
    st.watch_gap(stream, 2, 9.0, 0.04, 0.6)  # too old to count
    counts = np.stack([stream[name] for name in GAPS], axis=2)
    np.testing.assert_allclose(counts[2, st.gap_bin(0.12)], [0.08, 1, 0.8])
    assert counts.sum() == pytest.approx(1.88)


def test_the_chance_of_being_real_follows_how_those_alike_ended():
    (stream,) = st.initial_priors()
    at_first = st.real_probability(stream, 1.1, 2)
    assert at_first == pytest.approx(1 / (1 + math.exp(-st.SLOPE * (0.55 - st.EVEN_SCORE))))
    for _ in range(8):
        st.note_beginning(stream, 1.65, 3, False)  # matched thrice, mean score 0.55
    assert st.real_probability(stream, 1.1, 2) == pytest.approx(st.BIRTH_PRIOR * at_first / (8 + st.BIRTH_PRIOR))
    assert st.real_probability(stream, 2.2, 4) > 0.8  # none of them got so far
    assert st.real_probability(stream, 1.9, 2) > 0.8  # nor had such scores
    for _ in range(16):
        st.note_beginning(stream, 0.55 * st.YOUNG, st.YOUNG, True)
    expected = (16 + st.BIRTH_PRIOR * at_first) / (24 + st.BIRTH_PRIOR)
    assert st.real_probability(stream, 1.1, 2) == pytest.approx(expected)
    assert st.real_probability(stream, 0.0, st.YOUNG) == 1


@pytest.mark.parametrize(("rate", "matches"), [(30, 9), (25, 9), (14, 6), (5, 3), (1, 3)])
def test_real_is_who_was_matched_for_a_while_however_slow_the_camera(rate, matches):
    proved = [hits for hits in range(1, 20) if st.has_proved(hits, (hits - 1) / rate)]
    assert proved[0] == matches


def test_who_passes_a_slow_camera_is_no_false_start():
    """Everybody is in view for six frames of a second's fifth; none of them is held back for how others left."""
    engine, shown = load_tracker("reacquire"), []
    for frame in range(400):
        x = 100.0 + 25 * (frame % 8)
        there = frame % 8 < 6
        found = Detections(np.array([[x, 100, x + 80, 300]] * there).reshape(-1, 4), np.full(int(there), 0.75))
        tracks = engine.update(found, timestamp=frame / 5)
        if there and frame >= 200:
            shown.append(len(tracks))
    assert np.mean(shown) > 0.8


def filtered(trembling, restless, rate, seed=0):
    """Run the engine's filter over boxes that tremble and wander by pixels; returns the stream and the mean error."""
    random = np.random.default_rng(seed)
    recipe = {
        "motion": {"state": "xywh", "measurement_noise": 0.05, "position_noise": 0.01, "velocity_noise": 0.0015,
                   "adapt": rate},
        "stages": [{"tracks": ["confirmed", "lost"], "gate": 1.0}],
        "birth": {"score": 0.1, "confirm_hits": 1},
    }  # fmt: skip
    engine, place, errors = load_tracker(recipe), 200.0 + 400 * np.arange(6), []
    for frame in range(300):
        place = place + random.normal(0, restless, 6)
        true = np.stack([place, np.full(6, 100.0), place + 40, np.full(6, 200.0)], axis=1)
        tracks = engine.update(Detections((true + random.normal(0, trembling, (6, 4))).astype(np.float32), np.ones(6)))
        if frame > 100 and len(tracks) == 6:
            errors.append(np.abs(tracks.xyxy[:, 0] - true[tracks.detection, 0]).mean())
    return engine.state_dict()["priors"]["noise_factor"][0, 0], np.mean(errors)


def test_the_filter_follows_restless_boxes_and_smooths_trembling_ones():
    """Learned noise moves the right way, and the boxes that are shown get nearer to the truth for it."""
    restless, error = filtered(trembling=0.2, restless=4, rate=0.03)
    assert restless > 10
    assert error < 0.5 * filtered(trembling=0.2, restless=4, rate=0)[1]
    calm, error = filtered(trembling=4, restless=0, rate=0.03)
    assert calm < 0.3
    assert error < filtered(trembling=4, restless=0, rate=0)[1]


def test_a_lost_track_is_shown_where_gaps_use_to_close():
    """One detector misses everybody now and then for two frames; the other's people are gone when they are gone."""
    shown = {}
    for closes in (True, False):
        engine, seen = load_tracker("reacquire"), 0
        for frame in range(400):
            people = range(4) if closes else range(4 * (frame // 40), 4 * (frame // 40) + 4)
            missing = frame % 10 >= 8 if closes else frame % 40 >= 30
            boxes = [[100 + 150 * (i % 7), 50 + 60 * (i % 3), 140 + 150 * (i % 7), 150 + 60 * (i % 3)] for i in people]
            found = Detections(
                np.array([] if missing else boxes, np.float32).reshape(-1, 4), np.full(0 if missing else 4, 0.9)
            )
            tracks = engine.update(found, timestamp=frame / 25)
            if frame > 200 and missing:
                seen += len(tracks)
        shown[closes] = seen
    assert shown[True] == 4 * 2 * 20
    assert shown[False] < 0.2 * 4 * 50


def engine_at(boxes, found):
    """The arrays of an engine whose tracks were seen at second 1, resting at these boxes; and the grid of a frame."""
    buffers = make_buffers(64, 1, 0, *compile_recipe(load_recipe("reacquire"), embeddings=False)[::-1], 0)
    tracks, counters = buffers.tracks[: len(boxes)], buffers.counters[0]
    tracks["seen"], tracks["hits"] = 1.0, 5
    for track, box in zip(tracks, boxes, strict=True):
        z = kalman.measure(kalman.XYWH, tuple(map(float, box)))
        kalman.initiate(kalman.XYWH, track["state"], z, 0.05, 0.05)
    counters["tracks"], counters["detections"], counters["before"] = len(boxes), len(found), 1.0
    return buffers, make_grid(found, len(boxes))


def row_of_people(n):
    x = 100.0 + 150 * np.arange(n)
    return np.stack([x, np.full(n, 50.0), x + 60, np.full(n, 200.0)], axis=1)


def shift_between(before, after):
    return common_shift(*engine_at(before, after))


def test_the_camera_moved_as_all_boxes_did():
    boxes = row_of_people(6)
    after = boxes + np.random.default_rng(0).normal([12, -7, 12, -7], 0.5, boxes.shape)
    after[2] += [30, 0, 30, 0]  # somebody ran
    assert shift_between(boxes, after) == pytest.approx((12, -7), abs=1)


def test_the_camera_stood_still_where_everybody_goes_another_way():
    boxes = row_of_people(6)
    after = boxes + np.array([8, -8, 8, -8, 8, -8])[:, None] * [1, 0, 1, 0]
    assert shift_between(boxes, after) == (0, 0)


def test_few_witnesses_prove_nothing():
    boxes = row_of_people(3)
    assert shift_between(boxes, boxes + 10) == (0, 0)
    assert shift_between(boxes[:0], boxes) == (0, 0)
    assert shift_between(boxes, boxes[:0]) == (0, 0)


def test_a_median_counts_as_far_as_it_is_sure():
    assert sure_median(np.full(5, 3.0), 5) == 3
    assert sure_median(np.array([-9.0, -5, 1, 6, 9]), 5) == 0
    assert 0 < sure_median(np.array([4.0, 5, 6, 7, 9]), 5) < 6


def scored(*scores):
    """Detections of a frame with these scores."""
    buffers = make_buffers(8, 1, 0, *compile_recipe(load_recipe("reacquire"), embeddings=False)[::-1], 0)
    buffers.detections["given_score"][: len(scores)] = scores
    return buffers.detections, len(scores)


def test_a_weak_detector_is_brought_to_the_scale_of_a_sure_one():
    (stream,) = st.initial_priors()
    assert st.score_factor(stream, *scored(0.6, 0.6), 0.0, 0.9) == pytest.approx(1.5)
    (stream,) = st.initial_priors()
    weak = [0.1, 0.1, 0.8]
    mean = sum(s**4 for s in weak) / sum(s**3 for s in weak)  # by cubes: the sure one counts for nearly all
    assert mean > 0.79
    assert st.score_factor(stream, *scored(*weak), 0.0, 0.9) == pytest.approx(0.9 / mean)


def test_a_sure_detector_keeps_its_scores_and_noise_is_not_raised_without_end():
    (stream,) = st.initial_priors()
    assert st.score_factor(stream, *scored(), 0.0, 0.9) == 1.0
    assert st.score_factor(stream, *scored(0.95, 0.2), 0.0, 0.9) == 1.0
    (stream,) = st.initial_priors()
    assert st.score_factor(stream, *scored(0.1), 0.0, 0.9) == st.MOST_RAISED


def test_scores_of_long_ago_fade():
    (stream,) = st.initial_priors()
    st.score_factor(stream, *scored(0.9), 0.0, 0.9)
    for _ in range(100):
        factor = st.score_factor(stream, *scored(0.6), 3.0, 0.9)
    assert factor == pytest.approx(1.5, rel=1e-3)


def test_whom_a_weak_detector_sees_has_an_id_and_the_score_that_was_given():
    """All scores below `birth.score`: without the stream's scale nobody would ever begin."""
    engine = load_tracker("reacquire")
    assert engine.recipe.birth.score > 0.55
    for frame in range(20):
        boxes = [[100 + 2 * frame, 100, 140 + 2 * frame, 200], [400, 100, 440, 200]]
        tracks = engine.update(Detections(boxes, [0.55, 0.5]), timestamp=frame / 10)
    assert tracks.id.tolist() == [1, 2]
    assert tracks.score == pytest.approx([0.55, 0.5])
