"""An annotated video that plays in a browser: H.264 in MP4, at the frames' true times."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.files import replacing
from tracker.analytics.zones import Scene
from tracker.protocols import Sink
from tracker.sinks.annotate import Annotator
from tracker.sinks.mp4 import Mp4Writer, choose_encoder
from tracker.sinks.scene_overlay import SceneOverlay
from tracker.types import Detections, Frame, Tracks

Draw = Callable[[Frame, Tracks], NDArray[np.uint8]]

WAITING = 16
"""Frames that may wait for the encoder."""
NOMINAL_RATE = 30


class VideoSink(Sink):
    """Draws and encodes in a thread of its own; the file has its final name only when it is whole.

    Args:
        path: the file, `.mp4`.
        frame_rate: of the source, where known; timestamps are kept whatever it is.
        draw: what makes the picture of a frame and its tracks; an `Annotator` where it is not given.
        scene: zones and lines that are drawn too.
        class_names: names of class ids.

    Raises:
        ReacquireError: there is no encoder.
    """

    def __init__(
        self,
        path: Path,
        frame_rate: float | None = None,
        *,
        draw: Draw | None = None,
        scene: Scene | None = None,
        class_names: Mapping[int, str] | None = None,
    ) -> None:
        self.path: Path = path
        self._draw, self._scene, self._names = draw, scene, class_names or {}
        self._rate = frame_rate
        self._frames: queue.Queue[tuple[Frame, Tracks] | None] = queue.Queue(WAITING)
        self._error: Exception | None = None
        choose_encoder()
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
        frames = iter(self._frames.get, None)
        try:
            self._encode_all(frames)
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to whoever writes
            self._error = error
        for _ in frames:  # so that nobody waits for a place for ever
            pass

    def _encode_all(self, frames: Iterator[tuple[Frame, Tracks]]) -> None:
        first = next(frames, None)
        if first is None:
            return
        size, rate = first[0].size, self._rate or NOMINAL_RATE
        draw = self._draw or Annotator(size, rate).draw
        if self._scene is not None and self._scene != Scene():
            draw = SceneOverlay(self._scene, self._names, draw).draw
        with (
            replacing(self.path) as partial,
            Mp4Writer(partial, size, rate=Fraction(rate).limit_denominator(1001)) as video,
        ):
            for frame, tracks in chain([first], frames):
                video.write(draw(frame, tracks), frame.timestamp)
