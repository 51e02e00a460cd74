"""Live sources: network streams, webcams, and files that are played as if they were cameras."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
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
from tracker.sources.clock import FileClock
from tracker.sources.container import NO_LENGTH, open_container, video_stream
from tracker.sources.decoding import Decoder, until_next_anchor, upright
from tracker.sources.live import FileFinishedError, LiveSource, Picture
from tracker.sources.pictures import MOST_PIXELS, TooLargeError
from tracker.sources.places import network_address
from tracker.sources.transport import open_stream

OPEN_SECONDS, READ_SECONDS = 10.0, 10.0
"""Time-outs of opening a stream and of waiting for its next packet."""
BAD_PACKETS = 50
"""Packets in a row that cannot be decoded, after which a stream counts as lost."""
MOST_A_SECOND = 250
"""Packets a second that are decoded of a stream."""
PROBE = "500000"
"""Microseconds of a stream that are looked at before its first picture; FFmpeg's own five seconds are a long outage."""
PLANAR = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"}
"""Formats whose first plane is the brightness, a byte a pixel."""
NO_CLOCK = {"mpjpeg", "mjpeg"}
"""Formats without times in them; FFmpeg makes up a constant rate."""
FINAL: tuple[type[Exception], ...] = (
    av.error.HTTPBadRequestError,
    av.error.HTTPUnauthorizedError,
    av.error.HTTPForbiddenError,
    av.error.HTTPNotFoundError,
    av.error.HTTPOtherClientError,
    av.error.ProtocolNotFoundError,
    TooLargeError,
)
"""Answers that stay the same when one asks again."""


class NetworkStream(LiveSource):
    """RTSP, HTTP (MPEG-TS, MJPEG, HLS) and whatever else FFmpeg reads from an address.

    Args:
        address: with user and password where it needs them; they are shown nowhere.
        transport: of RTSP: tcp, or udp for cameras and networks that lose less than they delay.
        open_seconds: time-out of opening it.
        read_seconds: time-out of waiting for the next packet.
        max_pixels: of a picture; a stream of larger ones counts as lost.
        options: of `LiveSource`.

    Raises:
        SourceError: the address cannot be right.
    """

    kind = "stream"

    def __init__(
        self,
        address: str,
        *,
        transport: Literal["tcp", "udp"] = "tcp",
        open_seconds: float = OPEN_SECONDS,
        read_seconds: float = READ_SECONDS,
        max_pixels: int = MOST_PIXELS,
        name: str | None = None,
        **options: object,
    ) -> None:
        self._address, self._transport = network_address(address), transport
        self._timeout, self._most = (open_seconds, read_seconds), max_pixels
        super().__init__(name or redact(address), **options)  # type: ignore[arg-type]

    def _pictures(self) -> Generator[Picture]:
        options = {"fflags": "nobuffer", "analyzeduration": PROBE}
        if self._address.lower().startswith(("rtsp://", "rtsps://")):
            options["rtsp_transport"] = self._transport
        opened = open_stream(self._address, self._most, options=options, timeout=self._timeout)
        with opened as (container, transport):
            stream = video_stream(container, self._most)
            self.frame_rate = float(stream.average_rate) if stream.average_rate else None
            clocked = container.format.name not in NO_CLOCK
            deadline, breath = time.monotonic() + self._timeout[1], _Breath()
            for frame in whole_frames(container, stream, max_pixels=self._most, lose=self._lose):
                if transport is not None:
                    transport.passed()
                if breath.spent() and self._stop.wait(breath.rest):
                    return
                if frame is not None:
                    deadline = time.monotonic() + self._timeout[1]
                    yield Picture(frame.time if clocked else None, partial(upright, frame), partial(sampled, frame))
                elif time.monotonic() > deadline:
                    raise OSError(f"no whole picture for {self._timeout[1]:g} s")


class _Breath:
    """Makes a stream of too many pictures a second wait, so that it takes no turns from others.

    It may catch up with what waited in the network; what is more fills the sender's side of the connection.
    """

    def __init__(self) -> None:
        self._began, self._count = time.monotonic(), 0
        self.rest = 0.0

    def spent(self) -> bool:
        """Count a packet; whether this second's are used up, and `rest` seconds are left of it."""
        self._count += 1
        if self._count < MOST_A_SECOND:
            return False
        now = time.monotonic()
        self.rest = max(self._began + 1 - now, 0.0)
        self._began, self._count = now + self.rest, 0
        return self.rest > 0


def whole_frames(
    container: InputContainer,
    stream: VideoStream,
    *,
    max_pixels: int = MOST_PIXELS,
    patience: int | None = BAD_PACKETS,
    lose: Callable[[], None] = lambda: None,
) -> Generator[VideoFrame | None]:
    """Decoded frames but those that are damaged or build on a damaged one; None for a packet that gave no whole one.

    Args:
        container: open.
        stream: of it, as `video_stream` gives it.
        max_pixels: of a picture.
        patience: packets in a row that may be undecodable; None: any number.
        lose: called for each picture that is left out.

    Raises:
        OSError: too many packets in a row could not be decoded.
        TooLargeError: a picture has too many pixels.
    """
    bad = 0
    pictures = Decoder(stream, max_pixels).decode(container.demux(stream))
    for picture in until_next_anchor(pictures) if stream.codec_context.has_b_frames else pictures:
        whole = picture.frame if picture.damage == "none" else None
        bad = bad + 1 if picture.error is not None else 0 if whole is not None else bad
        if isinstance(picture.error, TooLargeError):
            raise picture.error
        if patience is not None and bad > patience:
            raise OSError(f"it cannot be decoded: {getattr(picture.error, 'strerror', picture.error)}")
        if picture.damage != "none":
            lose()
        yield whole


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
        max_pixels: of a picture.
        options: of `LiveSource`.
    """

    kind = "file"

    def __init__(
        self,
        path: Path,
        *,
        loop: bool = True,
        max_pixels: int = MOST_PIXELS,
        name: str | None = None,
        **options: object,
    ) -> None:
        self._path, self._loop, self._most = path, loop, max_pixels
        super().__init__(name or str(path), **options)  # type: ignore[arg-type]

    def _pictures(self) -> Generator[Picture]:
        if not self._path.is_file():
            raise OSError(f"{self._path}: no such file")
        shown, began = 0.0, time.monotonic()
        while True:
            with open_container(self._path, self._most) as container:
                stream = video_stream(container, self._most)
                clock = FileClock(float(stream.average_rate or 25), jumps=bool(container.format.flags & NO_LENGTH))
                base = shown + clock.step if shown else 0.0
                frames = whole_frames(container, stream, max_pixels=self._most, patience=None, lose=self._lose)
                for frame in frames:
                    if frame is None:
                        continue
                    shown = base + clock.at(frame.time, 0)
                    if _sleep_until(began + shown, self._stop):
                        return
                    yield Picture(shown, partial(upright, frame), partial(sampled, frame))
                if clock.last < 0:
                    raise OSError("there is no picture in it")
            if not self._loop:
                raise FileFinishedError("the file was played to its end")


def _sleep_until(moment: float, stop: threading.Event) -> bool:
    """Wait for a moment (monotonic); whether it was told to stop."""
    return stop.wait(max(moment - time.monotonic(), 0.0))
