"""Live sources: the newest frame, and a lost stream is found again."""

from __future__ import annotations

import random
import re
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.sources.base import SMALLEST_STEP, Source
from tracker.sources.video import bgr
from tracker.types import Frame

OPEN_SECONDS, READ_SECONDS = 10.0, 10.0
"""Time-outs of opening a stream and of waiting for its next packet."""
PATIENCE = 2.0
"""Seconds that closing waits for the reader."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before trying again: doubled each time, up to the longest, with 50–100 % of it drawn by chance."""

Picture = tuple[NDArray[np.uint8], float | None]


def without_password(address: str) -> str:
    """The address as it may be shown: user and password of a URL are masked."""
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1***@", address)


class LiveSource(Source):
    """Keeps the newest frame of a stream in one slot; the reader never waits for a slow consumer.

    An end, an error or a time-out is a loss: it is told, and the stream is opened again after growing, jittered
    pauses. Timestamps are seconds since this source began, by the stream's own clock within a connection and
    by arrival across connections.

    Args:
        name: what it is called; without a password.
        report: takes a line when the stream is lost and when it is back.
        attempts: failures in a row after which to give up and end; None never does.
        max_frames: end after so many.
        first_pause: seconds before the first new attempt.
    """

    live = True

    def __init__(
        self,
        name: str,
        *,
        report: Callable[[str], None] = lambda _: None,
        attempts: int | None = None,
        max_frames: int | None = None,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self.name, self._report, self._attempts, self._max = name, report, attempts, max_frames
        self._first_pause = first_pause
        self.dropped = 0
        self._changed = threading.Condition()
        self._slot: tuple[NDArray[np.uint8], float] | None = None
        self._ended = False
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._keep_reading, name=f"read {name}", daemon=True)
        self._started = False

    @abstractmethod
    def _pictures(self) -> Generator[Picture]:
        """Open, and yield pictures with their stream's seconds (None where it has none); raise when lost."""

    def __iter__(self) -> Iterator[Frame]:
        if not self._started:
            self._started = True
            self._thread.start()
        index = 0
        while self._max is None or index < self._max:
            with self._changed:
                self._changed.wait_for(lambda: self._slot is not None or self._ended)
                if self._slot is None:
                    return
                image, timestamp = self._slot
                self._slot = None
            self.size = (image.shape[1], image.shape[0])
            yield Frame(image, index, timestamp, self.name)
            index += 1

    def stop(self) -> None:
        """End the iteration, also one that waits for a lost camera."""
        self._stop.set()
        self._end()

    def close(self) -> None:
        """Stop reading. A reader that hangs in a time-out of the network is left behind; it ends by itself."""
        self.stop()
        if self._started:
            self._thread.join(PATIENCE)

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _keep_reading(self) -> None:
        failures, last = 0, -SMALLEST_STEP
        while not self._stop.is_set():
            try:
                offset: float | None = None
                for image, seconds in self._pictures():
                    if failures:
                        self._report(f"{self.name}: back")
                    failures = 0
                    arrival = time.monotonic() - self._began
                    if seconds is not None and offset is None:
                        offset = arrival - seconds
                    last = max(arrival if seconds is None else seconds + (offset or 0.0), last + SMALLEST_STEP)
                    self._put(image, last)
                    if self._stop.is_set():
                        return
                reason = "the stream ended"
            except (av.FFmpegError, OSError) as error:
                reason = without_password(getattr(error, "strerror", None) or str(error))
            failures += 1
            if self._attempts is not None and failures >= self._attempts:
                self.problem = f"{self.name}: lost ({reason}), given up after {failures} attempts"
                break
            pause = min(self._first_pause * 2 ** (failures - 1), LONGEST_PAUSE) * random.uniform(0.5, 1.0)
            self._report(f"{self.name}: lost ({reason}); trying again in {pause:.1f} s")
            self._stop.wait(pause)
        self._end()

    def _put(self, image: NDArray[np.uint8], timestamp: float) -> None:
        with self._changed:
            self.dropped += self._slot is not None
            self._slot = (image, timestamp)
            self._changed.notify_all()


class NetworkStream(LiveSource):
    """RTSP, HTTP (MPEG-TS, MJPEG, HLS) and whatever else FFmpeg reads from an address."""

    kind = "stream"

    def __init__(self, address: str, **options: object) -> None:
        self._address = address
        super().__init__(without_password(address), **options)  # type: ignore[arg-type]

    def _pictures(self) -> Generator[Picture]:
        options = {"rtsp_transport": "tcp"} if self._address.startswith("rtsp") else {}
        with av.open(self._address, options=options, timeout=(OPEN_SECONDS, READ_SECONDS)) as container:
            if not container.streams.video:
                raise OSError("there is no video in it")
            stream = container.streams.video[0]
            self.frame_rate = float(stream.average_rate) if stream.average_rate else None
            for frame in container.decode(stream):
                yield bgr(frame), frame.time


class Webcam(LiveSource):
    """A camera of this machine, by its number."""

    kind = "webcam"

    def __init__(self, number: int, **options: object) -> None:
        self._number = number
        super().__init__(f"webcam {number}", **options)  # type: ignore[arg-type]

    def _pictures(self) -> Generator[Picture]:
        camera = cv2.VideoCapture(self._number)
        try:
            if not camera.isOpened():
                raise OSError(f"camera {self._number} cannot be opened: is it connected, and free?")
            while True:
                read, image = camera.read()
                if not read:
                    raise OSError("the camera stopped sending")
                yield np.asarray(image, np.uint8), None
        finally:
            camera.release()
