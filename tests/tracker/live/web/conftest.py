"""A scripted service: cameras with people of paint who walk to and fro, and cross what is drawn in their way."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from tracker.errors import ConfigError
from tracker.live.status import LATENCY_BOUNDS, CameraStatus, Event, Latencies, ServiceStatus, Sighting, Snapshot
from tracker.live.web import serve
from tracker.live.web.app import create_app
from tracker.live.web.settings import WebSettings
from tracker.types import Tracks

SECRET = "rtsp://admin:hunter2@10.0.0.5/stream"
TOKEN = "a-token-of-more-than-twenty"
SIZE = (640, 360)


def shape(**values):
    return SimpleNamespace(**({"classes": None, "dwell": None} | values))


@dataclass
class FakeCamera:
    """Shots on demand (`tick`) or in time; frame n shows people at places that n decides."""

    name: str
    status_now: CameraStatus
    walkers: int = 3
    settings: Any = field(default_factory=lambda: SimpleNamespace(source=SECRET, zones=[], lines=[]))
    snapshot: Snapshot | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)
    waits: int = 0
    broken: Exception | None = None

    def __post_init__(self):
        self.settings.name = self.name

    def places(self, number):
        """Left to right and back, each at a pace of their own: (n, 4) boxes."""
        width, height = SIZE
        k = np.arange(self.walkers)
        phase = (number * (0.012 + 0.004 * k) + 0.3 * k) % 2
        x = np.where(phase < 1, phase, 2 - phase) * (width - 60) + 5
        y = 60 + k * (height - 180) / max(1, self.walkers - 1)
        return np.stack([x, y, x + 44, y + 110], 1).astype(np.float32)

    def tick(self):
        number = 1 if self.snapshot is None else self.snapshot.number + 1
        boxes = self.places(number)
        frame = np.full((SIZE[1], SIZE[0], 3), (92, 104, 98), np.uint8)
        frame[::40] = frame[:, ::40] = (84, 96, 90)
        for (x1, y1, x2, y2), shade in zip(boxes.astype(int), (70, 130, 200, 40, 160), strict=False):
            cv2.circle(frame, ((x1 + x2) // 2, y1 + 18), 14, (150, 180, 220), -1, cv2.LINE_AA)
            cv2.rectangle(frame, (x1 + 6, y1 + 34), (x2 - 6, y2), (shade, 90, 255 - shade), -1)
        n = len(boxes)
        tracks = Tracks(np.arange(1, n + 1), boxes, np.full(n, 0.9), np.zeros(n), np.arange(n), np.ones(n))
        snapshot = Snapshot(
            number=number,
            frame=frame,
            tracks=tracks,
            class_names={0: "person"},
            timestamp=number / 10,
            arrived=time.time(),
        )
        with self.changed:
            self.snapshot = snapshot
            self.changed.notify_all()
        return snapshot

    def status(self):
        if self.broken is not None:
            raise self.broken
        return self.status_now

    def latest(self):
        return self.snapshot

    def wait(self, number, timeout):
        with self.changed:
            self.waits += 1
            self.changed.wait_for(lambda: self.snapshot is not None and self.snapshot.number > number, timeout)
            return self.snapshot if self.snapshot is not None and self.snapshot.number > number else None

    def identities(self, limit):
        if self.snapshot is None:
            return []
        found = []
        for number, (x1, y1, x2, y2) in zip(
            self.snapshot.tracks.id.tolist(), self.snapshot.tracks.xyxy.astype(int), strict=True
        ):
            jpeg = cv2.imencode(".jpg", self.snapshot.frame[y1:y2, x1:x2])[1].tobytes()
            found.append(Sighting(id=number, class_name="person", first=time.time() - 60, last=time.time(), crop=jpeg))
        return found[:limit]


class FakeLive:
    """The service: as much of it as the page may know."""

    def __init__(self, *cameras):
        self.cameras: Mapping[str, FakeCamera] = {camera.name: camera for camera in cameras}
        self.service = ServiceStatus(
            started=time.time(), overloaded=False, detector_fps=20.0, batch=1.5, gpu_memory=123_456, version="0.0.test"
        )
        self.events: deque[Event] = deque(maxlen=500)
        self.happened = threading.Condition()
        self.saved: list[tuple] = []
        self.refuse: Exception | None = None
        self.path: Path | None = Path("/etc/cameras.yaml")
        self._stop = threading.Event()

    def status(self):
        return self.service

    def recent_events(self, limit, camera=None, after=0):
        found = [event for event in list(self.events) if event.number > after and camera in (None, event.camera)]
        return found[-limit:]

    def wait_events(self, after, timeout):
        with self.happened:
            self.happened.wait_for(lambda: self.events and self.events[-1].number > after, timeout)
            return [event for event in self.events if event.number > after]

    def set_geometry(self, camera, zones, lines):
        if self.refuse is not None:
            raise self.refuse
        self.saved.append((camera, zones, lines))
        settings = self.cameras[camera].settings
        settings.zones = [shape(**zone) for zone in zones]
        settings.lines = [shape(**line) for line in lines]

    def saved_in(self, camera):
        return self.path

    def happen(self, kind, camera, track=None, **data):
        with self.happened:
            number = self.events[-1].number + 1 if self.events else 1
            class_name = None if track is None else "person"
            self.events.append(
                Event(
                    number=number,
                    kind=kind,
                    camera=camera,
                    track=track,
                    class_name=class_name,
                    time=time.time(),
                    data=data,
                )
            )
            self.happened.notify_all()

    def run(self, rate=10.0):
        """Let time pass, until `stop`."""
        threading.Thread(target=self._run, args=(rate,), daemon=True).start()

    def stop(self):
        self._stop.set()

    def _run(self, rate):
        while not self._stop.wait(1 / rate):
            for camera in self.cameras.values():
                if camera.status_now.state == "live":
                    before = camera.snapshot
                    after = camera.tick()
                    if before is not None:
                        self._judge(camera, before, after)

    def _judge(self, camera, before, after):
        feet = [(s.tracks.xyxy[:, [0, 3]] + s.tracks.xyxy[:, [2, 3]]) / 2 / SIZE for s in (before, after)]
        for line in camera.settings.lines:
            a, b = np.asarray(line.points[0]), np.asarray(line.points[-1])
            for number, p, q in zip(after.tracks.id.tolist(), *feet, strict=True):
                side = [float((b - a)[0] * (point - a)[1] - (b - a)[1] * (point - a)[0]) for point in (p, q)]
                along = [float(np.dot(point - a, b - a) / np.dot(b - a, b - a)) for point in (p, q)]
                if side[0] * side[1] < 0 and 0 <= min(along) and max(along) <= 1:
                    way = "a_to_b" if side[1] > 0 else "b_to_a"
                    self.happen("line_crossed", camera.name, number, line=line.name, direction=way)


class TakingLive(FakeLive):
    """One that takes cameras."""

    def add_camera(self, name, source):
        if name in self.cameras:
            raise ConfigError(f"cameras.{name}: the name is taken ({source})")
        self.cameras = {**self.cameras, name: make_camera(name)}


def make_camera(name, state="live", **values):
    counts = (0,) * (len(LATENCY_BOUNDS) - 1) + (3, 1)
    status = CameraStatus(
        name=name,
        state=state,
        since=time.time() - 75,
        size=SIZE,
        fps_in=10.0,
        fps_out=9.8,
        dropped=12,
        latency_p50=0.08,
        latency_p95=0.15,
        latencies=Latencies(counts, 16.5),
        reconnects=1,
        tracks=3,
        counts={"person": 17},
        lines={"kerb": {"a_to_b": {"person": 4}}},
        zones={"garden": {"person": 2}},
    )
    if state != "live":
        status = replace(status, fps_in=0.0, fps_out=0.0, tracks=0, latency_p50=None, latency_p95=None)
    return FakeCamera(name, replace(status, **values))


@pytest.fixture
def make_live():
    """A factory of scripted services: names and states of cameras; `taking`: one that takes cameras."""

    def make(taking=False, **states):
        return (TakingLive if taking else FakeLive)(*(make_camera(name, state) for name, state in states.items()))

    return make


@pytest.fixture
def live():
    """Two cameras, one of them lost, with a picture each."""
    view = FakeLive(
        make_camera("door"),
        make_camera("yard", "reconnecting", reason=f"{SECRET}: connection refused"),
    )
    view.cameras["door"].tick()
    yield view
    view.stop()


@pytest.fixture
def client():
    """A factory of clients in this process; no server, no threads."""

    def make(view, base_url="http://127.0.0.1:8080", address="127.0.0.1", headers=None, **settings):
        app = create_app(view, WebSettings(**settings))
        return TestClient(app, base_url, client=(address, 5000), headers=headers, follow_redirects=False)

    return make


@pytest.fixture
def running():
    """A factory of real servers on a free port of loopback, stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(view, **settings):
            server = serve(view, WebSettings(port=0, **settings))
            server.start()
            stack.callback(server.stop)
            return server

        yield start
