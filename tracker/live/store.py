"""Tracks as Parquet, a file an hour and camera, and not for ever."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from pathlib import Path

from tracker.live.camera import Tracked
from tracker.live.outlet import Outlet
from tracker.live.settings import TracksSettings
from tracker.redact import redact
from tracker.sinks.parquet import ParquetSink, join_parts

log = logging.getLogger("reacquire.live")
WAITING = 5000
DAY = 86_400.0
SWEEP_SECONDS = 600.0


class TrackStore(Outlet[Tracked]):
    """Writes `tracks/CAMERA/2026-01-31T14Z.parquet`, with unix seconds as timestamps; see `ParquetSink` for columns.

    Args:
        folder: of the service.
        settings: how long files are kept.
        class_names: names of class ids.
    """

    def __init__(self, folder: Path, settings: TracksSettings, class_names: dict[int, str]) -> None:
        super().__init__("tracks", WAITING)
        self._folder, self._keep, self._names = folder / "tracks", settings.keep_days * DAY, class_names
        self._open: dict[str, tuple[str, ParquetSink]] = {}
        self._swept = -SWEEP_SECONDS

    def start(self) -> None:
        """Begin; parts that a killed process left are joined first."""
        for parts in sorted(self._folder.glob("*/*.parquet.parts")):
            try:
                join_parts(parts.with_suffix(""))
            except Exception as error:  # noqa: BLE001  # old parts, whatever is wrong with them, hold up nothing
                log.warning("tracks: %s cannot be joined and stays: %s", parts, redact(str(error)))
        super().start()

    def handle(self, item: Tracked) -> None:
        hour = datetime.fromtimestamp(item.frame.timestamp, UTC).strftime("%Y-%m-%dT%HZ")
        name, sink = self._open.get(item.camera, ("", None))
        if sink is not None and name != hour:
            del self._open[item.camera]
            sink.close()
            sink = None
        if sink is None:
            sink = ParquetSink(self._free_path(item.camera, hour), self._names)
            self._open[item.camera] = hour, sink
        try:
            sink.write(item.frame, item.detections, item.tracks)
        except BaseException:
            del self._open[item.camera]  # a new file when it is tried again; what was written stays readable
            raise

    def idle(self) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%HZ")
        for camera, (hour, sink) in list(self._open.items()):
            if hour < now:  # of a camera that is lost
                del self._open[camera]
                sink.close()
        if time.monotonic() - self._swept > SWEEP_SECONDS:
            self._swept = time.monotonic()
            for path in self._folder.glob("*/*.parquet"):
                if path.is_file() and time.time() - path.stat().st_mtime > self._keep:
                    path.unlink()

    def finish(self) -> None:
        for _, sink in self._open.values():
            sink.close()
        self._open.clear()

    def _free_path(self, camera: str, hour: str) -> Path:
        folder = self._folder / camera
        folder.mkdir(parents=True, exist_ok=True)
        path, count = folder / f"{hour}.parquet", 1
        while path.exists() or path.with_name(path.name + ".parts").exists():
            count += 1
            path = folder / f"{hour}-{count}.parquet"
        return path
