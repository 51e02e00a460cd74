"""One camera of the service: its reader, its tracker, who is in view, and what it shows of itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tracker.analytics.geometry import DIRECTIONS, Geometry, Happening
from tracker.analytics.zones import Line, Zone
from tracker.association.engine import Engine
from tracker.compile_clock import COMPILING, clock
from tracker.errors import ReacquireError
from tracker.live.events import EventLog
from tracker.live.meters import Latency, Rate
from tracker.live.perception import Wish
from tracker.live.presence import Presence
from tracker.live.settings import CameraSettings
from tracker.live.status import CameraStatus, EventKind, Shot, Sighting
from tracker.sources.live import LiveSource, Taken
from tracker.sources.places import local_path
from tracker.types import Detections, Frame, Tracks

log = logging.getLogger("reacquire.live")
GETTING_READY = "Getting ready"
CLOCK_SET = 1.0
"""Seconds by which the machine's clock must have been set before anybody cares."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """One tracked picture, for those who record or store it."""

    camera: str
    frame: Frame
    detections: Detections
    tracks: Tracks


def open_camera(settings: CameraSettings, origin: float, notify: Callable[[], None]) -> LiveSource:
    """The reader of a camera, not started; `origin` is what this moment counts as, seconds."""
    from tracker.sources.stream import NetworkStream, PlayedFile, Webcam

    source = settings.source.get_secret_value()
    options: dict[str, Any] = {
        "name": settings.name,
        "report": log.info,
        "first_pause": settings.first_pause,
        "longest_pause": settings.longest_pause,
        "most_rate": settings.target_fps,
        "frozen_seconds": settings.frozen_seconds,
        "origin": origin,
        "notify": notify,
    }
    path = local_path(source)
    if path is None:
        timeouts: dict[str, Any] = {"open_seconds": settings.open_seconds, "read_seconds": settings.read_seconds}
        most = settings.max_pixels
        return NetworkStream(source, transport=settings.transport, max_pixels=most, **timeouts, **options)
    if source.isdigit() and not Path(source).exists():
        return Webcam(int(source), **options)
    if source.startswith("/dev/") and not Path(source).is_file():
        return Webcam(source, **options)
    return PlayedFile(path, loop=settings.loop, max_pixels=settings.max_pixels, **options)


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
        outlets: take every tracked picture, at once.
        allow: takes the next id and how many may be given; the id that may be given next.
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
        outlets: Sequence[Callable[[Tracked], None]] = (),
        recording: Callable[[], str | None] = lambda: None,
        allow: Callable[[int, int], int] = lambda wanted, count: wanted,
    ) -> None:
        self.settings, self.name = settings, settings.name
        self.engine = engine
        self._names, self._events = dict(class_names), events
        self._notify, self._outlets, self._recording = notify, outlets, recording
        self._allow = allow
        self.source = open_camera(settings, origin, self._noticed)
        self.wish = self._wish()
        self.lock = threading.RLock()  # the tracker's state: while a picture is tracked, saved or restored
        again = engine.recipe.reidentification
        self.presence = Presence(engine.recipe.death.lost_seconds, 0.0 if again is None else again.seconds)
        self._geometry = Geometry(settings.zones, settings.lines, self._names)
        self.crossings: dict[str, dict[str, dict[str, int]]] = {}
        self.rejoin: Callable[[Detections, float], float] | None = None  # prepares restored tracks for the next picture
        self._shot: Shot | None = None
        self._shown = threading.Condition()
        self._index = 0
        self._told_lost = False
        self._rate_in, self._rate_out = Rate(), Rate()
        self._latency = Latency()
        self._arrived = 0
        self._came = time.monotonic()
        self.progress = 0.0
        self._zero = time.monotonic() - origin
        self._behind = 0.0  # seconds that are to be added for the machine's time

    # What the scheduler does with it.

    @property
    def waiting(self) -> bool:
        """Whether there is a picture to track."""
        return self.source.waiting

    def expects(self, within: float) -> bool:
        """Whether a picture is to be expected within so many seconds."""
        if self.source.connection.state != "live":
            return False
        return time.monotonic() + within >= self._came + 0.9 / self._rate

    @property
    def _rate(self) -> float:
        """Pictures a second that are wanted and come."""
        coming = max(self._rate_in.per_second(), 1.0)
        return min(self.settings.target_fps or coming, coming)

    def pay(self, least: float) -> None:
        """Count a served picture: `progress` is how far it has been served, in seconds at the rate that it wants.

        One that had nothing to serve for a while starts from `least`, so that it cannot save up turns.
        """
        self.progress = max(self.progress, least) + 1 / self._rate

    def take(self) -> Taken | None:
        """The newest picture, to be tracked."""
        taken = self.source.take()
        self._came = time.monotonic() if taken is None else taken.arrival
        return taken

    def track(self, taken: Taken, detections: Detections) -> None:
        """Track one picture, tell what happened, and show it."""
        with self.lock:
            frame = Frame(taken.image, self._index, taken.timestamp, self.name)
            self._index += 1
            if self._shot is not None and self._shot.frame.shape != taken.image.shape:
                log.info("%s: the picture's size changed to %d×%d; tracks begin anew", self.name, *frame.size)
                self.engine.forget_tracks()
            self._reserve_ids(len(detections))
            tracks = self._update(taken, detections)
            self._follow(frame, tracks)
        if self._behind:
            frame = Frame(frame.image, frame.index, frame.timestamp + self._behind, frame.source)
        for outlet in self._outlets:
            outlet(Tracked(self.name, frame, detections, tracks))
        self._latency.add(time.monotonic() - taken.arrival)
        self._rate_out.add()
        self._show(taken, tracks)

    def _reserve_ids(self, count: int) -> None:
        """Make sure that no id comes twice, whatever happens to this process or to the disk."""
        wanted = self.engine.next_id
        allowed = self._allow(wanted, count)
        if allowed != wanted:
            go_on_at(self.engine, allowed)

    def _update(self, taken: Taken, detections: Detections) -> Tracks:
        image = taken.image if self.engine.needs_image else None
        rejoin, self.rejoin = self.rejoin, None
        if rejoin is not None:
            try:
                self.presence.skip(rejoin(detections, taken.timestamp))
                return self.engine.update(detections, timestamp=taken.timestamp, image=image)
            except ReacquireError as error:  # as looks of another embedder
                log.warning("%s: the tracks of before cannot go on: %s", self.name, error)
                begin_anew(self.engine)
        return self.engine.update(detections, timestamp=taken.timestamp, image=image)

    def tick(self) -> None:
        """Called a few times a second: what happens without pictures."""
        arrived = self.source.arrived
        if arrived > self._arrived:
            self._rate_in.add(arrived - self._arrived)
            self._arrived = arrived
        now = time.monotonic() - self._zero
        behind = time.time() - now
        self._behind = behind if abs(behind) > CLOCK_SET else 0.0
        if self.source.connection.state != "live":
            with self.lock:
                self._leave(now, "the camera is lost")

    def _follow(self, frame: Frame, tracks: Tracks) -> None:
        now = frame.timestamp
        seen = tracks[tracks.detection >= 0]  # who is only expected somewhere crosses no line there
        names = [self._class_name(c) for c in seen.class_id.tolist()]
        entered = self.presence.update(seen, names, now)
        for track_id in entered:
            self._say("entered", track_id, self.presence.here[track_id].class_name, now)
        for happening in self._geometry.update(seen, frame.size, now):
            self._tell(happening, now)
        self._leave(now)
        self.presence.portray(frame.image, seen, now)

    def _leave(self, now: float, why: str | None = None) -> None:
        """Say goodbye to those who have been out of sight for too long."""
        left = self.presence.sweep(now)
        if not left:
            return
        for happening in self._geometry.forget(np.fromiter(left, np.int64), now):
            self._tell(happening, now)
        for track_id, life in left.items():
            last, stay = life.last + self._behind, life.last - life.first
            data: dict[str, Any] = {"last_seen": round(last, 3), "seconds": round(stay, 2)}
            if why is not None:
                data["reason"] = why
            self._say("left", track_id, life.class_name, now, data)

    def _tell(self, happening: Happening, now: float) -> None:
        name = self._class_name(happening.class_id)
        if happening.kind == "line_crossed":
            directions = self.crossings.setdefault(happening.data["line"], {})
            classes = directions.setdefault(happening.data["direction"], {})
            classes[name] = classes.get(name, 0) + 1
        self._say(happening.kind, happening.track, name, now, happening.data)

    def _say(
        self, kind: EventKind, track: int, class_name: str, now: float, data: Mapping[str, Any] | None = None
    ) -> None:
        when = now + self._behind
        self._events.add(kind, self.name, track=track, class_name=class_name, when=when, data=data)

    def _show(self, taken: Taken, tracks: Tracks) -> None:
        with self._shown:
            self._shot = Shot(
                number=self._shot.number + 1 if self._shot else 1,
                frame=taken.image,
                tracks=tracks,
                class_names=self._names,
                timestamp=taken.timestamp,
                arrived=time.time() - (time.monotonic() - taken.arrival),
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

    def _crossings(self, line: str) -> dict[str, dict[str, int]]:
        """Of a line, by direction and class."""
        known = self.crossings.get(line, {})
        return {way: dict(known.get(way, {})) for way in DIRECTIONS}

    def _class_name(self, class_id: int) -> str:
        return self._names.get(class_id, str(class_id))

    def _wish(self) -> Wish:
        classes, region = self.settings.classes, self.settings.region
        wanted = None
        if classes is not None:
            from tracker.detection.base import class_ids

            wanted = tuple(class_ids(classes, self._names, "the detector") or ())
        score = self.engine.embedding_score if self.engine.uses_embedding else None
        return Wish(wanted, None if region is None else np.array(region), score)

    # What anybody may ask.

    def status(self) -> CameraStatus:
        """How it is, now."""
        connection, shot = self.source.connection, self._shot
        median, high = self._latency.percentiles()
        live = connection.state == "live"
        with self.lock:
            zones = self._geometry.occupants()
            counts = dict(self.presence.counts)
            crossings = {line.name: self._crossings(line.name) for line in self.settings.lines}
        return CameraStatus(
            name=self.name,
            state=connection.state,
            since=connection.since,
            reason=connection.reason if self.source.started else COMPILING if clock.running else GETTING_READY,
            size=None if shot is None else (shot.frame.shape[1], shot.frame.shape[0]),
            fps_in=self._rate_in.per_second(),
            fps_out=self._rate_out.per_second(),
            dropped=self.source.dropped,
            latency_p50=median,
            latency_p95=high,
            latencies=self._latency.histogram(),
            reconnects=connection.reconnects,
            tracks=int((shot.tracks.detection >= 0).sum()) if live and shot is not None else 0,
            counts=counts,
            recording=self._recording(),
            lines=crossings,
            zones=zones,
        )

    def latest(self) -> Shot | None:
        """The newest tracked picture."""
        return self._shot

    def wait(self, number: int, timeout: float) -> Shot | None:
        """The newest one after `number`, waiting for it."""
        with self._shown:
            self._shown.wait_for(lambda: self._shot is not None and self._shot.number > number, timeout)
            shot = self._shot
        return shot if shot is not None and shot.number > number else None

    def identities(self, limit: int) -> list[Sighting]:
        """The last seen identities, newest first."""
        seen, behind = self.presence.sightings(limit), self._behind
        return [replace(one, first=one.first + behind, last=one.last + behind) for one in seen] if behind else seen

    def set_geometry(self, zones: Sequence[Zone], lines: Sequence[Line]) -> None:
        """Watch these from now on; who is in a new zone already enters it, who is in an old one stays in it."""
        with self.lock:
            self.settings = self.settings.model_copy(update={"zones": tuple(zones), "lines": tuple(lines)})
            before, self._geometry = self._geometry, Geometry(zones, lines, self._names)
            self._geometry.take_over(before)


def begin_anew(engine: Engine) -> None:
    """Let everything go, the clock and what looks are like too; ids go on where they were."""
    following = engine.next_id
    engine.reset()
    go_on_at(engine, following)


def go_on_at(engine: Engine, following: int) -> None:
    """Let `following` be the next id, which is not below those that were given."""
    engine.continue_ids_at(following)
