"""What the API takes and gives, as documented schemas; nothing in them ever holds a camera's password."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tracker.live.status import CameraState, CameraView, Event, EventKind, LiveView, Sighting, Snapshot
from tracker.redact import redact

MOST_SHAPES, MOST_POINTS, MOST_CLASSES = 64, 200, 200

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, description="of the picture's width or height")]
Point = tuple[Fraction, Fraction]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^\w[\w .-]*$")]
"""As in the cameras' file: letters, digits, spaces, dots, hyphens."""
Classes = Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_CLASSES, fail_fast=True)]
"""Of a list only the first fault is told: to gather thousands would take the interpreter from the tracking."""


class Out(BaseModel):
    """Base of what is given."""


class In(BaseModel):
    """Base of what is taken: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[str] | None = None


class Health(Out):
    """All that anybody may know."""

    status: str = Field(description="ok, or what is wrong in a word")


class Zone(In):
    """A named polygon."""

    name: Name
    polygon: Annotated[tuple[Point, ...], Field(min_length=3, max_length=MOST_POINTS, fail_fast=True)]
    dwell: Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)] | None = Field(
        None, description="seconds after which staying is an event"
    )
    classes: Classes | None = Field(None, description="only these; all when absent")


class Line(In):
    """A named line; from its left to its right, seen from first to last point, is a_to_b."""

    name: Name
    points: Annotated[tuple[Point, ...], Field(min_length=2, max_length=MOST_POINTS, fail_fast=True)]
    classes: Classes | None = Field(None, description="only these; all when absent")


class Geometry(In):
    """A camera's zones and lines."""

    zones: Annotated[list[Zone], Field(max_length=MOST_SHAPES)] = []
    lines: Annotated[list[Line], Field(max_length=MOST_SHAPES)] = []

    @classmethod
    def of(cls, view: CameraView) -> Geometry:
        """As the camera has them; what a file holds beyond our limits is shown all the same."""
        settings = view.settings
        return cls.model_construct(
            zones=[
                Zone.model_construct(
                    name=zone.name,
                    polygon=tuple((float(x), float(y)) for x, y in zone.polygon),
                    dwell=zone.dwell,
                    classes=None if zone.classes is None else tuple(zone.classes),
                )
                for zone in settings.zones
            ],
            lines=[
                Line.model_construct(
                    name=line.name,
                    points=tuple((float(x), float(y)) for x, y in line.points),
                    classes=None if line.classes is None else tuple(line.classes),
                )
                for line in settings.lines
            ],
        )


class SavedGeometry(Geometry):
    """A camera's zones and lines, as they are given."""

    saved_in: str | None = Field(
        None, description="the file that they are written into; none where they last until a stop"
    )


class NewCamera(In):
    """A camera to add, where the service allows it."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    source: Annotated[str, StringConstraints(max_length=2048, pattern=r"^(rtsps?|https?)://\S+$")] = Field(
        description="rtsp://, rtsps://, http:// or https://; no file and no webcam"
    )


class LineCount(Out):
    """Crossings of one line so far, by class."""

    line: str
    direction: str
    counts: dict[str, int]


class CameraOut(Out):
    """One camera, now."""

    name: str
    state: CameraState
    since: float = Field(description="unix seconds of the last change of state")
    reason: str | None = Field(description="why it is not live")
    size: tuple[int, int] | None = Field(description="width and height, px")
    fps_in: float
    fps_out: float
    dropped: int = Field(description="frames that gave way to newer ones, so far")
    lost: int = Field(description="damaged frames that were left out, so far")
    latency_p50: float | None = Field(description="seconds from arrival to tracks, median")
    latency_p95: float | None
    reconnects: int
    resized: int = Field(description="times that frames came in another size, with which tracks begin anew")
    tracks: int = Field(description="objects in view now")
    counts: dict[str, int] = Field(description="distinct ids so far, by class")
    lines: list[LineCount]
    zones: dict[str, dict[str, int]] = Field(description="objects in each zone now, by class")
    recording: str | None

    @classmethod
    def of(cls, view: CameraView) -> Self:
        """From the service's own values."""
        status = view.status()
        lines = [
            LineCount(line=line, direction=direction, counts=dict(counts))
            for line, directions in status.lines.items()
            for direction, counts in directions.items()
        ]
        return cls(
            name=status.name,
            state=status.state,
            since=status.since,
            reason=None if status.reason is None else redact(status.reason),
            size=status.size,
            fps_in=round(status.fps_in, 2),
            fps_out=round(status.fps_out, 2),
            dropped=status.dropped,
            lost=status.lost,
            latency_p50=status.latency_p50,
            latency_p95=status.latency_p95,
            reconnects=status.reconnects,
            resized=status.resized,
            tracks=status.tracks,
            counts=dict(status.counts),
            lines=lines,
            zones={zone: dict(counts) for zone, counts in status.zones.items()},
            recording=None if status.recording is None else redact(status.recording),
        )


class StatusOut(Out):
    """The service and its cameras, now."""

    version: str
    started: float = Field(description="unix seconds")
    now: float = Field(description="unix seconds, by the service's clock")
    overloaded: bool = Field(description="the networks cannot keep up; every camera is slowed alike")
    detector_fps: float
    batch: float
    gpu_memory: int | None = Field(description="bytes")
    troubles: dict[str, str] = Field(description="what cannot be written or sent now, and why")
    cameras: list[CameraOut]

    @classmethod
    def of(cls, view: LiveView) -> Self:
        """From the service's own values."""
        status = view.status()
        return cls(
            version=status.version,
            started=status.started,
            now=time.time(),
            overloaded=status.overloaded,
            detector_fps=round(status.detector_fps, 2),
            batch=round(status.batch, 2),
            gpu_memory=status.gpu_memory,
            troubles={name: redact(why) for name, why in status.troubles.items()},
            cameras=[CameraOut.of(camera) for camera in list(view.cameras.values())],
        )


class EventOut(Out):
    """Something that happened."""

    number: int
    kind: EventKind
    camera: str
    track: int | None
    class_name: str | None
    time: float = Field(description="unix seconds")
    data: dict[str, Any] = Field(description="zone and seconds; line and direction; reason")

    @classmethod
    def of(cls, event: Event) -> Self:
        """From the service's own value."""
        return cls(
            number=event.number,
            kind=event.kind,
            camera=event.camera,
            track=event.track,
            class_name=event.class_name,
            time=event.time,
            data=_redacted(event.data),
        )


class TrackOut(Out):
    """A tracked object."""

    id: int
    class_name: str
    score: float
    box: tuple[float, float, float, float] = Field(description="x1, y1, x2, y2 in fractions of the picture")
    predicted: bool = Field(description="out of sight: the box is where it is expected")


class TracksOut(Out):
    """What is in a camera's newest picture."""

    number: int
    arrived: float = Field(description="unix seconds")
    timestamp: float = Field(description="seconds on the stream's clock")
    tracks: list[TrackOut]

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        """From the service's own value."""
        height, width = snapshot.frame.shape[:2]
        tracks, names = snapshot.tracks, snapshot.class_names
        boxes = (tracks.xyxy / [width, height, width, height]).round(5).tolist()
        columns = (tracks.id, tracks.class_id, tracks.score, tracks.detection < 0)
        rows = [
            TrackOut(
                id=number, class_name=names.get(kind, str(kind)), score=round(score, 4), box=box, predicted=predicted
            )
            for number, kind, score, predicted, box in zip(*(c.tolist() for c in columns), boxes, strict=True)
        ]
        return cls(number=snapshot.number, arrived=snapshot.arrived, timestamp=snapshot.timestamp, tracks=rows)


class IdentityOut(Out):
    """A recent identity of a camera."""

    id: int
    class_name: str
    first: float = Field(description="unix seconds")
    last: float = Field(description="unix seconds")
    crop: str = Field(description="where its picture is")

    @classmethod
    def of(cls, sighting: Sighting, crop: str) -> Self:
        """From the service's own value."""
        return cls(id=sighting.id, class_name=sighting.class_name, first=sighting.first, last=sighting.last, crop=crop)


def _redacted(value: Any) -> Any:
    """A JSON value with every text in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _redacted(item) for key, item in value.items()}
    return [_redacted(item) for item in value] if isinstance(value, list | tuple) else value
