"""The live service: cameras, networks and writers put together, started, watched and stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from reid.runtime import choose_device
from tracker.analytics.zones import Line, Zone
from tracker.config import PipelineSettings, Settings, load_settings
from tracker.errors import ConfigError
from tracker.factory import batch_size, load_tracker
from tracker.live.camera import Camera
from tracker.live.cameras_file import ZONES_FILE, save_geometry
from tracker.live.checkpoint_keeper import CheckpointKeeper
from tracker.live.events import EventLog
from tracker.live.folder import FolderLock
from tracker.live.frames import TrackedFrame
from tracker.live.networks import check_classes, load_networks, warm_up
from tracker.live.numbers import EVENTS, Numbers, series_of
from tracker.live.outputs import EventsFile, Mqtt, Webhook
from tracker.live.perception import Perception
from tracker.live.recording import Recorder
from tracker.live.scheduler import Scheduler
from tracker.live.settings import CameraSettings, LiveSettings, one_more_camera
from tracker.live.status import Event, ServiceStatus
from tracker.live.store import TrackStore
from tracker.protocols import Detector, Embedder
from tracker.redact import redact

log = logging.getLogger("reacquire.live")
STOP_SECONDS = 2.2
"""Within which everything has stopped, or is left behind."""


class Running(Protocol):
    """What the service starts and stops."""

    name: str
    dropped: int

    @property
    def trouble(self) -> str | None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def join(self, timeout: float) -> None: ...


class LiveService:
    """Tracks all cameras until it is stopped; a `tracker.live.status.LiveView`.

    Args:
        settings: of everything.
        path: the cameras' file, where changes are saved, and of a single video the one beside it, which the first
            change makes; None where there is none.
        detector: instead of the one that the settings name.
        embedder: instead of the one that the settings name.

    Raises:
        ReacquireError: weights that cannot be loaded; classes that nobody knows.
    """

    def __init__(
        self,
        settings: LiveSettings,
        path: Path | None = None,
        *,
        detector: Detector | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        self.settings, self._path = settings, path
        self.device = choose_device(settings.device)
        self.numbers = Numbers(settings.folder / "numbers.json")
        self.events = EventLog(allow=partial(self.numbers.allow, EVENTS))
        if detector is None:
            detector, embedder = load_networks(settings)
        self._perception = Perception(detector, embedder)
        names = dict(detector.class_names)
        for camera in settings.cameras:
            check_classes(camera.zones, camera.lines, names)
        self._writers: list[Running] = []
        self._started = self._origin = time.time()
        self._store = TrackStore(settings.folder, settings.tracks, names) if settings.tracks else None
        if self._store is not None:
            self._writers.append(self._store)
        self._connect_event_writers()
        self.cameras: dict[str, Camera] = {c.name: self._camera(c, names) for c in settings.cameras}
        every = tuple(self.cameras.values())
        self.scheduler = Scheduler(
            every, self._perception, batch=batch_size(settings.batch, self.device), deadline=settings.deadline_ms / 1000
        )
        self._stop, self._ready = threading.Event(), threading.Event()
        self.checkpoints = CheckpointKeeper(
            settings.folder, settings.checkpoint, lambda: tuple(self.cameras.values()), self.events, self.numbers
        )
        self._thread = threading.Thread(target=self._serve, name="networks", daemon=True)
        self._lock = FolderLock(settings.folder)
        self._changing = threading.Lock()
        self._added: set[str] = set()
        self.failure: str | None = None

    def start(self) -> None:
        """Take up the last state, and begin; returns when all is compiled and cameras are read, or it was told to stop.

        Raises:
            ReacquireError: another service writes into the folder, or nobody can.
        """
        self._lock.take()
        self.checkpoints.restore()
        for writer in self._writers:
            writer.start()
        self._thread.start()
        self.checkpoints.start()
        while not (self._ready.wait(0.1) or self._stop.is_set()):
            pass

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the service stops; whether it did."""
        return self._stop.wait(timeout)

    def ask_to_stop(self) -> None:
        """Make `wait` return; from any thread, and from a signal's handler."""
        self._stop.set()

    def stop(self) -> None:
        """Stop everything within a few seconds; what hangs in the network is left behind."""
        end = time.monotonic() + STOP_SECONDS
        self._stop.set()
        for camera in self.cameras.values():
            camera.source.stop()
        self.scheduler.stop()
        self.checkpoints.stop()
        if self._thread.is_alive():
            self._thread.join(max(end - time.monotonic() - 1.0, 0.0))
        self.checkpoints.join(max(end - time.monotonic() - 1.0, 0.0))
        self.checkpoints.finish(max(end - time.monotonic() - 0.5, 0.0))
        self.events.wake()
        for writer in self._writers:
            writer.stop()
        for writer in self._writers:
            writer.join(max(end - time.monotonic(), 0.0))
        for camera in self.cameras.values():
            camera.source.close(patience=max(min(end - time.monotonic(), 0.3), 0.0))
        self._lock.release()

    def __enter__(self) -> LiveService:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What anybody may ask.

    def status(self) -> ServiceStatus:
        """How the service is, now."""
        from tracker import __version__

        return ServiceStatus(
            started=self._started,
            overloaded=self.scheduler.overloaded,
            detector_fps=self.scheduler.pictures_per_second,
            batch=self.scheduler.batch_mean,
            gpu_memory=self._gpu_memory(),
            version=__version__,
            troubles=self._troubles(),
        )

    def recent_events(self, limit: int, camera: str | None = None, after: int = 0) -> list[Event]:
        """The last events with a number above `after`, oldest first."""
        return self.events.recent(limit, camera, after)

    def wait_events(self, after: int, timeout: float) -> list[Event]:
        """Events with a number above `after`, waiting for the first of them."""
        return self.events.wait(after, timeout)

    def set_geometry(self, camera: str, zones: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]]) -> None:
        """Replace a camera's zones and lines: checked, applied at once, and saved with a backup.

        Raises:
            KeyError: no such camera.
            ConfigError: a zone or line that makes no sense; nothing is changed.
            ReacquireError: the file cannot be written; nothing is changed.
        """
        found = self.cameras[camera]
        with self._changing:
            checked = load_settings(_Geometry, {"zones": list(zones), "lines": list(lines)}, name=camera)
            # For unique names, as the file will be read.
            whole = {"name": camera, "source": "0", "tracker": found.settings.tracker} | checked.model_dump()
            load_settings(CameraSettings, whole, name=camera)
            check_classes(checked.zones, checked.lines, dict(self._perception.class_names))
            if self._path is not None and self.saved_in(camera) is not None:
                plain = checked.model_dump(mode="json", exclude_none=True)
                copy = save_geometry(self._path, camera, plain["zones"], plain["lines"])
                before = "" if copy is None else f"; what was there before is in {copy}"
                log.info("%s: zones and lines saved in %s%s", camera, self._path, before)
            found.set_geometry(checked.zones, checked.lines)

    def saved_in(self, camera: str) -> Path | None:
        """The file that a camera's zones and lines are written into; None where they last until the service stops."""
        return None if camera in self._added else self._path

    def add_camera(self, name: str, source: str) -> None:
        """Track one more camera, with the file's defaults, until the service stops; it is not written down.

        Raises:
            ConfigError: the name is taken or none, or the source makes no sense; nothing is changed.
        """
        with self._changing:
            if name.lower() in {known.lower() for known in self.cameras}:
                raise ConfigError(f"there is a camera {name!r} already")
            whole = None if self._path is None or self._path.name.endswith(ZONES_FILE) else self._path
            settings, known = one_more_camera(whole, name, source), len(self._writers)
            names = dict(self._perception.class_names)
            check_classes(settings.zones, settings.lines, names)
            wanted = PipelineSettings(embedder=self.settings.embedder, tracker=settings.tracker)
            if wanted.embeds and not self._perception.embeds:
                recipe = settings.tracker.name
                raise ConfigError(
                    f"{name}: the recipe {recipe!r} compares embeddings, but no camera of the file's does"
                )
            camera = self._camera(settings, names)
            camera.tracker.engine.continue_ids_at(self.numbers.first(series_of(name)))  # it may have been there before
            for writer in self._writers[known:]:
                writer.start()
            self._added.add(name)
            self.cameras = {**self.cameras, name: camera}
            self.scheduler.add(camera)
            camera.source.start()

    # How it is made, and what it does.

    def _camera(self, settings: CameraSettings, names: dict[int, str]) -> Camera:
        writers: list[Callable[[TrackedFrame], None]] = [] if self._store is None else [self._store.put]
        recording: Callable[[], str | None] = lambda: None  # noqa: E731
        if settings.record is not None:
            people = frozenset(n for n, name in names.items() if name == "person") or frozenset(names)
            recorder = Recorder(self.settings.folder, settings.name, settings.record, people)
            self._writers.append(recorder)
            writers.append(recorder.put)
            recording = recorder.status
        return Camera(
            settings,
            load_tracker(settings.tracker, embedder=self.settings.embedder.weights),
            names,
            self.events,
            origin=self._origin,
            notify=lambda: self.scheduler.notify(),
            writers=writers,
            recording=recording,
            allow=partial(self.numbers.allow, series_of(settings.name)),
        )

    def _connect_event_writers(self) -> None:
        settings = self.settings
        found: list[EventsFile | Webhook | Mqtt] = []
        if settings.events is not None:
            found.append(EventsFile(settings.folder, settings.events))
        if settings.webhook is not None:
            found.append(Webhook(settings.webhook))
        if settings.mqtt is not None:
            found.append(Mqtt(settings.mqtt))
        for writer in found:
            self.events.connect(writer.put)
            self._writers.append(writer)

    def _serve(self) -> None:
        try:
            warm_up(self._perception, tuple(self.cameras.values()), self.scheduler.batch)
            if not self._stop.is_set():
                for camera in self.cameras.values():
                    camera.source.start()
                self._ready.set()
                log.info("ready")
                self.scheduler.run()
        except Exception as error:  # noqa: BLE001  # of a network, at the start or after many failures: whoever supervises starts anew
            self.failure = redact(f"the networks failed: {error}")
            self._stop.set()

    def _troubles(self) -> dict[str, str]:
        """What is wrong with where results go, by name."""
        found = {writer.name: writer.trouble for writer in self._writers}
        found["checkpoint"] = self.checkpoints.trouble
        found["numbers"] = self.numbers.trouble
        return {name: trouble for name, trouble in found.items() if trouble is not None}

    def _gpu_memory(self) -> int | None:
        if not self.device.startswith("cuda"):
            return None
        import torch

        return int(torch.cuda.memory_reserved())


class _Geometry(Settings):
    """What `set_geometry` takes."""

    zones: tuple[Zone, ...] = ()
    lines: tuple[Line, ...] = ()
