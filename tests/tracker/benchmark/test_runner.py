"""A tracker over a data set: the same as one video at a time, from the cache or not, in one process or several."""

import json
import os
import signal

import numpy as np
import pytest

from tracker import Pipeline
from tracker.benchmark.cache import Cache
from tracker.benchmark.dataset import find_dataset
from tracker.benchmark.jobs import Audience
from tracker.benchmark.perceive import SequenceCache
from tracker.benchmark.replay import as_predictions, cameras_of, motion_only, replay
from tracker.benchmark.runner import DataSetJob, cache_all, track_all
from tracker.config import load_pipeline_settings, load_recipe
from tracker.evaluation.evaluate import evaluate
from tracker.sinks.text import LineSink
from tracker.sources import open_source


def settings_for(tracker, *overrides):
    return load_pipeline_settings("default", ["detector.weights=public", *overrides], tracker=tracker)


def run(data, out, *, tracker="bytetrack", audience=None, split="train", **options):
    sequences = options.pop("sequences", None) or find_dataset(data, split=split)
    job = DataSetJob(data=data, sequences=sequences, settings=settings_for(tracker), out=out, **options)
    return track_all(job, audience or Audience())


def results(folder):
    return {p.name: p.read_bytes() for p in folder.glob("*.txt")}


def test_a_gate_of_looks_goes_with_the_looks():
    """BoT-SORT's least overlap is for pairs by appearance: by motion alone any pair within the gate may match."""
    assert {stage.min_iou for stage in load_recipe("botsort").stages} == {0.5, None}
    bare = motion_only(load_recipe("botsort"))
    assert {stage.min_iou for stage in bare.stages} == {None}
    assert [stage.cost for stage in bare.stages] == ["iou_times_score", "iou", "iou_times_score"]


@pytest.mark.parametrize("tracker", ["bytetrack", "botsort"])
def test_the_same_bytes_as_the_pipeline_over_the_frames(campus, tmp_path, tracker):
    """Botsort looks, and measures the camera's motion: a replay has both from the cache."""
    options = {"sequences": find_dataset(campus, rate=30), "cache": tmp_path / "cache"}
    tracked = run(campus, tmp_path / "tracked", tracker=tracker, **options)
    replayed = run(campus, tmp_path / "replayed", tracker=tracker, fill=False, **options)
    assert (tracked.status, replayed.status) == ("done", "done")
    assert results(tracked.folder) == results(replayed.folder)

    settings = settings_for(tracker, f"detector.weights=public:{campus}/det/det.txt")
    pipeline: Pipeline = Pipeline.from_config(settings)
    with open_source(campus) as source, LineSink(tmp_path / "direct.txt", "mot") as sink:
        for step in pipeline.steps(source):
            sink.write(step.frame, step.detections, step.tracks)
    assert (tmp_path / "direct.txt").read_bytes() == results(tracked.folder)["TUD-Campus.txt"]


def test_every_shipped_recipe_that_needs_no_frames_replays(small, tmp_path):
    run(small, tmp_path / "fill", cache=tmp_path / "cache")
    for name in ("sort", "ocsort"):
        out = run(small, tmp_path / name, tracker=name, cache=tmp_path / "cache", fill=False)
        assert out.status == "done"
        assert out.scores["combined"].identity.IDF1 > 0.9


def test_scores_are_those_of_eval(small, tmp_path):
    outcome = run(small, tmp_path / "run", benchmark="mot17")
    expected = evaluate(small / "train", outcome.folder, benchmark="mot17")
    assert {n: s.full() for n, s in outcome.scores.items()} == {n: s.full() for n, s in expected.items()}
    document = json.loads((outcome.folder / "scores.json").read_text())
    assert document["combined"] == expected["combined"].summary()
    assert not list(outcome.folder.glob("seen.*"))


def test_boxes_that_were_seen_and_that_were_predicted_are_counted_apart(small, tmp_path):
    """Everybody is missed in two frames of the first sequence; the default recipe shows where they are expected."""
    path = small / "train/one/det/det.txt"
    kept = [line for line in path.read_text().splitlines() if line.split(",")[0] not in ("20", "21")]
    path.write_text("\n".join(kept) + "\n")
    settings = settings_for("reacquire", "embedder.weights=none")
    job = DataSetJob(data=small, sequences=find_dataset(small, split="train"), settings=settings, out=tmp_path / "run")
    outcome = track_all(job, Audience())
    counts = outcome.sequences["one"].result.counts()
    assert json.loads((outcome.folder / "run.json").read_text())["runs"]["one"] == {"status": "done", **counts}
    frames = np.loadtxt(outcome.folder / "one.txt", delimiter=",")[:, 0]
    assert counts["predicted"] == np.isin(frames, (20, 21)).sum() > 0
    assert counts["boxes"] == (~np.isin(frames, (20, 21))).sum()


def test_two_processes_give_the_same(small, tmp_path):
    alone, both = run(small, tmp_path / "alone", jobs=1), run(small, tmp_path / "both", jobs=2)
    assert results(alone.folder) == results(both.folder)
    assert list(alone.scores) == list(both.scores) == ["one", "two", "combined"]


def test_a_failing_sequence_is_named_and_the_others_go_on(small, tmp_path):
    (small / "train/one/det/det.txt").write_text("0,-1,1,1,5,5,1\n")
    outcome = run(small, tmp_path / "run")
    assert outcome.status == "failed"
    assert "frames in a MOT file begin at 1" in outcome.sequences["one"].problem
    assert results(outcome.folder).keys() == {"two.txt"}
    assert json.loads((outcome.folder / "run.json").read_text())["runs"]["one"]["status"] == "failed"


def test_a_half_is_counted_from_one(small, tmp_path):
    outcome = run(small, tmp_path / "run", split="val-half")
    frames = np.loadtxt(outcome.folder / "one.txt", delimiter=",")[:, 0]
    assert (frames.min(), frames.max()) == (1, 19)
    again = evaluate(outcome.folder / "gt", outcome.folder)
    assert again["combined"].full() == outcome.scores["combined"].full()
    assert outcome.scores["combined"].clear.MOTA > 0.9


def test_ctrl_c_keeps_what_is_done(small, tmp_path):
    class Impatient(Audience):
        def finished(self, name, outcome):
            if outcome.result:
                os.kill(os.getpid(), signal.SIGINT)

    outcome = run(small, tmp_path / "run", audience=Impatient(), jobs=1)
    assert outcome.status == "interrupted"
    assert results(outcome.folder).keys() == {"one.txt"}
    assert outcome.sequences["two"].result is None
    assert json.loads((outcome.folder / "run.json").read_text())["status"] == "interrupted"


def test_a_recipe_that_looks_says_what_it_needs(small, tmp_path):
    outcome = run(small, tmp_path / "run", tracker="deepsort", jobs=1)
    assert "no frames, expected img1/" in outcome.sequences["one"].problem
    assert "--motion-only" in outcome.sequences["one"].problem


def test_a_replay_without_a_cache_says_how_to_make_one(small, tmp_path):
    outcome = run(small, tmp_path / "run", cache=tmp_path / "cache", fill=False)
    assert "reacquire mot cache" in outcome.sequences["one"].problem


def test_filling_the_cache_twice_changes_nothing(small, tmp_path):
    job = DataSetJob(
        data=small, sequences=find_dataset(small), settings=settings_for("sort"), cache=tmp_path / "cache", jobs=1
    )
    outcomes, interrupted = cache_all(job, embed=False, cameras=[], audience=Audience())
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir()}
    assert outcomes["one"].result == (40, 80)
    assert not interrupted
    cache_all(job, embed=False, cameras=[], audience=Audience())
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir()} == before


def test_results_in_memory_are_those_of_the_file(small, tmp_path):
    from tracker.evaluation.read import read_predictions

    sequence, settings = find_dataset(small)[0], settings_for("bytetrack")
    outcome = run(small, tmp_path / "run", cache=tmp_path / "cache")
    seen = SequenceCache(settings, Cache(tmp_path / "cache")).fill(sequence, embed=False, cameras=[], report=_quiet)
    made = as_predictions(replay(settings.tracker, seen, sequence))
    read = read_predictions(outcome.folder / "one.txt")
    np.testing.assert_array_equal(made.frame, read.frame)
    np.testing.assert_array_equal(made.id, read.id)
    np.testing.assert_allclose(made.xyxy, read.xyxy, atol=0.0051)


def _quiet(stage, done):
    pass


@pytest.mark.parametrize("name", ["reacquire", "botsort", "deepocsort", "strongsort"])
def test_motion_only_needs_no_frames(name):
    recipe = load_recipe(name)
    bare = motion_only(recipe)
    assert recipe.uses_embedding
    assert not bare.uses_embedding
    assert cameras_of(bare) == []
    assert bare.birth == recipe.birth
