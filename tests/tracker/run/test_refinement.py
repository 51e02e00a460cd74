"""Refined tracks of a run: beside the originals, in their formats."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracker import ConfigError, DataError, Detections, Frame, Tracks
from tracker.formats import parquet
from tracker.formats.registry import read_tables
from tracker.formats.table import Notes
from tracker.run.refinement import check_refinement, refine_run
from tracker.sinks import open_sink
from tracker.sinks.looks import LooksSink

NO_IMAGE = np.empty((0, 0, 3), np.uint8)
SAVE = ("mot", "parquet", "csv", "jsonl")


def boxes_at(frame):
    """Somebody with a gap, and somebody who gets another id after a moment behind something."""
    there = [(1, 5.0 * frame)] if frame not in (8, 9, 10) else []
    if frame < 20 or frame > 25:
        there.append((2 if frame < 20 else 3, 400 + 2.0 * frame))
    return there


@pytest.fixture
def folder(tmp_path):
    sinks = [open_sink(name, tmp_path, class_names={0: "person"}, frame_rate=10) for name in SAVE]
    for frame in range(60):
        there = boxes_at(frame)
        xyxy = np.array([[x, 100, x + 40, 200] for _, x in there], np.float32).reshape(-1, 4)
        n = len(there)
        tracks = Tracks([i for i, _ in there], xyxy, np.full(n, 0.9), np.zeros(n), np.arange(n), np.ones(n))
        for sink in sinks:
            sink.write(Frame(NO_IMAGE, frame, frame / 10), Detections(xyxy), tracks)
    for sink in sinks:
        sink.close()
    return tmp_path


def test_both_are_done_in_every_format(folder):
    originals = {path: path.read_bytes() for path in folder.iterdir()}
    written = refine_run(folder, "both")
    names = [path.name for path in written]
    assert names == [f"tracks.refined.{suffix}" for suffix in ("parquet", "csv", "jsonl", "txt")]
    table = pq.read_table(written[0])
    assert table.schema.names[:11] == pq.read_table(folder / "tracks.parquet").schema.names
    assert set(table["id"].to_pylist()) == {1, 2}
    filled = table.filter(table["filled"])
    assert filled["frame"].to_pylist() == [8, 9, 10, 20, 21, 22, 23, 24, 25]
    assert filled["x1"].to_pylist()[:3] == pytest.approx([40, 45, 50])
    assert table["predicted"].to_pylist() == table["filled"].to_pylist()
    assert set(table["class"].to_pylist()) == {"person"}
    rows = np.loadtxt(written[3], delimiter=",")
    assert rows[rows[:, 1] == 1][7:12, 0].tolist() == [8, 9, 10, 11, 12]
    lines = [json.loads(line) for line in written[2].read_text().splitlines()]
    assert len(lines) == len(rows) == len(table)
    assert lines[0]["class"] == "person"
    assert [(line["id"], line["frame"]) for line in lines if line["predicted"]] == [
        (row["id"], row["frame"]) for row in filled.to_pylist()
    ]
    assert {path: path.read_bytes() for path in originals} == originals


def test_one_at_a_time(folder):
    joined = pq.read_table(refine_run(folder, "join")[0])
    assert set(joined["id"].to_pylist()) == {1, 2}
    assert len(joined) == len(pq.read_table(folder / "tracks.parquet"))
    filled = pq.read_table(refine_run(folder, "gap")[0])
    assert set(filled["id"].to_pylist()) == {1, 2, 3}
    assert len(filled) == len(joined) + 3


def test_expectations_give_way_to_what_was_seen(tmp_path):
    """Out of sight: expected too far left in frames 3 and 4, not shown in 5 and 6; and at the end for good."""
    sinks = [open_sink(name, tmp_path, frame_rate=10) for name in SAVE]
    for frame in (0, 1, 2, 3, 4, 7, 8, 9, 10):
        expected = frame in (3, 4, 10)
        xyxy = np.array([[5.0 * frame, 100, 5.0 * frame + 40, 200]]) - (20.0 if expected else 0.0)
        for sink in sinks:
            tracks = Tracks([1], xyxy, [0.9], [0], [-1 if expected else 0], [1])
            sink.write(Frame(NO_IMAGE, frame, frame / 10), Detections(xyxy), tracks)
    for sink in sinks:
        sink.close()
    table, _, lines, _ = refine_run(tmp_path, "both")
    rows = pq.read_table(table)
    assert rows["frame"].to_pylist() == list(range(10))
    assert rows["x1"].to_pylist() == pytest.approx([5 * frame for frame in range(10)])
    assert rows.filter(rows["filled"])["frame"].to_pylist() == [3, 4, 5, 6]
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [row["frame"] for row in found if row["predicted"]] == [3, 4, 5, 6]
    assert set(pq.read_table(refine_run(tmp_path, "join")[0])["frame"].to_pylist()) == {0, 1, 2, 7, 8, 9}


def test_looks_have_a_say(folder):
    unlike = {2: np.array([1.0, 0.0]), 3: np.array([0.0, 1.0])}
    assert set(pq.read_table(refine_run(folder, "join", unlike)[0])["id"].to_pylist()) == {1, 2, 3}


def test_others_read_it(folder):
    (table,) = parquet.read(refine_run(folder, "both")[0], Notes())
    assert set(table.id.tolist()) == {1, 2}


def test_nothing_to_refine_is_told(tmp_path):
    with pytest.raises(DataError, match=r"tracks\.parquet: no table"):
        refine_run(tmp_path, "both")
    pq.write_table(pa.table({"frame": [1]}), tmp_path / "tracks.parquet")
    with pytest.raises(DataError, match=r"columns id, .* are missing"):
        refine_run(tmp_path, "both")
    columns = {"frame": [1], "id": [1], "x1": [1], "y1": [1], "x2": [5], "y2": [9]}
    pq.write_table(pa.table(columns), tmp_path / "tracks.parquet")
    with pytest.raises(DataError, match="needs the column timestamp to be refined"):
        refine_run(tmp_path, "both")


@pytest.mark.parametrize("what", ["join", "gap", "both"])
def test_an_empty_run(tmp_path, what):
    """A video in which nobody is found ended in a traceback, and half a file stayed."""
    for name in SAVE:
        open_sink(name, tmp_path).close()
    written = refine_run(tmp_path, what)
    assert len(written) == len(SAVE)
    assert len(pq.read_table(written[0])) == 0
    assert all(path.exists() for path in written)
    assert not list(tmp_path.glob("*.partial*"))


@pytest.mark.parametrize("source", ["parquet", "csv", "jsonl"])
def test_any_table_with_times_can_be_refined(folder, source):
    """The same comes out, whichever format was saved."""
    expected = np.loadtxt(refine_run(folder, "both")[3], delimiter=",")
    for name in {"parquet", "csv", "jsonl"} - {source}:
        (folder / f"tracks.{name}").unlink()
    written = refine_run(folder, "both")
    assert [path.name for path in written] == [f"tracks.refined.{source}", "tracks.refined.txt"]
    np.testing.assert_allclose(np.loadtxt(written[1], delimiter=","), expected, atol=0.011)
    (table,) = read_tables(written[0], None, Notes())
    assert (table.filled.sum(), set(table.names)) == (9, {"person"})


def test_what_cannot_be_is_refused_before_the_run():
    check_refinement("both", ("parquet",))
    with pytest.raises(ConfigError, match="join"):
        check_refinement("all", ("parquet",))
    with pytest.raises(ConfigError, match="add parquet"):
        check_refinement("gap", ("mot",))


def test_looks_are_the_mean_of_what_was_seen_well():
    sink, vectors = LooksSink(), np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    tracks = Tracks([4, 5, 6], np.zeros((3, 4)), np.ones(3), np.zeros(3), [2, 0, -1], np.ones(3))
    found = Detections(np.zeros((3, 4)), [0.9, 0.9, 0.9], embedding=vectors)
    sink.write(Frame(NO_IMAGE, 0, 0.0), found, tracks)
    doubtful = Detections(np.zeros((3, 4)), [0.1, 0.1, 0.1], embedding=vectors[::-1].copy())
    sink.write(Frame(NO_IMAGE, 1, 0.1), doubtful, tracks)
    sink.write(Frame(NO_IMAGE, 2, 0.2), Detections(np.zeros((3, 4))), tracks)
    looks = sink.mean()
    assert set(looks) == {4, 5}
    np.testing.assert_allclose(looks[4], [0.6, 0.8], atol=1e-6)
