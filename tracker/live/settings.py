"""The cameras' file: YAML in, typed and checked settings out."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, Field, SecretStr, field_validator, model_validator

from tracker.analytics.zones import Line, Name, Polygon, Zone, as_text
from tracker.association.recipe import Recipe
from tracker.config import (
    DEFAULT_TRACKER,
    ClassNames,
    DetectorSettings,
    EmbedderSettings,
    Settings,
    Written,
    find_config,
    load_settings,
)
from tracker.errors import ConfigError, SourceError
from tracker.live.cameras_file import zones_file
from tracker.live.environment import no_secrets
from tracker.live.status import EventKind
from tracker.live.web.settings import WebSettings
from tracker.sources.places import local_path, network_address
from tracker.yaml_file import kind_of, read_yaml


def _at_home(path: Path) -> Path:
    """The path with `~` written out."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("~ stands for a home folder, and there is none; write the whole path") from None


def _list(value: Any) -> Any:
    """A key with nothing behind it is an empty list: its items may all have been commented out."""
    return () if value is None else value


Secret = Annotated[SecretStr, BeforeValidator(as_text)]
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
NETWORK = ("rtsp://", "rtsps://", "http://", "https://", "rtmp://", "udp://", "tcp://", "srt://")


class RecordSettings(Settings):
    """Video of one camera, in segments."""

    boxes: bool = Field(False, description="draw boxes, ids and trails")
    blur: bool = Field(False, description="make people unrecognisable")
    segment_minutes: float = Field(10, gt=0, le=24 * 60)
    keep_days: float = Field(7, gt=0, description="older segments are deleted")
    max_gb: float = Field(20, gt=0, description="the oldest segments are deleted beyond it")
    min_free_gb: float = Field(1, ge=0, description="free space of the disk below which recording stops")


class CameraSettings(Settings):
    """One camera. `defaults` of the file are laid under each."""

    name: Name
    source: Secret = Field(
        description="rtsp://, http://, a webcam's number or device, or a file that is played in real time"
    )
    transport: Literal["tcp", "udp"] = Field("tcp", description="of RTSP")
    loop: bool = Field(True, description="a file begins again at its end")
    tracker: Recipe
    classes: ClassNames = Field(None, description="names to track; all that the detector knows when absent")
    target_fps: Annotated[float, Field(gt=0, le=240)] | None = Field(
        None, description="pictures a second at most; all that come when absent"
    )
    region: Polygon | None = Field(None, description="only objects that stand in it are tracked")
    zones: Annotated[tuple[Zone, ...], BeforeValidator(_list)] = ()
    lines: Annotated[tuple[Line, ...], BeforeValidator(_list)] = ()
    frozen_seconds: float = Field(20, ge=0, description="a picture that stands still so long is a loss; 0: never")
    open_seconds: float = Field(10, gt=0, le=120, description="time-out of connecting")
    read_seconds: float = Field(10, gt=0, le=120, description="time-out of the next picture")
    max_pixels: int = Field(50_000_000, ge=1, description="of a picture; a camera that sends larger ones is lost")
    first_pause: float = Field(0.5, gt=0, le=60, description="seconds before the first new attempt; then doubled")
    longest_pause: float = Field(30, gt=0, le=3600, description="what that pause may grow to")
    record: RecordSettings | None = None

    @field_validator("source")
    @classmethod
    def _is_a_source(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not text.strip():
            raise ValueError("expected an address, a webcam's number or a file")
        try:
            if local_path(text) is None and network_address(text) and not text.lower().startswith(NETWORK):
                raise ValueError(f"expected an address that begins with {', '.join(NETWORK)}")
        except SourceError as error:
            raise ValueError(str(error)) from error
        return value

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for kind, names in (("zone", [z.name for z in self.zones]), ("line", [line.name for line in self.lines])):
            _unique(kind, names)
        return self


class EventsFileSettings(Settings):
    """Events as JSON Lines, in files that are turned over."""

    max_mb: float = Field(10, gt=0, description="a file of this size is put aside and a new one begun")
    keep: int = Field(10, ge=1, description="files put aside; older ones are deleted")


class WebhookSettings(Settings):
    """Events as JSON to an HTTP server: `{"events": […]}` by POST, tried again until it answers 2xx."""

    url: SecretStr
    token: Secret | None = Field(None, description="sent as `Authorization: Bearer …`")
    kinds: tuple[EventKind, ...] | None = Field(None, description="kinds of events; all when absent")
    timeout_seconds: float = Field(5, gt=0, le=60)
    longest_pause: float = Field(60, gt=0, le=3600, description="what the pause between attempts may grow to")
    queue: int = Field(1000, ge=1, le=100_000, description="events that may wait; beyond it the oldest are dropped")

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: SecretStr) -> SecretStr:
        AnyHttpUrl(value.get_secret_value())
        return value


class MqttSettings(Settings):
    """Events to an MQTT broker, as `TOPIC/CAMERA/KIND`; `TOPIC/status` says online or offline."""

    host: str = Field(min_length=1)
    port: int = Field(1883, ge=1, le=65535)
    username: Annotated[str, BeforeValidator(as_text)] | None = None
    password: Secret | None = None
    tls: bool = False
    topic: str = Field("reacquire", pattern=r"^[^#+\s]+$")
    kinds: tuple[EventKind, ...] | None = Field(None, description="kinds of events; all when absent")
    queue: int = Field(1000, ge=1, le=100_000, description="events that may wait; beyond it new ones are dropped")


class TracksSettings(Settings):
    """Tracks as Parquet, a file an hour and camera."""

    keep_days: float = Field(7, gt=0)


class CheckpointSettings(Settings):
    """The state that a restart goes on from."""

    every_seconds: float = Field(5, gt=0, le=3600)
    valid_seconds: float = Field(60, ge=0, le=86_400, description="older tracks are not taken up; ids always go on")
    keep_appearance: bool = Field(
        False,
        description="write down what people look like, as vectors: personal data; others keep their ids less well",
    )


class LiveSettings(Settings):
    """The whole file."""

    cameras: tuple[CameraSettings, ...] = Field(min_length=1)
    detector: DetectorSettings = DetectorSettings()
    embedder: EmbedderSettings = EmbedderSettings()
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda:0, mps")
    batch: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = Field(
        "auto", description="pictures through the networks at a time"
    )
    deadline_ms: float = Field(20, ge=0, le=1000, description="what a batch waits for the pictures of other cameras")
    folder: Annotated[Path, AfterValidator(_at_home)] = Field(
        Path("runs/live"), description="where everything is written"
    )
    events: EventsFileSettings | None = EventsFileSettings()
    webhook: WebhookSettings | None = None
    mqtt: MqttSettings | None = None
    tracks: TracksSettings | None = TracksSettings()
    checkpoint: CheckpointSettings | None = CheckpointSettings()
    web: WebSettings = WebSettings()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        _unique("camera", [camera.name for camera in self.cameras])
        return self


def _unique(kind: str, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise ValueError(f"the {kind} {name!r} is there twice")
        seen.add(name.lower())


def load_live_settings(path: str | Path, environment: Mapping[str, str] = os.environ) -> LiveSettings:
    """The cameras' file. `${NAME}` in it is the environment's; no error shows a password.

    Raises:
        ConfigError: names file, key, expected, got, and the nearest key for an unknown one.
    """
    path = Path(path)
    with no_secrets(environment) as known:
        return _checked(known.fill(read_yaml(path), str(path)), path)


def single_source(source: str) -> LiveSettings:
    """Settings for one camera, by its address, number or file; with what was drawn on a file before.

    Raises:
        ConfigError: not a source, or the file with what was drawn makes no sense.
    """
    stem = "camera" if "://" in source or source.isdigit() else re.sub(r"[^\w.-]+", "-", Path(source).stem).strip("-.")
    with no_secrets({}):
        settings = _checked({"cameras": [{"name": stem or "camera", "source": source}]}, Path())
    drawn = zones_file(source)
    if drawn is None or not drawn.exists():
        return settings
    (camera,) = settings.cameras
    found = next((one for one in load_live_settings(drawn, {}).cameras if one.name == camera.name), None)
    if found is None:
        raise ConfigError(f"{drawn}: there is no camera {camera.name!r} in it; without the file, zones are drawn anew")
    camera = camera.model_copy(update={"zones": found.zones, "lines": found.lines})
    return settings.model_copy(update={"cameras": (camera,)})


def one_more_camera(
    path: Path | None, name: str, source: str, environment: Mapping[str, str] = os.environ
) -> CameraSettings:
    """A camera beside those of the file, with the file's defaults. `${NAME}` in its source is not the environment's:
    who may add a camera may not read that.

    Raises:
        ConfigError: not a name, not a source, or the file's defaults make no sense.
    """
    with no_secrets(environment) as known:
        defaults = {} if path is None else known.fill(read_yaml(path).get("defaults"), str(path))
        content = {"cameras": [{"name": name, "source": source}], "defaults": defaults}
        return _checked(content, path or Path()).cameras[0]


def _checked(content: dict[str, Any], path: Path) -> LiveSettings:
    defaults = content.pop("defaults", None) or {}
    cameras = content.get("cameras")
    if not isinstance(defaults, Mapping):
        raise ConfigError(f"{path}: defaults: expected keys of a camera, got {kind_of(defaults)}")
    if isinstance(cameras, list):
        content["cameras"] = [
            _whole_camera(c, defaults, path, i) if isinstance(c, Mapping) else c for i, c in enumerate(cameras)
        ]
    return load_settings(LiveSettings, content, name=str(path))


def _whole_camera(camera: Mapping[str, Any], defaults: Mapping[str, Any], path: Path, index: int) -> dict[str, Any]:
    """A camera with the defaults under it, its recipe read, and its file found beside the cameras' file."""
    whole = {**defaults, **camera}
    recipe = whole.get("tracker", DEFAULT_TRACKER)
    if isinstance(recipe, str):
        beside = path.parent / recipe
        try:
            found = beside if beside.is_file() else find_config("trackers", recipe)
        except ConfigError as error:
            raise ConfigError(f"{path}: cameras.{index}.tracker: {error}") from error
        load_settings(Recipe, found)  # so that an error in it names its own file
        whole["tracker"] = read_yaml(found)
    source = whole.get("source")
    if isinstance(source, str) and source.strip() and _names_a_file(source):
        # With an @ it was meant as an address, and what stands before the last one is a password.
        written = source.written if isinstance(source, Written) else source
        shown = f"…@{written.rpartition('@')[2]}" if "@" in written else written
        where = shown if path == Path() else f"{path}: cameras.{index}.source: {shown}"
        whole["source"] = str(_found(source, path, where))
    return whole


def _names_a_file(source: str) -> bool:
    """Whether it is a path, or an address of a file, rather than an address of the network or a webcam's number."""
    return not source.isdigit() and (not ADDRESS.match(source) or source.lower().startswith("file:"))


def _found(source: str, path: Path, where: str) -> Path:
    """A video, or a webcam's device; looked for here, and beside the cameras' file."""
    try:
        source = str(local_path(source))
        whole = _at_home(Path(source))
    except SourceError as error:
        raise ConfigError(f"{where}: {error}") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    for candidate in (whole, path.parent / source):
        if candidate.is_dir():
            raise ConfigError(f"{where}: a folder, not a video")
        if candidate.exists():
            return candidate
    if source.startswith("/dev/"):  # a webcam that is not plugged in yet
        return Path(source)
    raise ConfigError(f"{where}: no such file, and not an address, which begins with rtsp:// or http://")
