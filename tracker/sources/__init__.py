"""Where frames come from: a file, a folder of images, a MOT sequence, a webcam, a stream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tracker.errors import SourceError
from tracker.redact import redact
from tracker.sources.base import Source

__all__ = ["Source", "open_source"]


def open_source(
    spec: str | Path | int,
    *,
    max_frames: int | None = None,
    report: Callable[[str], None] = lambda _: None,
    attempts: int | None = None,
) -> Source:
    """Open a source by what a person would write.

    Args:
        spec: a video file, a folder of images, a MOT sequence's folder, a webcam's number (`0`), or an address
            (`rtsp://…`, `http://…`; one with a known duration is a file that ends, any other is live).
        max_frames: end after so many.
        report: takes a line when a live source is lost and when it is back.
        attempts: how often in a row a live source may fail; None tries for ever.

    Raises:
        SourceError: missing, not a video, without frames: found here, before any network is loaded.
    """
    text = str(spec)
    if max_frames is not None and max_frames < 1:
        raise SourceError(f"max_frames: expected at least 1, got {max_frames}")
    if text.isdigit() and not Path(text).exists():
        from tracker.sources.stream import Webcam

        return Webcam(int(text), report=report, attempts=attempts, max_frames=max_frames)
    if "://" in text:
        return _open_address(text, max_frames, report, attempts)
    path = Path(text)
    if path.is_dir():
        from tracker.sources.images import ImageFolder, MotSequence, is_mot_sequence

        kind = MotSequence if is_mot_sequence(path) else ImageFolder
        return kind(path, max_frames=max_frames)
    from tracker.sources.video import VideoFile

    return VideoFile(path, max_frames=max_frames)


def _open_address(address: str, max_frames: int | None, report: Callable[[str], None], attempts: int | None) -> Source:
    from tracker.sources.stream import NetworkStream
    from tracker.sources.video import VideoFile

    if address.startswith(("http://", "https://")) and _duration(address):
        return VideoFile(address, max_frames=max_frames, name=redact(address))
    return NetworkStream(address, report=report, attempts=attempts, max_frames=max_frames)


def _duration(address: str) -> int | None:
    """What an address says of its length; None for a live stream, or where nothing answers yet."""
    import av

    from tracker.sources.stream import OPEN_SECONDS, READ_SECONDS

    try:
        with av.open(address, timeout=(OPEN_SECONDS, READ_SECONDS)) as container:
            return container.duration
    except (av.FFmpegError, OSError):
        return None
