"""Tracks as evidence without labels: what is looked at, who was seen with whom, and the pairs that follow."""

import numpy as np
import pytest

from reid.calibration import Calibration
from reid.calibration.quality import CUES, Quality, cues
from reid.calibration.stream import Boxes, count_seen, seen_together, worth_looking
from reid.overlap import covered, hidden_share


def walk(tracks, *, beside=100.0):
    """Boxes of tracks ``{id: (first frame, last frame)}``, each in a lane of its own, 10 frames a second."""
    rows = [
        (frame, track, lane * beside, 0.9)
        for lane, (track, (first, last)) in enumerate(tracks.items())
        for frame in range(first, last)
    ]
    frame, track, left, score = np.array(sorted(rows)).T
    xyxy = np.stack([left, 0 * left, left + 40, 0 * left + 100], 1)
    return Boxes.of(frame.astype(int), frame / 10, track.astype(int), xyxy, score)


def test_looks_are_spread_and_the_best_of_their_part():
    boxes = walk({7: (0, 320), 9: (0, 3)})
    boxes.score[boxes.track == 7] = 0.5
    best = np.flatnonzero((boxes.track == 7) & (boxes.frame % 20 == 13))
    boxes.score[best] = 0.9
    rows = worth_looking(boxes)
    np.testing.assert_array_equal(rows[boxes.track[rows] == 7], best)
    assert (boxes.track[rows] == 9).sum() == 3
    hidden = Boxes(boxes.frame, boxes.time, boxes.track, boxes.xyxy, boxes.score, (boxes.frame % 20 == 13) * 0.9)
    assert (hidden.frame[worth_looking(hidden)] % 20 != 13).all()


def test_who_is_seen_together_is_two_people():
    tracks, together = seen_together(walk({1: (0, 10), 2: (5, 20), 3: (15, 30), 8: (9, 10)}))
    assert tracks.tolist() == [1, 2, 3, 8]
    expected = np.array([[0, 1, 0, 1], [1, 0, 1, 1], [0, 1, 0, 0], [1, 1, 0, 0]], bool)
    np.testing.assert_array_equal(together, expected)


def test_boxes_in_each_other_prove_nothing():
    _, together = seen_together(walk({1: (0, 10), 2: (0, 10)}, beside=10))
    assert not together.any()


def test_the_lower_box_hides_the_other():
    xyxy = np.array([[0, 0, 40, 100], [20, 0, 60, 110], [200, 0, 240, 100]])
    np.testing.assert_allclose(hidden_share(np.array([0, 0, 0]), xyxy), [0.5, 0, 0])
    np.testing.assert_allclose(hidden_share(np.array([0, 1, 1]), xyxy), [0, 0, 0])
    assert covered(xyxy)[0].tolist() == [1.0, 0.5, 0.0]


def looks_of(boxes, rows, *, spread, seed=0):
    """Vectors of people that differ, with so much noise."""
    random = np.random.default_rng(seed)
    own = random.normal(size=(boxes.track.max() + 1, 64))
    vectors = own[boxes.track[rows]] + spread * random.normal(size=(len(rows), 64))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_pairs_of_a_stream_give_odds_within_the_camera_only():
    boxes = walk({track: (10 * track, 10 * track + 60) for track in range(40)})
    rows = worth_looking(boxes)
    counts = count_seen(boxes, rows, looks_of(boxes, rows, spread=0.5))
    calibration = Calibration.fitted(counts)
    assert calibration.knows(across=False)
    assert not calibration.knows(across=True)
    near, far = calibration.log_likelihood_ratio([0.3, 1.0], 1, 1, across=False)
    assert near > 1
    assert far < -1
    _, together = seen_together(boxes)
    one_each = counts.pairs[0, 3]
    assert one_each[0] == 40
    assert one_each[1] <= together.sum() // 2 * 4  # two halves each, and only of those seen together


def test_of_too_few_it_is_said_that_nothing_is_known():
    boxes = walk({1: (0, 40), 2: (0, 40)})
    rows = worth_looking(boxes)
    counts = count_seen(boxes, rows, looks_of(boxes, rows, spread=0.5))
    assert counts.pairs[0, 0, 0] > 0
    alone = walk({track: (100 * track, 100 * track + 60) for track in range(40)})
    rows = worth_looking(alone)
    assert not Calibration.fitted(count_seen(alone, rows, looks_of(alone, rows, spread=0.5))).known.any()


def test_cues_see_what_they_are_called():
    random = np.random.default_rng(0)
    image = np.full((200, 300, 3), 128, np.uint8)
    image[:, :100] = random.integers(0, 255, (200, 100, 3))
    boxes = np.array([[10, 10, 74, 138], [150, 10, 214, 138], [-40, 10, 40, 138]], np.float32)
    found = cues(image, boxes, hidden=np.array([0, 0.5, 0]), score=np.array([0.9, 0.8, 0.7]))
    at = {name: found[:, column] for column, name in enumerate(CUES)}
    np.testing.assert_allclose(np.exp(at["height"]), 128, rtol=1e-5)
    assert at["sharpness"][0] > at["sharpness"][1] == 0
    assert at["contrast"][0] > at["contrast"][1] == 0
    np.testing.assert_allclose(at["cut_off"], [0, 0, 0.5])
    np.testing.assert_allclose(at["hidden"], [0, 0.5, 0])
    np.testing.assert_allclose(at["score"], [0.9, 0.8, 0.7], rtol=1e-6)
    assert cues(image, np.empty((0, 4))).shape == (0, 7)


def test_quality_learns_which_crops_are_far_from_their_mean():
    """Some people are farther from their mean than others, for reasons that no crop shows."""
    random = np.random.default_rng(0)
    seen, person = random.uniform(0, 1, (2000, len(CUES))), np.repeat(np.arange(100), 20)
    seen[:, 1] += person / 100  # those who are wide are far apart, too
    own = np.exp(person / 50)
    distance = 0.1 * own * np.exp(1.5 * seen[:, 4] - seen[:, 0] + 0.2 * random.normal(size=2000))
    quality = Quality.fitted(seen[:1000], distance[:1000], person[:1000])
    assert quality is not None
    assert abs(quality.weight[1]) < 0.1
    rank = [np.argsort(np.argsort(v)) for v in (quality.spread(seen[1000:]), (distance / own)[1000:])]
    assert np.corrcoef(*rank)[0, 1] > 0.8
    weight = quality.weigh(seen[1000:])
    np.testing.assert_allclose(weight, 1 / quality.spread(seen[1000:]), rtol=1e-5)
    assert Quality.fitted(seen[:60], distance[:60], person[:60]) is None
    assert Quality.fitted(seen, distance, np.arange(2000)) is None
    back = Quality.from_plain(quality.to_plain())
    np.testing.assert_allclose(back.spread(seen), quality.spread(seen), rtol=1e-3)
    with pytest.raises(ValueError, match="other cues"):
        Quality.from_plain(quality.to_plain() | {"cues": ["height"]})
    with pytest.raises(ValueError, match="no list"):
        Quality.from_plain(quality.to_plain() | {"low": [float("nan")] * 7})
