"""Live sources: network streams, webcams, and files that are played as if they were cameras."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tracker.redact import redact
from tracker.sources.live import FileFinishedError, LiveSource, Picture
from tracker.sources.video import bgr

OPEN_SECONDS, READ_SECONDS = 10.0, 10.0
"""Time-outs of opening a stream and of waiting for its next packet."""
BAD_PACKETS = 50
"""Packets in a row that cannot be decoded, after which a stream counts as lost."""
PROBE = "500000"
"""Microseconds of a stream that are looked at before its first picture; FFmpeg's own five seconds are a long outage."""
PLANAR = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"}
"""Formats whose first plane is the brightness, a byte a pixel."""
NO_CLOCK = {"mpjpeg", "mjpeg"}
"""Formats without times in them; FFmpeg makes up a constant rate."""


class NetworkStream(LiveSource):
    """RTSP, HTTP (MPEG-TS, MJPEG, HLS) and whatever else FFmpeg reads from an address.

    Args:
        address: with user and password where it needs them; they are shown nowhere.
        transport: of RTSP: tcp, or udp for cameras and networks that lose less than they delay.
        open_seconds: time-out of opening it.
        read_seconds: time-out of waiting for the next packet.
        options: of `LiveSource`.
    """

    kind = "stream"

    def __init__(
        self,
        address: str,
        *,
        transport: Literal["tcp", "udp"] = "tcp",
        open_seconds: float = OPEN_SECONDS,
        read_seconds: float = READ_SECONDS,
        name: str | None = None,
        **options: object,
    ) -> None:
        self._address, self._transport = address, transport
        self._timeout = (open_seconds, read_seconds)
        super().__init__(name or redact(address), **options)  # type: ignore[arg-type]

    def _pictures(self) -> Generator[Picture]:
        options = {"fflags": "nobuffer", "analyzeduration": PROBE}
        if self._address.lower().startswith(("rtsp://", "rtsps://")):
            options["rtsp_transport"] = self._transport
        with av.open(self._address, options=options, timeout=self._timeout) as container:
            stream = first_video(container)
            self.frame_rate = float(stream.average_rate) if stream.average_rate else None
            clocked = container.format.name not in NO_CLOCK
            deadline = time.monotonic() + self._timeout[1]
            for frame in whole_frames(container, stream):
                if frame is not None:
                    deadline = time.monotonic() + self._timeout[1]
                    yield Picture(frame.time if clocked else None, partial(bgr, frame), partial(sampled, frame))
                elif time.monotonic() > deadline:
                    raise OSError(f"no picture for {self._timeout[1]:g} s")


def first_video(container: InputContainer) -> VideoStream:
    """The first video stream.

    Raises:
        OSError: there is none.
    """
    if not container.streams.video:
        raise OSError("there is no video in it")
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1  # frames at once, and few threads for many cameras
    return stream


def whole_frames(container: InputContainer, stream: VideoStream) -> Generator[VideoFrame | None]:
    """Decoded frames without those that are damaged; None for a packet that gave no whole one.

    Raises:
        OSError: too many packets in a row could not be decoded.
    """
    bad = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError as error:
            bad += 1
            if bad > BAD_PACKETS:
                raise OSError(f"it cannot be decoded: {error.strerror}") from error
            yield None
            continue
        whole = [frame for frame in frames if isinstance(frame, VideoFrame) and not frame.is_corrupt]
        bad = 0 if whole else bad + 1
        if not whole:
            yield None
        yield from whole


def sampled(frame: VideoFrame) -> NDArray[np.uint8]:
    """``(H / 8, W / 8)`` uint8 brightness of a decoded frame, without converting all of it."""
    if frame.format.name not in PLANAR:
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    return np.ascontiguousarray(rows[: frame.height : 8, : frame.width : 8])


class Webcam(LiveSource):
    """A camera of this machine, by its number, or its device (`/dev/v4l/by-id/…` stays when others are plugged in)."""

    kind = "webcam"

    def __init__(self, number: int | str, *, name: str | None = None, **options: object) -> None:
        self._number = number
        super().__init__(name or f"webcam {number}", **options)  # type: ignore[arg-type]

    def _pictures(self) -> Generator[Picture]:
        camera = cv2.VideoCapture(self._number)
        try:
            if not camera.isOpened():
                raise OSError(f"camera {self._number} cannot be opened: is it connected, and free?")
            while True:
                read, image = camera.read()
                if not read:
                    raise OSError("the camera stopped sending")
                yield Picture(None, partial(np.asarray, image, np.uint8))
        finally:
            camera.release()


class PlayedFile(LiveSource):
    """A video file in real time, from its beginning again when it ends.

    Args:
        path: of the file.
        loop: play it again and again; else it stops at its end.
        options: of `LiveSource`.
    """

    kind = "file"

    def __init__(self, path: Path, *, loop: bool = True, name: str | None = None, **options: object) -> None:
        self._path, self._loop = path, loop
        super().__init__(name or str(path), **options)  # type: ignore[arg-type]

    def _pictures(self) -> Generator[Picture]:
        if not self._path.is_file():
            raise OSError(f"{self._path}: no such file")
        shown, before, began = 0.0, 0.0, time.monotonic()
        while True:
            with av.open(str(self._path)) as container:
                stream = first_video(container)
                step = 1 / float(stream.average_rate or 25)
                first: float | None = None
                base = shown + step if shown else 0.0
                for frame in whole_frames(container, stream):
                    if frame is None:
                        continue
                    first = frame.time if first is None else first
                    before, shown = shown, base + (frame.time or 0.0) - (first or 0.0)
                    shown = shown if shown > before else before + step
                    if _sleep_until(began + shown, self._stop):
                        return
                    yield Picture(shown, partial(bgr, frame), partial(sampled, frame))
                if first is None:
                    raise OSError("there is no picture in it")
            if not self._loop:
                raise FileFinishedError("the file was played to its end")


def _sleep_until(moment: float, stop: threading.Event) -> bool:
    """Wait for a moment (monotonic); whether it was told to stop."""
    return stop.wait(max(moment - time.monotonic(), 0.0))
