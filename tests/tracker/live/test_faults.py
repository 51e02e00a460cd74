"""Disks that fail while cameras are recorded, stored and saved: told once, whole files only, and it goes on."""

import logging
import os
import time
from types import SimpleNamespace

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.tracker.live.servers import until
from tracker import load_tracker
from tracker.errors import ReacquireError
from tracker.live.camera_tracker import CameraTracker
from tracker.live.checkpoint import restore_checkpoint, save_checkpoint
from tracker.live.events import EventLog
from tracker.live.frames import TrackedFrame
from tracker.live.recording import Recorder
from tracker.live.settings import CheckpointSettings, RecordSettings, TracksSettings
from tracker.live.store import TrackStore
from tracker.live.visits import Visits
from tracker.types import Detections, Frame, Tracks

pytestmark = pytest.mark.timeout(180)
NOISE = np.random.default_rng(0).integers(0, 255, (3, 96, 128, 3), np.uint8)
NOW = 1.7e9


def tracked(i, camera="c"):
    one = Tracks([1], [[0, 0, 9, 9]], [1], [0], [0], [1])
    return TrackedFrame(camera, Frame(NOISE[i % 3], i, NOW + i / 5, camera), Detections.empty(), one)


def pictures(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.fixture
def at_once(monkeypatch):
    """What failed is tried again at once."""
    monkeypatch.setattr("tracker.live.background_writer.BackgroundWriter.RETRY_SECONDS", 0.0)


def test_a_recorder_whose_disk_is_full_at_any_byte(tmp_path, files_no_larger_than, at_once, caplog):
    rng = np.random.default_rng(4)
    kept = set()
    for trial, limit in enumerate([0, 1, 800, *rng.integers(1000, 150_000, 6).tolist()]):
        recorder = Recorder(tmp_path / str(trial), "c", RecordSettings(min_free_gb=0), frozenset({0}))
        caplog.clear()
        with files_no_larger_than(int(limit)):
            handled = [recorder._handled(tracked(i)) for i in range(40)]
            assert not all(handled)
            if limit < 1000:
                assert "File too large" in recorder.status()
                assert len([r for r in caplog.records if "tried again" in r.message]) == 1
        assert all([recorder._handled(tracked(40 + i)) for i in range(80)])  # noqa: C419  # all are handled
        assert recorder.status() == "on"
        recorder.finish()
        found = list((tmp_path / str(trial)).rglob("*.mp4"))
        counts = [pictures(path) for path in found]
        assert min(counts) > 0
        kept.add(max(counts))
    assert len(kept) > 1  # fragments that were whole before it failed


@pytest.mark.parametrize("call", ["fsync", "open", "annotate"])
def test_whatever_fails_a_recorder_goes_on_when_it_works_again(call, tmp_path, at_once, monkeypatch):
    recorder = Recorder(tmp_path, "c", RecordSettings(min_free_gb=0, boxes=True), frozenset({0}))

    def fails(*_, **__):
        raise {"annotate": KeyError("of a library")}.get(call, OSError(5, "Input/output error"))

    where = {
        "fsync": "os.fsync",
        "open": "tracker.sinks.mp4.FileIO",
        "annotate": "tracker.sinks.annotate.Annotator.draw",
    }
    recorder.start()
    with monkeypatch.context() as patch:
        patch.setattr(where[call], fails)
        for i in range(10):
            recorder.put(tracked(i))
        if call == "fsync":
            recorder.put(tracked(200))  # the next segment: the one before is closed
        until(lambda: recorder.trouble, 20, "it is told")
    for i in range(100):
        recorder.put(tracked(201 + i))
        time.sleep(0.005)
    until(lambda: recorder.trouble is None, 20, "it goes on")
    recorder.stop()
    recorder.join(10)
    assert all(pictures(path) for path in tmp_path.rglob("*.mp4"))


def test_a_table_whose_disk_is_full_is_joined_later(tmp_path, files_no_larger_than, at_once, monkeypatch):
    monkeypatch.setattr("tracker.sinks.parquet.PART_ROWS", 5)
    store = TrackStore(tmp_path, TracksSettings(), {0: "person"})
    failed = 0
    for i, limit in enumerate((None, 0, None, 100, None, 1500, None, 4000, None)):
        for j in range(12):
            if limit is None:
                failed += not store._handled(tracked(20 * i + j))
            else:
                with files_no_larger_than(limit):
                    failed += not store._handled(tracked(20 * i + j))
    assert failed
    store.finish()
    store._join_left_parts()
    found = [pq.read_table(path) for path in tmp_path.rglob("*.parquet")]
    assert sum(table.num_rows for table in found) >= 5 * 10
    assert not list(tmp_path.rglob("*.parts"))
    assert not list(tmp_path.rglob("*.partial*"))


def test_parts_that_were_joined_and_half_deleted_replace_nothing(tmp_path):
    """A process was killed between the two."""
    store = TrackStore(tmp_path, TracksSettings(), {0: "person"})
    for i in range(10):
        store.handle(tracked(i))
    path = store._open["c"][1].path
    store.finish()
    (tmp_path / "tracks/c" / f"{path.name}.parts").mkdir()
    store._join_left_parts()
    assert pq.read_table(path).num_rows == 10
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_one_table_that_cannot_be_finished_keeps_no_other(tmp_path, monkeypatch):
    store = TrackStore(tmp_path, TracksSettings(), {0: "person"})
    for camera in ("a", "b", "c"):
        store.handle(tracked(0, camera))
    store._open["b"][1].close = lambda: (_ for _ in ()).throw(ReacquireError("b: the disk fell off"))
    with pytest.raises(ReacquireError, match="fell off"):
        store.finish()
    assert sorted(p.parent.name for p in tmp_path.glob("tracks/*/*.parquet") if p.is_file()) == ["a", "c"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path, files_no_larger_than, monkeypatch):
    activity = SimpleNamespace(visits=Visits(1.0), crossings={})
    camera = SimpleNamespace(name="c", tracker=CameraTracker("c", load_tracker("bytetrack")), activity=activity)
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, [camera], EventLog(77), keep_appearance=False, final=True)
    before = path.read_bytes()
    rng = np.random.default_rng(6)
    for limit in (0, 1, len(before) - 1, *rng.integers(1, len(before), 20).tolist()):
        with files_no_larger_than(int(limit)), pytest.raises(ReacquireError, match="File too large"):
            save_checkpoint(path, [camera], EventLog(99), keep_appearance=False)
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.npz"]
    for call in ("os.fsync", "pathlib.Path.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(call, lambda *_: (_ for _ in ()).throw(OSError(122, os.strerror(122))))
            with pytest.raises(ReacquireError, match="the disk is full"):
                save_checkpoint(path, [camera], EventLog(99), keep_appearance=False)
        assert path.read_bytes() == before
    events = EventLog()
    restore_checkpoint(path, [camera], events, CheckpointSettings())
    assert events.next_number == 77


def test_a_trouble_is_told_once_until_it_is_over(tmp_path, at_once, caplog):
    (tmp_path / "recordings").write_text("no folder")
    recorder = Recorder(tmp_path, "c", RecordSettings(min_free_gb=0), frozenset({0}))
    recorder.start()
    with caplog.at_level(logging.INFO, "reacquire.live"):
        for i in range(20):
            recorder.put(tracked(i))
        until(lambda: recorder.dropped == 20, 20, "all failed")
        time.sleep(0.6)  # nothing to do: that proves nothing
        assert recorder.trouble
        (tmp_path / "recordings").unlink()
        for i in range(100):
            recorder.put(tracked(20 + i))
            time.sleep(0.005)
        until(lambda: recorder.trouble is None, 20, "it goes on")
    recorder.stop()
    recorder.join(10)
    said = [r.message for r in caplog.records if r.message.startswith("record c")]
    assert len(said) == 2
    assert "tried again" in said[0]
    assert "goes on" in said[1]
