"""An annotated video that plays in a browser: H.264 in MP4, at the frames' true times."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tracker.errors import ReacquireError
from tracker.sinks.annotate import Annotator
from tracker.sinks.base import Sink, partial_name, writing
from tracker.types import Detections, Frame, Tracks

Draw = Callable[[Frame, Tracks], NDArray[np.uint8]]

CLOCK = 90_000
"""Ticks a second of timestamps in the file."""
WAITING = 16
"""Frames that may wait for the encoder."""
NOMINAL_RATE = 30
ENCODERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"preset": "veryfast", "crf": "23"}),
    ("libopenh264", {}),
    ("h264", {}),
    ("mpeg4", {"qscale": "3"}),
)


def choose_encoder() -> tuple[str, dict[str, str]]:
    """The best encoder that this PyAV has: H.264 where there is one, else MPEG-4, which few browsers play.

    Raises:
        ReacquireError: none at all.
    """
    for name, options in ENCODERS:
        try:
            av.codec.Codec(name, "w")
        except (av.codec.codec.UnknownCodecError, ValueError):
            continue
        return name, options
    raise ReacquireError("PyAV has neither an H.264 nor an MPEG-4 encoder: leave `video` out of --save")


class VideoSink(Sink):
    """Draws and encodes in a thread of its own; the file has its final name only when it is whole.

    Args:
        path: the file, `.mp4`.
        frame_rate: of the source, where known; timestamps are kept whatever it is.
        draw: what makes the picture of a frame and its tracks; an `Annotator` where it is not given.
    """

    def __init__(self, path: Path, frame_rate: float | None = None, *, draw: Draw | None = None) -> None:
        self.path: Path = path
        self._draw = draw
        self._rate = frame_rate
        self._frames: queue.Queue[tuple[Frame, Tracks] | None] = queue.Queue(WAITING)
        self._error: BaseException | None = None
        self._encoder = choose_encoder()
        self._thread = threading.Thread(target=self._work, name="encode", daemon=True)
        self._thread.start()

    def write(self, frame: Frame, detections: Detections, tracks: Tracks) -> None:
        self._frames.put((frame, tracks))
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self._frames.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            with writing(self.path):
                self._encode_all()
        except (ReacquireError, av.FFmpegError, ValueError) as error:
            self._error = error
            while self._frames.get() is not None:  # so that nobody waits for a place for ever
                pass

    def _encode_all(self) -> None:
        first = self._frames.get()
        if first is None:
            return
        partial = partial_name(self.path)
        with av.open(str(partial), "w", format="mp4", options={"movflags": "faststart"}) as container:
            stream = self._open_stream(container, first[0].size)
            draw = self._draw or Annotator(first[0].size, self._rate or NOMINAL_RATE).draw
            item: tuple[Frame, Tracks] | None = first
            while item is not None:
                frame, tracks = item
                picture = av.VideoFrame.from_ndarray(_even(draw(frame, tracks)), format="bgr24")
                picture.pts = round(frame.timestamp * CLOCK)
                picture.time_base = Fraction(1, CLOCK)
                container.mux(stream.encode(picture))
                item = self._frames.get()
            container.mux(stream.encode())
        partial.replace(self.path)

    def _open_stream(self, container: OutputContainer, size: tuple[int, int]) -> VideoStream:
        name, options = self._encoder
        rate = Fraction(self._rate or NOMINAL_RATE).limit_denominator(1001)
        stream: VideoStream = container.add_stream(name, rate=rate, options=options)  # type: ignore[assignment]
        stream.width, stream.height = size[0] // 2 * 2, size[1] // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, CLOCK)
        return stream


def _even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Without the last row or column of an odd size, which H.264's usual colours cannot have."""
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return image
    return np.ascontiguousarray(image[: height // 2 * 2, : width // 2 * 2])
