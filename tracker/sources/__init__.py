"""Where frames come from: a file, a folder of images, a MOT sequence, a webcam, a stream."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tracker.errors import SourceError
from tracker.protocols import Source
from tracker.redact import redact

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["Source", "open_source"]


def open_source(
    spec: str | Path | int,
    *,
    max_frames: int | None = None,
    report: Callable[[str], None] = lambda _: None,
    attempts: int | None = None,
    max_pixels: int | None = None,
) -> Source:
    """Open a source by what a person would write.

    Args:
        spec: a video file, an image, a folder of images, a MOT sequence's folder, a `file://` address of any of
            these, a webcam's number (`0`), or an address (`rtsp://…`, `http://…`; one with a known length is a file
            that ends, any other is live).
        max_frames: end after so many.
        report: takes a line when a live source is lost and when it is back, and on what is unusual.
        attempts: how often in a row a live source may fail; None tries for ever.
        max_pixels: of a picture; larger ones are not decoded. 50 million when None.

    Raises:
        SourceError: missing, not a video, without frames, refused by its server: found here, before any network
            is loaded.
    """
    from tracker.sources.pictures import MOST_PIXELS
    from tracker.sources.places import local_path

    text = str(spec)
    most = MOST_PIXELS if max_pixels is None else max_pixels
    if max_frames is not None and max_frames < 1:
        raise SourceError(f"max_frames: expected at least 1, got {max_frames}")
    if text.isdecimal() and not os.path.exists(text):
        from tracker.sources.stream import Webcam

        return Webcam(int(text), report=report, attempts=attempts, max_frames=max_frames)
    path = local_path(text)
    if path is None:
        return _open_address(text, max_frames, report, attempts, most)
    from tracker.sources.images import SUFFIXES, ImageFolder, MotSequence, is_mot_sequence

    if os.path.isdir(path) or (os.path.isfile(path) and path.suffix.lower() in SUFFIXES):
        kind = MotSequence if is_mot_sequence(path) else ImageFolder
        return kind(path, max_frames=max_frames, report=report, max_pixels=most)
    from tracker.sources.video import VideoFile

    return VideoFile(path, max_frames=max_frames, report=report, max_pixels=most)


def _open_address(
    address: str, max_frames: int | None, report: Callable[[str], None], attempts: int | None, max_pixels: int
) -> Source:
    from tracker.sources.places import network_address
    from tracker.sources.stream import FINAL, OPEN_SECONDS, NetworkStream
    from tracker.sources.video import VideoFile

    name = redact(address)
    if address.lower().startswith(("http://", "https://")):
        recording = _recording(network_address(address), name, max_pixels)
        if recording is not None:
            return VideoFile(
                address, max_frames=max_frames, name=name, report=report, max_pixels=max_pixels, container=recording
            )
    stream = NetworkStream(
        address, report=report, attempts=attempts, max_frames=max_frames, max_pixels=max_pixels, final=FINAL
    )
    stream.settle(2 * OPEN_SECONDS)
    if stream.problem is not None:
        stream.close()
        raise SourceError(stream.problem)
    return stream


def _recording(address: str, name: str, max_pixels: int) -> InputContainer | None:
    """What is at an HTTP address, open, where it is a finished file; None for a live stream, or where nothing answers.

    Raises:
        SourceError: the server says that there is nothing, or not for us.
    """
    import av

    from tracker.sources.container import open_container
    from tracker.sources.stream import FINAL, OPEN_SECONDS, READ_SECONDS
    from tracker.sources.transport import is_finished

    timeout = (OPEN_SECONDS, READ_SECONDS)
    try:
        if is_finished(address, max_pixels, timeout):
            return open_container(address, max_pixels, timeout=timeout)
    except FINAL as error:
        raise SourceError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
    except (av.FFmpegError, OSError):
        pass
    return None
