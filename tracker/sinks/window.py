"""A window that shows the tracking as it goes."""

from __future__ import annotations

import os
import sys

import cv2

from tracker.errors import ReacquireError
from tracker.protocols import Sink
from tracker.sinks.annotate import Annotator
from tracker.types import Detections, Frame, Tracks


class WindowSink(Sink):
    """Shows every frame; `closed` turns true when the user presses q or Esc.

    Raises:
        ReacquireError: there is no display, or this OpenCV was built without windows.
    """

    def __init__(self, title: str, frame_rate: float | None = None) -> None:
        self.title, self._rate, self.closed = title, frame_rate, False
        self._annotator: Annotator | None = None
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ReacquireError("--show: there is no display here; leave it out, the annotated video is saved anyway")
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL)
        except cv2.error as error:
            raise ReacquireError(f"--show: OpenCV cannot open a window here ({error.err}); leave it out") from error

    def write(self, frame: Frame, detections: Detections, tracks: Tracks) -> None:
        if self._annotator is None:
            self._annotator = Annotator(frame.size, self._rate or 30.0)
        cv2.imshow(self.title, self._annotator.draw(frame, tracks))
        self.closed = self.closed or (cv2.waitKey(1) & 0xFF) in (ord("q"), 27)

    def close(self) -> None:
        cv2.destroyWindow(self.title)
