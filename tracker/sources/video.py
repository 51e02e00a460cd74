"""Video files, by PyAV: true timestamps, any rate, the rotation that the camera wrote down."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tracker.errors import SourceError
from tracker.prefetch import prefetch
from tracker.sources.base import SMALLEST_STEP, Source, first_frames
from tracker.types import Frame

DECODED_AHEAD = 8
"""Frames that wait decoded, at the most."""

COUNT_SLACK = 0.02
"""Containers count a few frames that never come out (edit lists, dropped frames); more missing is damage."""


class VideoFile(Source):
    """A video file, or a finished video at an HTTP address.

    Timestamps are the stream's, from 0 at the first frame, strictly increasing. A file that breaks off is read
    up to the damage, and `problem` then says where.

    Args:
        path: of the file.
        max_frames: end after so many.

    Raises:
        SourceError: missing, not a video, or without a frame.
    """

    kind = "video"

    def __init__(self, path: str | Path, *, max_frames: int | None = None, name: str | None = None) -> None:
        self.name = name or str(path)
        self._max = max_frames
        self._container, self._stream = _open(str(path), self.name)
        self._frames = self._container.decode(self._stream)
        try:
            self._first = next(self._frames)
        except (StopIteration, av.FFmpegError) as error:
            self._container.close()
            detail = "" if isinstance(error, StopIteration) else f" ({error.strerror})"
            raise SourceError(f"{self.name}: the video has no frame that can be read{detail}") from error
        turned = _quarter_turns(self._first) % 2 == 1
        w, h = self._first.width, self._first.height
        self.size = (h, w) if turned else (w, h)
        rate = self._stream.average_rate
        self.frame_rate = float(rate) if rate else None
        self._counted = self._stream.frames or None
        self.length = self._counted if max_frames is None else min(self._counted or max_frames, max_frames)
        if self._counted is None:
            self.length = None

    def __iter__(self) -> Iterator[Frame]:
        with closing(prefetch(self._decode(), DECODED_AHEAD, "decode")) as ahead:
            yield from first_frames(ahead, self._max)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _decode(self) -> Generator[Frame]:
        begin: float | None = None
        last = -SMALLEST_STEP
        step = 1 / self.frame_rate if self.frame_rate else SMALLEST_STEP
        index = 0
        frame: VideoFrame | None = self._first
        while frame is not None:
            time: float | None = frame.time
            if time is None:  # no timestamp of its own: one frame after the last
                time = (begin or 0.0) + (last + step if index else 0.0)
            begin = time if begin is None else begin
            last = max(time - begin, last + SMALLEST_STEP)
            yield Frame(_picture(frame), index, last, self.name)
            index += 1
            frame = self._next(index)
        if self.problem is None and self._counted and index < self._counted * (1 - COUNT_SLACK) - 1:
            self.problem = f"{self.name}: the file ends after {index} of {self._counted} frames; it is cut off"

    def _next(self, index: int) -> VideoFrame | None:
        try:
            return next(self._frames, None)
        except av.FFmpegError as error:
            self.problem = f"{self.name}: damaged after {index} frames: {error.strerror}"
            return None


def _open(path: str, name: str) -> tuple[InputContainer, VideoStream]:
    """The container and its first video stream."""
    if "://" not in path:
        if not Path(path).exists():
            raise SourceError(f"{name}: no such file")
        if Path(path).stat().st_size == 0:
            raise SourceError(f"{name}: the file is empty")
    try:
        container = av.open(path)
    except av.FFmpegError as error:
        raise SourceError(f"{name}: not a video that can be opened ({error.strerror})") from error
    if not container.streams.video:
        kinds = ", ".join(stream.type for stream in container.streams) or "nothing"
        container.close()
        raise SourceError(f"{name}: there is no video in it, only {kinds}")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    return container, stream


def _quarter_turns(frame: VideoFrame) -> int:
    """Counter-clockwise quarter turns that show the picture upright."""
    return round(frame.rotation / 90) % 4


def _picture(frame: VideoFrame) -> NDArray[np.uint8]:
    image = bgr(frame)
    turns = _quarter_turns(frame)
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def bgr(frame: VideoFrame) -> NDArray[np.uint8]:
    """The decoded picture, ``(H, W, 3)`` uint8."""
    return cast(NDArray[np.uint8], frame.to_ndarray(format="bgr24"))
