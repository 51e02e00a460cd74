"""Video of a camera in segments: H.264, readable up to the last second whatever happens, and not for ever."""

from __future__ import annotations

import shutil
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.errors import ReacquireError
from tracker.live.background_writer import BackgroundWriter
from tracker.live.frames import TrackedFrame
from tracker.live.retention import Retention
from tracker.live.settings import RecordSettings
from tracker.sinks.annotate import Annotator
from tracker.sinks.mp4 import Mp4Writer
from tracker.types import Frame

Image = NDArray[np.uint8]
WAITING = 32
"""Pictures that may wait for the encoder."""
LONGEST_GAP = 30.0
"""Seconds without pictures after which a new segment begins."""
CHECK_SECONDS, SWEEP_SECONDS = 5.0, 600.0
KEY_SECONDS = 2.0
BLUR_SECONDS = 1.0
"""A box is blurred so long after it was seen last: detectors miss frames."""
BLOCKS, MARGIN = 6, 0.15
"""Width of blurred people in blocks, and the share by which a box grows on each side first."""
GB, DAY = 1e9, 86_400.0


class Recorder(BackgroundWriter[TrackedFrame]):
    """Records one camera as `recordings/CAMERA/2026-01-31/140000Z.mp4`, in fragments that are whole at any moment.

    Args:
        folder: of the service.
        camera: its name.
        settings: boxes, blur and limits.
        people: class ids that blurring covers.
    """

    def __init__(self, folder: Path, camera: str, settings: RecordSettings, people: frozenset[int]) -> None:
        super().__init__(f"record {camera}", WAITING)
        self._folder, self._settings = folder / "recordings" / camera, settings
        self._people = people
        self._segment: _Segment | None = None
        self._failed = False  # the last time that something was written
        self._blurred: deque[tuple[float, NDArray[np.float32]]] = deque()
        self._checked, self._swept = -CHECK_SECONDS, -SWEEP_SECONDS
        self._retention = Retention(settings.keep_days * DAY, settings.max_gb * GB)

    def status(self) -> str:
        """What it does, in words."""
        return "on" if self.trouble is None else f"stopped: {self.trouble}"

    def handle(self, item: TrackedFrame) -> None:
        self._check_room()
        try:
            self._record(item)
        except BaseException:
            self._failed = True
            self._abandon()
            raise

    def _record(self, item: TrackedFrame) -> None:
        frame = item.frame
        if self._segment is not None and not self._segment.takes(frame, self._settings.segment_minutes * 60):
            self._close()
        if self._segment is None:
            self._make_room()
            self._segment = _Segment(self._new_path(frame.timestamp), frame)
        if self._settings.blur:
            frame = Frame(self._blur(item), frame.index, frame.timestamp, frame.source)
        image = self._segment.annotator.draw(frame, item.tracks) if self._settings.boxes else frame.image
        self._segment.write(image, frame.timestamp)

    def proves(self, item: TrackedFrame) -> bool:
        if self._segment is not None and self._segment.on_disk:
            self._failed = False
        return not self._failed

    def idle(self) -> None:
        if time.monotonic() - self._swept > SWEEP_SECONDS:  # also where a lost camera begins no segment
            self._make_room()

    def finish(self) -> None:
        self._close()

    def _close(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            try:
                segment.close()
            finally:
                self._retention.wrote(segment.path)

    def _abandon(self) -> None:
        """Let go of a file that cannot be written; what is whole of it stays."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.discard()
            self._retention.wrote(segment.path)

    def _new_path(self, timestamp: float) -> Path:
        moment = datetime.fromtimestamp(timestamp, UTC)
        path = self._folder / moment.strftime("%Y-%m-%d") / moment.strftime("%H%M%SZ.mp4")
        path.parent.mkdir(parents=True, exist_ok=True)
        count = 1
        while path.exists():
            count += 1
            path = path.with_name(f"{moment.strftime('%H%M%SZ')}-{count}.mp4")
        return path

    def _check_room(self) -> None:
        """Refuse where the disk is nearly full."""
        if time.monotonic() - self._checked < CHECK_SECONDS:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._folder).free / GB
        if free < self._settings.min_free_gb:
            with suppress(ReacquireError):  # there is room for its end, or what is whole of it stays
                self._close()
            raise ReacquireError(f"the disk is full: {free:.2f} GB are free, {self._settings.min_free_gb:g} must stay")
        self._checked = time.monotonic()

    def _make_room(self) -> None:
        """Delete segments that are too old, and the oldest ones of those that are too many."""
        self._swept = time.monotonic()
        current = None if self._segment is None else self._segment.path
        finished = (path for path in self._folder.glob("*/*.mp4") if path != current)
        self._retention.make_room(finished, SWEEP_SECONDS)
        for day in self._folder.glob("*/"):
            with suppress(OSError):  # where there are others in it
                day.rmdir()

    def _blur(self, item: TrackedFrame) -> Image:
        """A copy of the picture with people made of a few blocks: all detections, not only those with an id."""
        now = item.frame.timestamp
        detections, tracks = item.detections, item.tracks
        seen = [detections.xyxy[np.isin(detections.class_id, list(self._people))]]
        seen.append(tracks.xyxy[np.isin(tracks.class_id, list(self._people))])
        self._blurred.append((now, np.concatenate(seen)))
        while now - self._blurred[0][0] > BLUR_SECONDS:
            self._blurred.popleft()
        return pixelated(item.frame.image, np.concatenate([boxes for _, boxes in self._blurred]))


def pixelated(image: Image, boxes: NDArray[np.float32]) -> Image:
    """A copy of `image` in which ``(N, 4)`` boxes, grown by a margin, are a few blocks wide."""
    result = image.copy()
    height, width = image.shape[:2]
    grow = (boxes[:, 2:] - boxes[:, :2]) * MARGIN
    grown = np.concatenate([np.floor(boxes[:, :2] - grow), np.ceil(boxes[:, 2:] + grow)], axis=1)
    for x1, y1, x2, y2 in np.clip(grown, 0, [width, height, width, height]).astype(int).tolist():
        if x2 <= x1 or y2 <= y1:
            continue
        part = image[y1:y2, x1:x2]
        rows = max(1, round(BLOCKS * (y2 - y1) / (x2 - x1)))
        small = cv2.resize(part, (min(BLOCKS, x2 - x1), min(rows, y2 - y1)), interpolation=cv2.INTER_AREA)
        result[y1:y2, x1:x2] = cv2.resize(small, (x2 - x1, y2 - y1), interpolation=cv2.INTER_NEAREST)
    return result


class _Segment:
    """One file."""

    def __init__(self, path: Path, first: Frame) -> None:
        self.path = path
        self._size, self._began, self._last = first.size, first.timestamp, -1.0
        self._key = -KEY_SECONDS
        self.annotator = Annotator(first.size, 10)
        self._video = Mp4Writer(path, first.size, fragments=True, fast=True, threads=1)

    def takes(self, frame: Frame, longest: float) -> bool:
        """Whether a frame belongs to this segment."""
        age = frame.timestamp - self._began
        return frame.size == self._size and self._last < age < longest and age - self._last < LONGEST_GAP

    def write(self, image: Image, timestamp: float) -> None:
        """Encode one picture."""
        at = timestamp - self._began
        key = at - self._key >= KEY_SECONDS
        self._video.write(image, at, key=key)
        self._key = at if key else self._key
        self._last = at

    @property
    def on_disk(self) -> bool:
        """Whether pictures of it are."""
        return self._video.has_fragments

    def close(self) -> None:
        """Finish the file; it is let go whatever happens."""
        self._video.close()

    def discard(self) -> None:
        """Let go of a file that cannot be written any further; what is whole of it stays."""
        self._video.discard()
