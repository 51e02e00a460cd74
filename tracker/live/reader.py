"""The reader of a camera."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tracker.live.settings import CameraSettings
from tracker.sources.live import LiveSource
from tracker.sources.places import local_path

log = logging.getLogger("reacquire.live")


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


def check_source(settings: CameraSettings) -> None:
    """Refuse a file that is no video; cameras, which may be off now, are not asked.

    Raises:
        SourceError: names the camera and what is wrong with its file.
    """
    from tracker.sources.video import VideoFile

    path = local_path(settings.source.get_secret_value())
    if path is not None and path.is_file():
        VideoFile(path, name=f"{settings.name}: {path}", max_pixels=settings.max_pixels).close()
