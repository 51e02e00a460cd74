"""The recipes beside public implementations of the same papers, on the same real detections."""

from types import SimpleNamespace

import motmetrics as mm
import numpy as np
import pytest

from tracker import Detections, load_tracker
from tracker.association.costs import iou

FRAME_RATE = 30
SEQUENCES = ("TUD-Campus", "TUD-Stadtmitte")


def rows_of(path):
    rows = np.loadtxt(path, delimiter=",")
    rows[:, 4:6] += rows[:, 2:4]
    return rows


def ours(recipe, found, frames):
    engine = load_tracker(recipe)
    for frame in range(1, frames + 1):
        rows = found[found[:, 0] == frame]
        tracks = engine.update(Detections(rows[:, 2:6], np.clip(rows[:, 6], 0, 1)), timestamp=frame / FRAME_RATE)
        yield tracks.id, tracks.xyxy


def ultralytics_bytetrack(found, frames):
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers.byte_tracker import BYTETracker

    settings = SimpleNamespace(
        track_high_thresh=0.6,
        track_low_thresh=0.1,
        new_track_thresh=0.7,
        track_buffer=30,
        match_thresh=0.8,
        fuse_score=True,
    )
    tracker = BYTETracker(settings)
    for frame in range(1, frames + 1):
        rows = found[found[:, 0] == frame]
        boxes = np.column_stack([rows[:, 2:6], np.clip(rows[:, 6], 0, 1), np.zeros(len(rows))]).astype(np.float32)
        out = tracker.update(Boxes(boxes, (480, 640)))
        out = np.asarray(out, np.float64).reshape(-1, 8)
        yield out[:, 4].astype(int), out[:, :4]


def scores(tracks, truth):
    accumulator = mm.MOTAccumulator(auto_id=True)
    for frame, (ids, boxes) in enumerate(tracks, 1):
        rows = truth[(truth[:, 0] == frame) & (truth[:, 6] != 0)]
        distance = 1 - iou(rows[:, 2:6], boxes)
        distance[distance > 0.5] = np.nan
        accumulator.update(rows[:, 1].astype(int), ids, distance)
    summary = mm.metrics.create().compute(accumulator, metrics=["mota", "idf1"])
    return summary.iloc[0].to_numpy(float)


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_bytetrack_scores_as_ultralytics_does(data, sequence):
    folder = data / "mot15" / sequence
    found, truth = rows_of(folder / "det/det.txt"), rows_of(folder / "gt/gt.txt")
    frames = int(truth[:, 0].max())
    mine = scores(ours("bytetrack", found, frames), truth)
    theirs = scores(ultralytics_bytetrack(found, frames), truth)
    assert mine == pytest.approx(theirs, abs=0.005)


@pytest.mark.parametrize(("recipe", "least"), [("sort", (0.60, 0.60)), ("bytetrack", (0.60, 0.65))])
def test_recipes_keep_their_quality_on_real_detections(data, recipe, least):
    folder = data / "mot15" / "TUD-Campus"
    found, truth = rows_of(folder / "det/det.txt"), rows_of(folder / "gt/gt.txt")
    mota, idf1 = scores(ours(recipe, found, int(truth[:, 0].max())), truth)
    assert mota >= least[0]
    assert idf1 >= least[1]
