"""Tracks as Parquet, a file an hour and camera, and not for ever."""

from __future__ import annotations

import logging
import shutil
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from tracker.live.background_writer import BackgroundWriter
from tracker.live.frames import TrackedFrame
from tracker.live.retention import Retention
from tracker.live.settings import TracksSettings
from tracker.redact import redact
from tracker.sinks.parquet import ParquetSink, join_parts

log = logging.getLogger("reacquire.live")
WAITING = 5000
DAY = 86_400.0
SWEEP_SECONDS = 600.0


class TrackStore(BackgroundWriter[TrackedFrame]):
    """Writes `tracks/CAMERA/2026-01-31T14Z.parquet`, with unix seconds as timestamps; see `ParquetSink` for columns.

    Args:
        folder: of the service.
        settings: how long files are kept.
        class_names: names of class ids.
    """

    def __init__(self, folder: Path, settings: TracksSettings, class_names: dict[int, str]) -> None:
        super().__init__("tracks", WAITING)
        self._folder, self._names = folder / "tracks", class_names
        self._open: dict[str, tuple[str, ParquetSink]] = {}
        self._swept = -SWEEP_SECONDS
        self._hopeless: set[Path] = set()
        self._retention = Retention(settings.keep_days * DAY)

    def start(self) -> None:
        """Begin; parts that a killed process left are joined first."""
        self._join_left_parts()
        super().start()

    def handle(self, item: TrackedFrame) -> None:
        hour = _hour(item.frame.timestamp)
        if self._open.get(item.camera, (hour,))[0] != hour:
            self._close(item.camera)
        if item.camera not in self._open:
            self._open[item.camera] = hour, ParquetSink(self._free_path(item.camera, hour), self._names)
        try:
            self._open[item.camera][1].write(item.frame, item.detections, item.tracks)
        except BaseException:
            del self._open[item.camera]  # a new file when it is tried again; what was written is joined later
            raise

    def proves(self, item: TrackedFrame) -> bool:
        return self._open[item.camera][1].parts > 0

    def idle(self) -> None:
        now = _hour(time.time())
        for camera in [camera for camera, (hour, _) in self._open.items() if hour != now]:  # those that are lost
            self._close(camera)
        if time.monotonic() - self._swept > SWEEP_SECONDS:
            self._swept = time.monotonic()
            self._join_left_parts()
            finished = (path for path in self._folder.glob("*/*.parquet") if path.is_file())
            self._retention.make_room(finished, SWEEP_SECONDS)

    def finish(self) -> None:
        with ExitStack() as each:  # so that one that fails keeps no other from being finished
            for camera in list(self._open):
                each.callback(self._close, camera)

    def _close(self, camera: str) -> None:
        _, sink = self._open.pop(camera)
        sink.close()
        self._retention.wrote(sink.path)

    def _join_left_parts(self) -> None:
        """Finish the tables of a killed process, and those that could not be written."""
        current = {sink.path for _, sink in self._open.values()}
        for parts in sorted(self._folder.glob("*/*.parquet.parts")):
            path = parts.with_suffix("")
            if path in current:
                continue
            try:
                if path.exists():  # it was joined, and some of the parts may be gone
                    shutil.rmtree(parts)
                else:
                    join_parts(path)
            except Exception as error:  # noqa: BLE001  # old parts, whatever is wrong with them, hold up nothing
                if parts not in self._hopeless:
                    log.warning("tracks: %s cannot be joined and stays: %s", parts, redact(str(error)))
                self._hopeless.add(parts)

    def _free_path(self, camera: str, hour: str) -> Path:
        folder = self._folder / camera
        folder.mkdir(parents=True, exist_ok=True)
        path, count = folder / f"{hour}.parquet", 1
        while path.exists() or path.with_name(path.name + ".parts").exists():
            count += 1
            path = folder / f"{hour}-{count}.parquet"
        return path


def _hour(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%HZ")
