"""What is printed of trackers is what they did."""

import importlib
import math
from dataclasses import replace

import numpy as np
import pytest

from tracker.formats.table import make_table

FRAMES = 40


@pytest.fixture
def compare(tools):
    return importlib.import_module("tools.benchmarks.compare_trackers")


@pytest.fixture
def sort(tools):
    peers = importlib.import_module("tools.benchmarks.motion_peers")
    return lambda _: peers.ours("sort")


@pytest.fixture
def scene(tools):
    """Two walk past each other in two lanes; the first is not detected in frames `lost`."""
    scenes = importlib.import_module("tools.benchmarks.motion_scenes")

    def make(lost=()):
        frames, boxes = [], []
        for t in range(FRAMES):
            boxes.append(np.array([[5.0 * t, 100, 5.0 * t + 40, 200], [200 - 5.0 * t, 250, 240 - 5.0 * t, 350]]))
            frames.append(np.column_stack([boxes[-1], [0.9, 0.9]])[1 if t in lost else 0 :])
        frame, ids = np.repeat(np.arange(FRAMES), 2), np.tile([7, 9], FRAMES)
        truth = make_table(frame=frame, id=ids, xyxy=np.concatenate(boxes))
        return scenes.Sequence("made", frames, truth, 25)

    return make


def test_true_ids_are_limited_by_what_was_detected_alone(compare, scene):
    whole = compare.judge(compare.true_ids(scene()), scene()).summary()
    assert (whole["HOTA"], whole["IDF1"]) == (1, 1)
    half = scene(lost=range(20))
    assert compare.judge(compare.true_ids(half), half).summary()["IDF1"] == pytest.approx(2 * 60 / (60 + 80))


def test_no_tracker_is_judged_by_a_truth_of_its_own_package(compare, sort, scene):
    groups = {"a": [[replace(scene(), maker="ultralytics botsort")]], "b": [[scene()]]}
    row = compare.row_of("ultralytics ocsort", sort, groups)
    assert math.isnan(row["a"]["HOTA"])
    assert row["b"]["IDF1"] > 90
    other = compare.row_of("roboflow sort", sort, groups)
    best = compare.best_of([row, other])
    assert best["a"] == {key: other["a"][key] for key in compare.KEYS}
    assert compare.lead(other, best)["a"]["HOTA"] == 0


def test_a_camera_that_is_known_is_told_to_those_that_can_take_it(tools, scene):
    """The camera pans by 60 pixels a frame; people stand still, so that boxes of two frames hardly overlap."""
    peers = importlib.import_module("tools.benchmarks.motion_peers")
    compare = importlib.import_module("tools.benchmarks.compare_trackers")
    still, shift = scene(), 60.0 * np.arange(FRAMES)
    standing = np.array([[2000, 100, 2040, 200], [2500, 250, 2540, 350.0]])
    boxes = [standing - np.array([s, 0, s, 0]) for s in shift]
    frames = [np.column_stack([b, [0.9, 0.9]]) for b in boxes]
    truth = replace(still.truth, xyxy=np.concatenate(boxes))
    moved = np.tile(np.array([[1.0, 0, -60], [0, 1, 0]]), (FRAMES, 1, 1))
    moved[0] = np.eye(2, 3)
    panned = replace(still, frames=frames, truth=truth)
    lost = compare.judge(peers.ours("bytetrack"), panned).summary()["IDF1"]
    for update in (peers.ours("bytetrack", camera=moved), peers.ultralytics("botsort", camera=moved)):
        assert compare.judge(update, panned).summary()["IDF1"] > 0.9 > lost


def test_a_benchmark_says_what_counts(compare, sort, scene):
    """Of two people one is a statue: whoever follows it is neither rewarded nor punished."""
    made = scene()
    truth = replace(made.truth, label=(made.truth.id == 9).astype(int), labels=("pedestrian", "static person"))
    statue = replace(made, benchmark="mot17", truth=truth)
    found = compare.judge(sort(statue), statue).summary()
    assert found["TP"] + found["FN"] == FRAMES
    assert found["FP"] == 0
