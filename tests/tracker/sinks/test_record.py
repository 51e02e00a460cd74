"""What the tracker thought, in parts on disk, then one table."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracker import DataError, Detections, Frame, load_tracker
from tracker.association.explain import why
from tracker.sinks import record
from tracker.sinks.parquet import parts_of

NO_IMAGE = np.empty((0, 0, 3), np.uint8)


def see(t):
    xs = [10 + 3 * t, 500 - 2 * t] if t % 7 else [10 + 3 * t]
    return Detections(np.array([[x, 50, x + 40, 150] for x in xs], np.float32), np.full(len(xs), 0.9, np.float32))


def run(sink, engine, frames):
    for t in range(frames):
        found = see(t)
        sink.write(Frame(NO_IMAGE, t, t / 30), found, engine.update(found))


def test_parts_are_the_record_taken_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "PART_FRAMES", 8)
    engine, whole = (load_tracker("sort", record=True) for _ in range(2))
    with record.RecordSink(tmp_path / record.FILE, engine.take_record) as sink:
        run(sink, engine, 50)
        assert len(list(parts_of(sink.path).glob("*.parquet"))) == 6  # what a kill would leave
    for t in range(50):
        whole.update(see(t))
    got, expected = record.read_record(sink.path), whole.take_record()
    assert got.schema == expected.schema
    for name in set(got.column_names) - {"track_id"}:  # early parts do not know yet who would get an id
        np.testing.assert_array_equal(got[name].to_numpy(), expected[name].to_numpy())
    assert np.isin(got["track_id"].to_numpy(), [0, *np.unique(expected["track_id"].to_numpy())]).all()
    assert why(got, ended=1, began=2) == why(expected, ended=1, began=2)
    assert not parts_of(sink.path).exists()


def test_a_run_without_frames_has_an_empty_record(tmp_path):
    with record.RecordSink(tmp_path / record.FILE, load_tracker("sort", record=True).take_record):
        pass
    assert len(record.read_record(tmp_path / record.FILE)) == 0


def test_what_is_no_record_is_refused(tmp_path):
    with pytest.raises(DataError, match="track with --explain"):
        record.read_record(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        record.read_record(tmp_path / "text.parquet")
    pq.write_table(pa.table({"frame": [1]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="column 'stage' is missing"):
        record.read_record(tmp_path / "other.parquet")


def test_ids_of_the_dead_are_not_kept_for_ever():
    engine = load_tracker("sort", record=True)
    for t in range(300):
        x = 200.0 * (t // 3)  # somebody new every three frames
        engine.update(Detections(np.array([[x, 50, x + 40, 150]], np.float32), np.array([0.9], np.float32)))
        if t % 30 == 0:
            engine.take_record()
    engine.take_record()
    assert len(engine._record._ids) <= engine._count
