"""Costs as entries: the distance of centres, functions of the caller's, and settings that belong to some of them."""

import math

import numpy as np
import pytest

from tracker import ConfigError, DataError, Detections, load_tracker
from tracker.association import records as rc
from tracker.association.compile import compile_stage
from tracker.association.matching import candidates, costs
from tracker.association.recipe import Recipe
from tracker.config import load_recipe


def stage_of(**fields):
    return Recipe.model_validate({"stages": [{"tracks": ["confirmed"], "gate": 1.0} | fields]}).stages[0]


def test_the_distance_of_centres_is_in_mean_diagonals():
    """A 3-4-5 box and one twice as large: the mean diagonal is 7.5, the centres are 15 apart."""
    (stage,), (pair,) = compile_stage(stage_of(cost="centre_distance")), np.zeros(1, rc.PAIR)
    box, found = (0.0, 0.0, 3.0, 4.0), (-1.5 + 15, -2.0, 4.5 + 15, 6.0)
    assert costs.centre_distance(stage, pair, box, found) == pytest.approx(2.0)
    assert pair["centre_distance"] == pytest.approx(2.0)


def test_no_term_is_left_of_the_pair_before():
    (pair,) = np.zeros(1, rc.PAIR)
    candidates.forget_terms(pair)
    assert all(np.isnan(pair[term]) for term in rc.TERMS)


def test_no_pair_within_the_gate_is_further_than_the_margin():
    (stage,) = compile_stage(stage_of(cost="centre_distance", gate=1.5))
    margin = costs.within_diagonals(stage, (0.0, 0.0, 3.0, 4.0), 6.0, 8.0)
    assert margin == pytest.approx(1.5 * (5 + 10) / 2)


def swarm(frame, random):
    """Twelve specks of 6 pixels that fly 10 pixels a frame, well apart."""
    at = np.stack([40 + 10.0 * frame + np.zeros(12), 60.0 + 90 * np.arange(12)], 1)
    at += random.normal(0, 0.5, at.shape)
    return Detections(np.c_[at - 3, at + 3].astype(np.float32), np.full(12, 0.8))


def test_small_fast_objects_keep_their_ids_by_distance_where_overlap_is_zero():
    shown = {}
    for name in ("sort", "centre"):
        engine, random = load_tracker(name), np.random.default_rng(0)
        shown[name] = [engine.update(swarm(frame, random), timestamp=frame / 30).id.tolist() for frame in range(40)]
    assert shown["centre"] == [list(range(1, 13))] * 40
    assert shown["sort"][1:] == [[]] * 39  # by overlap nobody is ever seen twice


def test_explanations_say_the_distance():
    engine = load_tracker("centre", record=True)
    for frame in range(3):
        engine.update(swarm(frame, np.random.default_rng(frame)))
    table = engine.take_record().to_pylist()
    matched = [row for row in table if row["matched"] and row["stage"] == "1: centre_distance"]
    assert len(matched) == 24
    assert all(math.isclose(row["term_centre_distance"], row["cost"]) for row in matched)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"cost": "iou", "weight": 0.9}, "`weight` is not used by the cost iou, but by fused, adaptive"),
        ({"weight": 0.9}, "`weight` is not used by the cost iou"),
        ({"cost": "embedding", "overlap": "giou"}, "`overlap` is not used by the cost embedding, but by iou, "),
        ({"cost": "centre_distance", "embedding_of": "mean"}, "`embedding_of` is not used by the cost centre_distance"),
        ({"buffer": 2.0}, "`buffer` changes nothing without `overlap`: biou"),
        ({"max_offset": 4.0}, "`max_offset` changes nothing without `max_speed`"),
        ({"low_penalty": 0.5}, "`low_penalty` changes nothing without `low_below`"),
        ({"direction_of": "corners"}, "`direction_of` changes nothing without `direction`"),
        ({"cost": "least"}, "the cost `least` is now called `min_iou_embedding`"),
        ({"cost": "nothing"}, "stages.0"),
        *(({old: 0.1}, f"`{old}` is now called `{new}`") for old, new in costs.Stage.renamed.items()),
    ],
)
def test_a_setting_that_would_change_nothing_is_refused(fields, problem):
    with pytest.raises(ConfigError) as refused:
        load_recipe({"stages": [{"tracks": ["lost"], "gate": 1.0} | fields]})
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["appearance.samples=50"], "`samples` is now called `gallery_size`"),
        (["appearance.gallery_size=50"], "no stage compares embeddings"),
        (["birth.keep_seconds=1"], "`keep_seconds` is now called `tentative_seconds`"),
        (["birth.chance=0.5"], "`chance` is now called `min_real_probability`"),
        (["death.shown_chance=0.5"], "`shown_chance` is now called `min_survival_probability`"),
        (["class_of_track=last"], "`class_of_track` changes nothing without `class_agnostic`"),
    ],
)
def test_old_keys_name_the_new_ones(overrides, problem):
    with pytest.raises(ConfigError) as refused:
        load_recipe("bytetrack", overrides)
    assert problem in str(refused.value)


KEYPOINTS = {
    "name": "keypoints",
    "motion": {"state": "xywh"},
    "stages": [{"tracks": ["confirmed", "lost", "tentative"], "cost": "python", "function": "pose", "gate": 0.5}],
    "birth": {"score": 0.3, "confirm_hits": 1},
}


class Pose:
    """How far the keypoints are from where they were in the frame before, in heights of the box."""

    def __init__(self):
        self.before = None

    def __call__(self, tracks, detections):
        now, before = detections.data["keypoints"], self.before
        cost = np.full((len(tracks), len(detections)), np.inf)
        if before is not None:
            seen = tracks.detection >= 0
            was = before[tracks.detection[seen]]
            off = np.linalg.norm(was[:, None] - now[None], axis=3).mean(2)
            height = detections.xyxy[:, 3] - detections.xyxy[:, 1]
            cost[seen] = off / height
        self.before = now
        return cost


def test_a_python_function_sees_the_keypoints():
    """Two people in one and the same box, told apart by their poses alone, which come in another order every frame."""
    engine, random = load_tracker(KEYPOINTS, costs={"pose": Pose()}), np.random.default_rng(1)
    poses = random.uniform(0, 100, (2, 17, 2))
    of_person = {0: set(), 1: set()}
    for frame in range(20):
        order = random.permutation(2)
        points = poses[order] + random.normal(0, 1, (2, 17, 2))
        boxes = np.tile([0.0, 0, 40, 100], (2, 1))
        tracks = engine.update(Detections(boxes, [0.9, 0.9], data={"keypoints": points}), timestamp=frame / 25)
        for track, row in zip(tracks.id.tolist(), tracks.detection.tolist(), strict=True):
            of_person[int(order[row])].add(track)
    assert sorted(map(sorted, of_person.values())) == [[1], [2]]


def test_functions_that_are_missing_idle_or_wrong_are_named():
    with pytest.raises(ConfigError, match=r"the Python function 'pose'.*load_tracker\(…, costs="):
        load_tracker(KEYPOINTS)
    with pytest.raises(ConfigError, match="no stage of the recipe 'sort'"):
        load_tracker("sort", costs={"pose": Pose()})
    engine = load_tracker(KEYPOINTS, costs={"pose": lambda tracks, detections: np.zeros((1, 1, 1))})
    with pytest.raises(DataError, match=r"the cost 'pose' gave an array of \(1, 1, 1\), expected \(0, 1\)"):
        engine.update(Detections([[0, 0, 4, 9]]), timestamp=0.0)
    engine = load_tracker(KEYPOINTS, costs={"pose": lambda tracks, detections: "near"})
    with pytest.raises(DataError, match="the cost 'pose' failed"):
        engine.update(Detections([[0, 0, 4, 9]]), timestamp=0.0)
