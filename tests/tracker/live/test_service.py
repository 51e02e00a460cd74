"""The service with a detector that costs nothing: fairness, events, checkpoints, recordings, tables."""

import json
import logging
import os
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import av
import cv2
import numpy as np
import paho.mqtt.client as mqtt
import pyarrow.parquet as pq
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.tracker.live.servers import broker, collector, free_port, serve, until
from tracker import load_tracker
from tracker.errors import ConfigError, ReacquireError
from tracker.live.camera import GETTING_READY
from tracker.live.camera_tracker import CameraTracker
from tracker.live.cameras_file import save_geometry
from tracker.live.checkpoint import restore_checkpoint, save_checkpoint
from tracker.live.events import as_json
from tracker.live.frames import TrackedFrame
from tracker.live.recording import Recorder, pixelated
from tracker.live.service import LiveService
from tracker.live.settings import CheckpointSettings, LiveSettings, RecordSettings, TracksSettings, load_live_settings
from tracker.live.store import TrackStore
from tracker.live.visits import Visits
from tracker.sinks.parquet import ParquetSink
from tracker.types import Detections, Frame, Tracks

pytestmark = pytest.mark.timeout(600)  # the first engine may be compiled
RECIPE = {"stages": [{"tracks": ["confirmed", "lost", "tentative"], "cost": "iou", "gate": 0.9}]}
SEEING_RECIPE = {"stages": [RECIPE["stages"][0] | {"when": "boxes"}, RECIPE["stages"][0] | {"cost": "fused"}]}


@pytest.fixture
def film(tmp_path):
    """Four seconds, 25 a second, slowly brighter and darker again."""
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for i in range(100):
            grey = np.full((240, 320, 3), 55 + 3 * min(i, 100 - i), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="bgr24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def make(tmp_path, film, stub_detector):
    """Makes a service whose cameras play the film."""

    def make(*cameras, seconds=0.0, path=None, **settings):
        cameras = [{"name": f"c{i}", "source": str(film), "tracker": RECIPE} | c for i, c in enumerate(cameras)]
        whole = {"cameras": cameras, "folder": tmp_path / "out", "device": "cpu"} | settings
        return LiveService(LiveSettings.model_validate(whole), path, detector=stub_detector(seconds))

    return make


def kinds(service, camera=None):
    return [event.kind for event in service.recent_events(10_000, camera)]


def test_before_all_is_compiled_cameras_are_starting(make):
    service = make({})
    status = service.cameras["c0"].status()
    assert (status.state, status.reason) == ("starting", GETTING_READY)
    with service:
        until(lambda: service.cameras["c0"].latest(), 5, "a picture")
        assert service.cameras["c0"].status().reason is None


def test_dead_cameras_at_the_start_do_not_matter(make, tmp_path, caplog):
    dead = {"name": "dead", "source": "rtsp://u:s3cret@127.0.0.1:9/x", "open_seconds": 1, "first_pause": 0.2}
    with caplog.at_level(logging.DEBUG), make({}, dead) as service:
        until(lambda: service.cameras["c0"].latest(), 5, "the other one is live")
        until(lambda: "camera_lost" in kinds(service, "dead"), 5, "it is told")
        status = service.cameras["dead"].status()
        assert status.state == "starting"
        assert status.reason
        assert service.cameras["c0"].status().state == "live"
        assert service.cameras["c0"].status().tracks == 1
    assert "s3cret" not in caplog.text + repr(service.recent_events(100)) + repr(service.settings) + repr(status)


def test_shots_are_waited_for_and_have_what_a_page_needs(make):
    with make({"target_fps": 10}) as service:
        camera = service.cameras["c0"]
        first = camera.wait(0, 5)
        second = camera.wait(first.number, 5)
        assert second.number > first.number
        assert abs(second.arrived - time.time()) < 1
        assert abs(second.timestamp - second.arrived) < 2.5
        assert second.class_names == {0: "person", 1: "car"}
        assert camera.wait(second.number + 1000, 0.05) is None
        until(lambda: camera.identities(5), 5, "there is a sighting")
        sighting = camera.identities(5)[0]
        crop = cv2.imdecode(np.frombuffer(sighting.crop, np.uint8), cv2.IMREAD_COLOR)
        assert crop.shape[0] > 50
        assert sighting.class_name == "person"
        assert camera.identities(0) == []


def test_zones_and_lines_are_told_and_changed_at_once(make, film, tmp_path):
    path = tmp_path / "cameras.yaml"
    path.write_text(f"cameras:\n  - name: c0   # the only one\n    source: {film}\n")
    line = {"name": "middle", "points": [[0.45, 1.0], [0.45, 0.0]]}
    zone = {"name": "right", "polygon": [[0.45, 0], [1, 0], [1, 1], [0.45, 1]], "dwell": 0.4, "classes": ["person"]}
    with make({"target_fps": 25}, path=path) as service:
        until(lambda: service.cameras["c0"].latest(), 5, "live")
        for bad in ({"name": "x", "polygon": [[0, 0], [1, 1]]}, {"name": "x", "polygon": [[0, 0], [2, 0], [1, 1]]}):
            with pytest.raises(ConfigError):
                service.set_geometry("c0", [bad], [])
        with pytest.raises(ConfigError, match="person"):
            service.set_geometry("c0", [zone | {"classes": ["persn"]}], [])
        with pytest.raises(ConfigError, match="twice"):
            service.set_geometry("c0", [zone, zone], [])
        with pytest.raises(KeyError):
            service.set_geometry("c9", [], [])
        assert path.read_text().count("\n") == 3
        service.set_geometry("c0", [zone], [line])
        wanted = {"entered", "line_crossed", "zone_entered", "zone_dwell", "zone_left"}
        until(lambda: wanted <= set(kinds(service)), 10, "all kinds of events")
        status = service.cameras["c0"].status()
        crossed = [e for e in service.recent_events(1000) if e.kind == "line_crossed"]
        service.set_geometry("c0", [zone], [])
        assert service.cameras["c0"].status().lines == {}  # a line that is gone is shown no more
        service.set_geometry("c0", [zone], [line])
    assert {e.data["direction"] for e in crossed[:2]} == {"a_to_b", "b_to_a"}
    assert sum(n.get("person", 0) for n in status.lines["middle"].values()) >= 1
    assert status.counts == {"person": 1}
    assert status.zones["right"] in ({}, {"person": 1})
    assert "# the only one" in path.read_text()
    assert load_live_settings(path).cameras[0].zones[0].dwell == 0.4
    assert save_geometry(path, "c0", [], []).name.endswith(".bak")


def test_who_is_only_expected_somewhere_was_not_there(make):
    service = make({"lines": [{"name": "middle", "points": [[0.5, 1.0], [0.5, 0.0]]}]})
    camera, image = service.cameras["c0"], np.zeros((240, 320, 3), np.uint8)
    for now, x, seen in ((0.0, 100, True), (0.2, 120, True), (0.4, 220, False), (0.6, 240, False), (0.8, 130, True)):
        box = [[x - 20, 50, x + 20, 200]]
        image[:] = 255 * (not seen)  # what stands where he is expected
        tracks = Tracks([1], box, [0.9], [0], [0 if seen else -1], [1 if seen else 2])
        camera.activity.follow(Frame(image, 0, now), tracks)
        assert camera.activity.visits.here[1].last == (now if seen else 0.2)
    assert kinds(service) == ["entered"]
    assert camera.status().lines == {"middle": {"a_to_b": {}, "b_to_a": {}}}
    crop = cv2.imdecode(np.frombuffer(camera.identities(1)[0].crop, np.uint8), cv2.IMREAD_COLOR)
    assert crop.max() < 20


def test_who_is_only_expected_is_not_in_view(make):
    with make({"target_fps": 10}) as service:
        camera = service.cameras["c0"]
        until(lambda: camera.status().tracks == 1, 5, "a track")
        with camera._shown:  # no new picture comes meanwhile
            camera.latest().tracks.detection[:] = -1
            assert camera.status().tracks == 0


def test_a_restart_keeps_the_ids(make):
    with make({"target_fps": 10}) as service:
        camera = service.cameras["c0"]
        until(lambda: camera.latest() and len(camera.latest().tracks), 5, "a track")
        time.sleep(0.5)
        before, events = camera.latest().tracks.id.tolist(), service.events.next_number
    assert before == [1]
    with make({"target_fps": 10, "loop": True}) as service:  # the person jumps back to where the film begins
        camera = service.cameras["c0"]
        until(lambda: camera.latest() and len(camera.latest().tracks), 5, "a track")
        assert service.events.next_number >= events
        after = camera.latest().tracks.id.tolist()
        counts = camera.status().counts
    assert after in ([1], [2])  # never a third, and never 1 for somebody else
    assert counts == {"person": after[0]}


def test_ids_are_never_given_twice_even_after_long(make):
    with make({}) as service:
        until(lambda: service.cameras["c0"].status().counts, 5, "a track")
    with make({}, checkpoint={"valid_seconds": 0}) as service:
        snapshot = until(lambda: (s := service.cameras["c0"].latest()) and len(s.tracks) and s, 5, "a track")
    assert snapshot.tracks.id.tolist() == [2]


def test_nor_after_a_crash_between_two_checkpoints(make, tmp_path):
    """What was given since the last one is not known: so many are passed over."""
    settings = {"checkpoint": {"every_seconds": 3600, "valid_seconds": 0}}
    with make({}, **settings) as service:
        until(lambda: service.cameras["c0"].status().counts, 5, "a track")
        service.checkpoints.save()
        crashed = (tmp_path / "out/checkpoint.npz").read_bytes()
    (tmp_path / "out/checkpoint.npz").write_bytes(crashed)
    with make({}, **settings) as service:
        snapshot = until(lambda: (s := service.cameras["c0"].latest()) and len(s.tracks) and s, 5, "a track")
        assert service.recent_events(1)[0].number > 1000
    assert snapshot.tracks.id.tolist() == [102]


def test_who_comes_back_enters_again_and_is_counted_once():
    visits, counts = Visits(1.0, memory=60), []
    for now, ids in ((0, [1]), (4, [1]), (10, [2]), (30, [1, 2]), (130, [1])):
        left = list(visits.sweep(now))
        boxes = np.tile(np.array([0, 0, 9, 9], np.float32), (len(ids), 1))
        tracks = Tracks(ids, boxes, np.ones(len(ids)), np.zeros(len(ids)), np.arange(len(ids)), np.ones(len(ids)))
        entered = visits.update(tracks, ["person"] * len(ids), float(now))
        counts.append((now, left, entered, visits.counts["person"]))
    assert counts == [
        (0, [], [1], 1),
        (4, [], [], 1),  # behind a post
        (10, [1], [2], 2),
        (30, [2], [1, 2], 2),
        (130, [1, 2], [1], 3),  # no longer known
    ]


def test_two_services_never_share_a_folder(make, tmp_path):
    with make({}), pytest.raises(ReacquireError, match="another `reacquire live` writes there"):
        make({}).start()
    with make({}):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(ReacquireError, match="cannot be written"):
        make({}, folder=tmp_path / "file/out").start()


def test_a_clock_that_is_set_changes_what_is_told_and_nothing_else(make, tmp_path, monkeypatch):
    """As on a machine without a clock of its own, which asks the network some time after its start."""
    early = time.time() - 1e8
    began = time.monotonic()
    shift = {"seconds": 0.0}
    monkeypatch.setattr("time.time", lambda: early + time.monotonic() - began + shift["seconds"])
    with make({"target_fps": 10, "record": {"min_free_gb": 0}}) as service:
        camera = service.cameras["c0"]
        until(lambda: camera.latest() and len(camera.latest().tracks), 5, "a track")
        time.sleep(1)
        shift["seconds"] = 1e8
        time.sleep(1.5)
        assert kinds(service) == ["entered"]
        shift["seconds"] -= 3600  # and back, when another server is asked
        time.sleep(1)
        service.set_geometry("c0", [{"name": "all", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}], [])
        until(lambda: "zone_entered" in kinds(service), 5, "told")
        told = service.recent_events(1)[0]
        seen = camera.identities(1)[0].last
        ids = camera.latest().tracks.id.tolist()
    now = early + time.monotonic() - began + shift["seconds"]
    assert abs(told.time - now) < 5
    assert abs(seen - now) < 5
    assert ids == [1]
    tables = [pq.read_table(path)["timestamp"].to_pylist() for path in (tmp_path / "out/tracks/c0").glob("*.parquet")]
    assert max(map(max, tables)) - min(map(min, tables)) > 9e7
    assert len(list((tmp_path / "out/recordings/c0").glob("*/*.mp4"))) == 3


def test_a_damaged_checkpoint_is_put_aside(make, tmp_path, caplog):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/checkpoint.npz").write_bytes(b"PK\x03\x04 nonsense")
    with make({}) as service:
        until(lambda: service.cameras["c0"].status().counts, 5, "a track")
    assert "cannot be taken up" in caplog.text
    assert (tmp_path / "out/checkpoint.damaged").exists()


def test_the_checkpoint_holds_no_looks_unless_asked(make, tmp_path):
    path = tmp_path / "out/checkpoint.npz"
    for keep in (False, True):
        with make({"tracker": SEEING_RECIPE}, checkpoint={"keep_appearance": keep}) as service:
            engine = service.cameras["c0"].tracker.engine
            service.cameras["c0"].source.stop()
            time.sleep(0.3)
            with service.cameras["c0"].tracker.lock:
                engine.reset()
                for t in range(10):
                    found = Detections([[10, 10, 50, 110], [90, 10, 130, 110]], [0.9, 0.9], embedding=np.eye(2, 8))
                    engine.update(found, timestamp=t / 10)
        with np.load(path) as saved:
            assert (saved["0/gallery"].size > 0) == keep
            assert saved["0/tracks"]["evidence"].any() == keep  # nobody is known by looks that are gone
        assert path.stat().st_mode & 0o077 == 0
        path.unlink()


@pytest.mark.parametrize(("dimension", "threshold", "keep", "taken_up"), [
    (8, 0.655, True, 1), (8, 0.655, False, 1), (16, 0.655, False, 1), (16, 0.4, True, 0),
])  # fmt: skip
def test_after_a_restart_the_embedder_may_be_another(tmp_path, dimension, threshold, keep, taken_up):
    def camera(threshold):
        engine = load_tracker("reacquire", overrides=[f"reidentification.threshold={threshold}"])
        activity = SimpleNamespace(visits=Visits(1.0), crossings={})
        return SimpleNamespace(name="c", tracker=CameraTracker("c", engine), activity=activity)

    def seen(dimension):
        return Detections([[10, 10, 50, 110]], [0.9], embedding=np.eye(1, dimension))

    path, events = tmp_path / "checkpoint.npz", SimpleNamespace(next_number=1, continue_at=lambda number: None)
    before, after = camera(0.655), camera(threshold)
    for frame in range(10):
        before.activity.visits.update(
            before.tracker.engine.update(seen(8), timestamp=frame / 10), ["person"], frame / 10
        )
    save_checkpoint(path, [before], events, keep_appearance=keep, final=True)
    said = restore_checkpoint(path, [after], events, CheckpointSettings(keep_appearance=keep))
    assert said.startswith(f"{taken_up} tracks")
    after.tracker.rejoin(seen(dimension), 2.0)
    shown = [after.tracker.engine.update(seen(dimension), timestamp=2 + frame / 10).id.tolist() for frame in range(5)]
    assert shown[-1] == ([1] if taken_up else [2])


def test_what_is_recorded_plays_and_is_limited(make, tmp_path):
    record = {"boxes": True, "segment_minutes": 1 / 60, "min_free_gb": 0}
    with make({"record": record, "target_fps": 12.5}) as service:
        folder = tmp_path / "out/recordings/c0"
        until(lambda: len(list(folder.glob("*/*.mp4"))) > 3, 30, "a few segments")
        assert service.cameras["c0"].status().recording == "on"
    segments = sorted(folder.glob("*/*.mp4"))
    times = []
    for path in segments:
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.name == "h264"
            times.append([frame.time for frame in container.decode(video=0)])
    assert sum(map(len, times)) >= 30
    assert np.isclose(np.median(np.diff(times[1])), 0.08, atol=0.045)
    table = pq.read_table(next((tmp_path / "out/tracks/c0").glob("*.parquet")))
    assert table.num_rows >= 30
    assert abs(table["timestamp"][0].as_py() - time.time()) < 60


def tracked(image, boxes, at):
    n = len(boxes)
    return TrackedFrame(
        "c",
        Frame(image, 0, at, "c"),
        Detections(np.array(boxes, np.float32).reshape(-1, 4), np.ones(n)),
        Tracks.empty(),
    )


def test_old_segments_make_room(tmp_path):
    recorder = Recorder(tmp_path, "c", RecordSettings(max_gb=1e-6, min_free_gb=0, segment_minutes=0.01), frozenset({0}))
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for i in range(12):
        recorder.handle(tracked(image, [], 1e9 + i))
    recorder.finish()
    assert 1 <= len(list((tmp_path / "recordings/c").glob("*/*.mp4"))) <= 2


def test_old_segments_go_though_the_camera_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr("tracker.live.recording.SWEEP_SECONDS", 0.1)
    folder = tmp_path / "recordings/c/2020-01-01"
    folder.mkdir(parents=True)
    for name, age in (("old", 8), ("new", 6)):
        path = folder / f"{name}.mp4"
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age * 86400,) * 2)
    recorder = Recorder(tmp_path, "c", RecordSettings(keep_days=7), frozenset({0}))
    recorder.start()
    until(lambda: [path.name for path in folder.iterdir()] == ["new.mp4"], 5, "the old one is deleted")
    recorder.stop()
    recorder.join(5)


def test_blurred_people_cannot_be_made_out(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (100, 100, 3), np.uint8)
    blurred = pixelated(image, np.array([[40.0, 30, 60, 80]], np.float32))
    inside = blurred[30:80, 40:60].reshape(-1, 3)
    assert len(np.unique(inside, axis=0)) <= 6 * 20
    assert (blurred[:20] == image[:20]).all()
    assert (image == np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)).all()


def test_a_person_whom_the_detector_misses_for_a_moment_stays_blurred(tmp_path):
    recorder = Recorder(tmp_path, "c", RecordSettings(blur=True, min_free_gb=0), frozenset({0}))
    image = np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)
    seen = recorder._blur(tracked(image, [[40, 30, 60, 80]], 10.0))
    missed = recorder._blur(tracked(image, [], 10.5))
    later = recorder._blur(tracked(image, [], 12.0))
    assert (seen == missed).all()
    assert (later == image).all()


def test_a_full_disk_stops_recording_and_not_tracking(make, monkeypatch):
    import shutil

    real = shutil.disk_usage
    free = {"bytes": 10**12}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=free["bytes"]))
    monkeypatch.setattr("tracker.live.recording.CHECK_SECONDS", 0.1)
    monkeypatch.setattr(Recorder, "RETRY_SECONDS", 0.5)
    with make({"record": {}}) as service:
        camera = service.cameras["c0"]
        until(lambda: camera.status().recording == "on" and camera.latest(), 5, "recording")
        free["bytes"] = 10**6
        until(lambda: "the disk is full" in camera.status().recording, 5, "it stops, and says why")
        assert "the disk is full" in service.status().troubles["record c0"]
        number = camera.latest().number
        assert camera.wait(number + 5, 5)
        free["bytes"] = 10**12
        until(lambda: camera.status().recording == "on", 5, "it goes on")


def test_a_write_that_fails_stops_recording_and_not_tracking(tmp_path, caplog):
    """The same with the operating system's own limit on a file's size, as a disk that is full to the byte."""
    import resource
    import signal

    recorder = Recorder(tmp_path, "c", RecordSettings(min_free_gb=0), frozenset({0}))
    recorder.start()
    noise = np.random.default_rng(0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        for i in range(60):
            recorder.put(tracked(noise.integers(0, 255, (240, 320, 3), np.uint8), [], 1e9 + i / 5))
            time.sleep(0.02)
        until(lambda: recorder.trouble, 5, "it is noticed")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    recorder.stop()
    recorder.join(5)


def test_parts_of_a_killed_process_are_joined_at_the_next_start(make, tmp_path, film):
    folder = tmp_path / "out/tracks/c0"
    folder.mkdir(parents=True)
    sink = ParquetSink(folder / "2026-01-01T00Z.parquet", {0: "person"})
    one = Tracks([1], [[0, 0, 1, 1]], [1], [0], [0], [1])
    sink.write(Frame(np.zeros((2, 2, 3), np.uint8), 0, 1.0), Detections.empty(), one)
    sink._flush()
    (folder / "2026-01-01T00Z.parquet.parts/000001.partial.parquet").write_bytes(b"PAR1 half")
    with make({}):
        pass
    assert pq.read_table(folder / "2026-01-01T00Z.parquet").num_rows == 1


def test_tables_are_of_an_hour_each_and_old_ones_go(tmp_path, monkeypatch):
    monkeypatch.setattr("tracker.live.store.SWEEP_SECONDS", 0.1)
    now = time.time()
    this_hour = now - now % 3600
    store = TrackStore(tmp_path, TracksSettings(keep_days=7), {0: "person"})
    for camera, days in (("c", 8), ("c", 6), ("gone", 8)):  # also of a camera that is no longer in the file
        path = tmp_path / f"tracks/{camera}/{days} days.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (now - days * 86400,) * 2)
    store.start()
    one = Tracks([1], [[0, 0, 1, 1]], [1], [0], [0], [1])
    for when in (this_hour - 3600, this_hour - 0.1, this_hour, this_hour + 0.1):
        store.put(TrackedFrame("c", Frame(np.zeros((2, 2, 3), np.uint8), 0, when), Detections.empty(), one))
    until(lambda: not (tmp_path / "tracks/gone/8 days.parquet").exists(), 5, "the old ones are deleted")
    store.stop()
    store.join(5)
    assert (tmp_path / "tracks/c/6 days.parquet").exists()
    assert not (tmp_path / "tracks/c/8 days.parquet").exists()
    hours = sorted((tmp_path / "tracks/c").glob("20*.parquet"))
    names = [datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%HZ") for at in (this_hour - 3600, this_hour)]
    assert [path.stem for path in hours] == names
    assert [pq.read_table(path)["timestamp"].to_pylist() for path in hours] == [
        [this_hour - 3600, this_hour - 0.1],
        [this_hour, this_hour + 0.1],
    ]


def test_what_happens_reaches_the_file_the_webhook_and_the_broker(make, tmp_path):
    """The same events, in the same order; a camera's name may have letters of any kind."""
    handler, port, heard = collector(), free_port(), []
    with serve(handler) as server, broker(port):
        outlets = {
            "webhook": {"url": f"http://127.0.0.1:{server.server_port}/"},
            "mqtt": {"host": "127.0.0.1", "port": port},
        }
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_message = lambda _, __, message: heard.append((message.topic, json.loads(message.payload)))
        client.connect("127.0.0.1", port)
        client.subscribe("reacquire/+/+", qos=1)
        client.loop_start()
        line = {"name": "middle", "points": [[0.45, 1.0], [0.45, 0.0]]}
        with make({"name": "Küche 東京", "target_fps": 25, "lines": [line]}, **outlets) as service:
            until(lambda: kinds(service).count("line_crossed") >= 2, 20, "crossings")
            until(lambda: not service.status().troubles, 5, "all is well")
            time.sleep(1)
        until(lambda: len(heard) == service.events.next_number - 1, 10, "all are heard")
        client.loop_stop()
    told = [as_json(event) for event in service.recent_events(1000)]
    assert {event["kind"] for event in told} >= {"entered", "line_crossed"}
    assert [json.loads(line) for line in (tmp_path / "out/events.jsonl").read_text().splitlines()] == told
    assert [event for body in handler.bodies for event in body["events"]] == told
    assert [event for _, event in heard] == told
    assert heard[0][0] == "reacquire/Küche 東京/entered"


def test_networks_that_always_fail_end_the_service(make, monkeypatch):
    service = make({"target_fps": 25})

    def broken(frames):
        raise RuntimeError("CUDA error at rtsp://u:s3cret@h")

    with service:
        service._perception.detector.detect = broken
        assert service.wait(10)
    assert "CUDA error" in service.failure
    assert "s3cret" not in service.failure


def test_unknown_classes_are_refused_before_anything_starts(make):
    with pytest.raises(ConfigError, match="persn"):
        make({"classes": ["persn"]})


def test_a_camera_is_added_while_it_runs(make, film, tmp_path, monkeypatch):
    path = tmp_path / "cameras.yaml"
    path.write_text(f"cameras:\n  - name: c0\n    source: {film}\n")
    with make({}, path=path) as service, pytest.raises(ConfigError, match="compares embeddings"):
        service.add_camera("new", str(film))
    path.write_text(f"defaults: {{target_fps: 20, tracker: bytetrack}}\ncameras:\n  - name: c0\n    source: {film}\n")
    before = path.read_text()
    monkeypatch.setenv("SECRET", "hunter2")
    with make({"target_fps": 20}, path=path) as service:
        service.add_camera("new", str(film))
        added = service.cameras["new"]
        assert added.settings.target_fps == 20
        until(lambda: added.status().fps_out > 5, 20, "tracked beside the other one")
        assert service.cameras["c0"].status().fps_out > 5
        service.set_geometry("new", [], [{"name": "middle", "points": [[0.45, 1.0], [0.45, 0.0]]}])
        assert [line.name for line in added.settings.lines] == ["middle"]
        for name, source in (("C0", str(film)), ("a/b", str(film)), ("x", "gopher://y/"), ("x", "/no/such/file")):
            with pytest.raises(ConfigError):
                service.add_camera(name, source)
        service.add_camera("asks", "rtsp://127.0.0.1:9/${SECRET}")  # what the environment holds is not for others
        assert "hunter2" not in service.cameras["asks"].settings.source.get_secret_value()
    assert path.read_text() == before
