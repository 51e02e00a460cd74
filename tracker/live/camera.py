"""One camera of the service: its reader, its tracker, what happens in view, and what it shows of itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tracker.analytics.zones import Line, Zone
from tracker.association.engine import Engine
from tracker.compile_clock import COMPILING, clock
from tracker.live.activity import Activity
from tracker.live.camera_tracker import CameraTracker
from tracker.live.clock import CameraClock, Clock
from tracker.live.events import EventLog
from tracker.live.frames import TrackedFrame
from tracker.live.meters import Traffic
from tracker.live.perception import CameraRequest, camera_request
from tracker.live.reader import open_camera
from tracker.live.settings import CameraSettings
from tracker.live.status import CameraStatus, Sighting, Snapshot
from tracker.live.visits import Visits
from tracker.sources.live import CapturedFrame, LiveSource
from tracker.types import Detections, Frame, Tracks

GETTING_READY = "Getting ready"


class OpensCamera(Protocol):
    """Makes a camera's reader, not started; `open_camera` does."""

    def __call__(self, settings: CameraSettings, origin: float, notify: Callable[[], None]) -> LiveSource: ...


class Camera:
    """Tracks one camera's pictures; a `tracker.live.status.CameraView`.

    The scheduler's thread gives it pictures with detections; anybody may ask how it is.

    Args:
        settings: of the camera.
        engine: its tracker, its own.
        class_names: names of the detector's class ids.
        events: where what happens is told.
        origin: what this moment counts as on the camera's clock: unix seconds. It runs evenly, whatever becomes of
            the machine's; what is told and written has the machine's time.
        notify: called when there is a new picture to take.
        writers: take every tracked picture, at once.
        recording: what recording does, in words; None where it is off.
        allow: takes the next id and how many may be given; the id that may be given next.
        clock: that cameras are served by.
        open_source: makes its reader.
    """

    def __init__(
        self,
        settings: CameraSettings,
        engine: Engine,
        class_names: Mapping[int, str],
        events: EventLog,
        *,
        origin: float,
        notify: Callable[[], None],
        writers: Sequence[Callable[[TrackedFrame], None]] = (),
        recording: Callable[[], str | None] = lambda: None,
        allow: Callable[[int, int], int] = lambda wanted, count: wanted,
        clock: Clock | None = None,
        open_source: OpensCamera = open_camera,
    ) -> None:
        self.settings, self.name = settings, settings.name
        self._names, self._events = dict(class_names), events
        self._notify, self._writers, self._recording = notify, writers, recording
        self._clock = clock or Clock()
        self._time = CameraClock(self._clock, origin)
        self.source = open_source(settings, origin, self._noticed)
        self.tracker = CameraTracker(self.name, engine, allow)
        again = engine.recipe.reidentification
        visits = Visits(engine.recipe.death.lost_seconds, 0.0 if again is None else again.seconds)
        watched = settings.zones, settings.lines
        self.activity = Activity(self.name, visits, watched, self._names, events, self._time)
        self.request: CameraRequest = camera_request(settings, engine, self._names)
        self.traffic = Traffic(settings.target_fps, self._clock)
        self._snapshot: Snapshot | None = None
        self._shown = threading.Condition()
        self._told_lost = False

    # What the scheduler does with it.

    @property
    def waiting(self) -> bool:
        """Whether there is a picture to track."""
        return self.source.waiting

    def expects(self, within: float) -> bool:
        """Whether a picture is to be expected within these seconds."""
        return self.source.connection.state == "live" and self.traffic.expects(within)

    def take(self) -> CapturedFrame | None:
        """The newest picture, to be tracked."""
        captured = self.source.take()
        self.traffic.came(None if captured is None else captured.arrival)
        return captured

    def track(self, captured: CapturedFrame, detections: Detections) -> None:
        """Track one picture, tell what happened, and show it."""
        with self.tracker.lock:
            frame = Frame(captured.image, self.traffic.served, captured.timestamp, self.name)
            tracks, pause = self.tracker.track(captured, detections)
            self.activity.visits.skip(pause)
            self.activity.follow(frame, tracks)
        if self._time.behind:
            frame = Frame(frame.image, frame.index, frame.timestamp + self._time.behind, frame.source)
        for writer in self._writers:
            writer(TrackedFrame(self.name, frame, detections, tracks))
        self.traffic.serve(captured.arrival)
        self._show(captured, tracks)

    def tick(self) -> None:
        """Called a few times a second: what happens without pictures."""
        self.traffic.arrive(self.source.arrived)
        self._time.compare()
        if self.source.connection.state != "live":
            with self.tracker.lock:
                self.activity.leave(self._time.now(), "the camera is lost")

    def _show(self, captured: CapturedFrame, tracks: Tracks) -> None:
        with self._shown:
            self._snapshot = Snapshot(
                number=self._snapshot.number + 1 if self._snapshot else 1,
                frame=captured.image,
                tracks=tracks,
                class_names=self._names,
                timestamp=captured.timestamp,
                arrived=time.time() - (self._clock.now() - captured.arrival),
            )
            self._shown.notify_all()

    def _noticed(self) -> None:
        """The reader has a new picture or another state."""
        connection = self.source.connection
        if connection.state == "live" and self._told_lost:
            self._told_lost = False
            self._events.add("camera_back", self.name)
        elif connection.state in ("starting", "reconnecting") and connection.reason and not self._told_lost:
            self._told_lost = True
            self._events.add("camera_lost", self.name, data={"reason": connection.reason})
        self._notify()

    # What anybody may ask.

    def status(self) -> CameraStatus:
        """How it is, now."""
        connection, snapshot, traffic = self.source.connection, self._snapshot, self.traffic
        median, high = traffic.latency.percentiles()
        live = connection.state == "live"
        with self.tracker.lock:
            zones, crossings = self.activity.occupants(), self.activity.crossed()
            counts = dict(self.activity.visits.counts)
        return CameraStatus(
            name=self.name,
            state=connection.state,
            since=connection.since,
            reason=connection.reason if self.source.started else COMPILING if clock.running else GETTING_READY,
            size=None if snapshot is None else (snapshot.frame.shape[1], snapshot.frame.shape[0]),
            fps_in=traffic.rate_in.per_second(),
            fps_out=traffic.rate_out.per_second(),
            dropped=self.source.dropped,
            lost=self.source.lost,
            latency_p50=median,
            latency_p95=high,
            latencies=traffic.latency.histogram(),
            reconnects=connection.reconnects,
            resized=self.tracker.resized,
            tracks=int((snapshot.tracks.detection >= 0).sum()) if live and snapshot is not None else 0,
            counts=counts,
            recording=self._recording(),
            lines=crossings,
            zones=zones,
        )

    def latest(self) -> Snapshot | None:
        """The newest tracked picture."""
        return self._snapshot

    def wait(self, number: int, timeout: float) -> Snapshot | None:
        """The newest one after `number`, waiting for it."""
        with self._shown:
            self._shown.wait_for(lambda: self._snapshot is not None and self._snapshot.number > number, timeout)
            snapshot = self._snapshot
        return snapshot if snapshot is not None and snapshot.number > number else None

    def identities(self, limit: int) -> list[Sighting]:
        """The last seen identities, newest first."""
        return self.activity.sightings(limit)

    def set_geometry(self, zones: Sequence[Zone], lines: Sequence[Line]) -> None:
        """Watch these from now on; who is in a new zone already enters it, who is in an old one stays in it."""
        with self.tracker.lock:
            self.settings = self.settings.model_copy(update={"zones": tuple(zones), "lines": tuple(lines)})
            self.activity.watch(zones, lines)
