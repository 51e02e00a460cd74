"""What the live service shows of itself: plain values and protocols, so that a page can be built on them alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tracker.types import Tracks

CameraState = Literal["starting", "live", "reconnecting", "stopped"]
EventKind = Literal[
    "entered", "left", "line_crossed", "zone_entered", "zone_left", "zone_dwell", "camera_lost", "camera_back"
]


LATENCY_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 2.0, 5.0)
"""Seconds; upper bounds of the buckets that latencies are counted in."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long pictures took from arrival to tracks, all of them so far.

    Attributes:
        counts: pictures by bucket of `LATENCY_BOUNDS`, not summed up; one more at the end for what took longer.
        total: seconds of all of them together.
    """

    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraStatus:
    """One camera, now.

    Attributes:
        name: as in the YAML.
        state: starting (never connected yet), live, reconnecting or stopped (the service ends).
        since: unix seconds of the last change of `state`.
        reason: why it is not live, in words; never holds a password.
        size: width and height of its pictures, px; None before the first.
        fps_in: pictures a second that arrive, over the last seconds.
        fps_out: pictures a second that were tracked.
        dropped: pictures that arrived and were replaced by newer ones before they could be tracked, so far.
        lost: damaged pictures that were left out, so far: longer steps of time.
        latency_p50: seconds from arrival to tracks, median of the last ones; None before the first.
        latency_p95: its 95th percentile.
        latencies: of all pictures so far, for histograms; None where nobody counts them.
        reconnects: how often it was lost and found again.
        resized: how often its pictures came in another size, so far; tracks begin anew then.
        tracks: objects in view now.
        counts: distinct ids so far, by class.
        recording: what recording does, in words ("on", "stopped: the disk is full"); None where it is off.
        lines: crossings so far of each line: by direction ("a_to_b", "b_to_a") and class.
        zones: objects in each zone now, by class.
    """

    name: str
    state: CameraState
    since: float
    reason: str | None = None
    size: tuple[int, int] | None = None
    fps_in: float = 0.0
    fps_out: float = 0.0
    dropped: int = 0
    lost: int = 0
    latency_p50: float | None = None
    latency_p95: float | None = None
    latencies: Latencies | None = None
    reconnects: int = 0
    resized: int = 0
    tracks: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    recording: str | None = None
    lines: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    zones: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """A camera's newest tracked picture.

    Attributes:
        number: grows with each one of the camera.
        frame: ``(H, W, 3)`` uint8 BGR; shared, never to be changed.
        tracks: in this picture.
        class_names: names of class ids.
        timestamp: seconds on the stream's clock.
        arrived: unix seconds.
    """

    number: int
    frame: NDArray[np.uint8]
    tracks: Tracks
    class_names: Mapping[int, str]
    timestamp: float
    arrived: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A recent identity of a camera: when it was seen, and a JPEG of it. In memory only, and not many."""

    id: int
    class_name: str
    first: float
    last: float
    crop: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        number: grows by one with each event of the service.
        kind: what.
        camera: where.
        track: whose id; None for events of the camera itself.
        class_name: of the track; None for events of the camera itself.
        time: unix seconds.
        data: more of it, JSON values: `zone` and `seconds`; `line` and `direction` ("a_to_b", "b_to_a"); `reason`.
    """

    number: int
    kind: EventKind
    camera: str
    track: int | None
    class_name: str | None
    time: float
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """The service as a whole.

    Attributes:
        started: unix seconds.
        overloaded: the networks cannot keep up with what the cameras ask for; every camera is slowed alike.
        detector_fps: pictures a second through the detector, over the last seconds.
        batch: mean pictures a batch.
        gpu_memory: bytes of GPU memory in use; None without a GPU.
        version: of Reacquire.
        troubles: what cannot be written or sent now, and why, in words: "webhook", "tracks", "record CAMERA", ….
    """

    started: float
    overloaded: bool
    detector_fps: float
    batch: float
    gpu_memory: int | None
    version: str
    troubles: Mapping[str, str] = field(default_factory=dict)


Point = tuple[float, float]
"""x and y in fractions of the picture, 0–1."""


class ZoneLike(Protocol):
    """A named polygon; `dwell` are seconds after which staying in it is an event."""

    @property
    def name(self) -> str: ...
    @property
    def polygon(self) -> Sequence[Point]: ...
    @property
    def dwell(self) -> float | None: ...
    @property
    def classes(self) -> Sequence[str] | None: ...


class LineLike(Protocol):
    """A named line through two points or more; seen from `a` to `b`, "a_to_b" crosses it from its left to its right."""

    @property
    def name(self) -> str: ...
    @property
    def points(self) -> Sequence[Point]: ...
    @property
    def classes(self) -> Sequence[str] | None: ...


class CameraSettingsLike(Protocol):
    """What a page needs of a camera's settings (`tracker.live.settings.CameraSettings`)."""

    @property
    def name(self) -> str: ...
    @property
    def zones(self) -> Sequence[ZoneLike]: ...
    @property
    def lines(self) -> Sequence[LineLike]: ...


class CameraView(Protocol):
    """One camera, as seen from outside; every method may be called from any thread and returns at once."""

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> CameraSettingsLike: ...
    def status(self) -> CameraStatus: ...
    def latest(self) -> Snapshot | None:
        """The newest tracked picture; None before the first."""

    def wait(self, number: int, timeout: float) -> Snapshot | None:
        """The newest one after `number`, waiting up to `timeout` seconds for it; None when none came."""

    def identities(self, limit: int) -> list[Sighting]:
        """The last seen identities, newest first."""


class LiveView(Protocol):
    """The service, as seen from outside; methods may be called from any thread."""

    @property
    def cameras(self) -> Mapping[str, CameraView]: ...
    def status(self) -> ServiceStatus: ...
    def recent_events(self, limit: int, camera: str | None = None, after: int = 0) -> list[Event]:
        """The last events with a number above `after`, oldest first; of one camera, or of all."""

    def wait_events(self, after: int, timeout: float) -> list[Event]:
        """Events with a number above `after`, oldest first, waiting up to `timeout` seconds for the first of them."""

    def set_geometry(self, camera: str, zones: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]]) -> None:
        """Replace a camera's zones and lines: checked, applied at once, and saved to the YAML with a backup.

        Args:
            camera: its name.
            zones: mappings of `name`, `polygon` (three points or more, fractions), and perhaps `dwell`, `classes`.
            lines: mappings of `name`, `points` (two or more), and perhaps `classes`.

        Raises:
            KeyError: no such camera.
            ConfigError: a zone or line that makes no sense; nothing is changed.
            ReacquireError: the file cannot be written; nothing is changed.
        """

    def saved_in(self, camera: str) -> Path | None:
        """The file that a camera's zones and lines are written into; None where they last until the service stops."""


@runtime_checkable
class TakesCameras(Protocol):
    """A service that takes cameras while it runs; the page offers it only where `web.allow_sources` is set."""

    def add_camera(self, name: str, source: str) -> None:
        """Track one more camera, with the file's defaults, until the service stops; it is not written down.

        Raises:
            ConfigError: the name is taken or none, or the source makes no sense; nothing is changed.
        """
