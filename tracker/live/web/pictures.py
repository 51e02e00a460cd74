"""Pictures for the page: each is painted and encoded once, for everybody who watches; a slow viewer skips some.

A camera has one painter: a thread that exists only while somebody watches. What it makes is put where viewers look
for it, and they are told; nobody waits for a viewer. A viewer holds one picture at a time, so memory is bounded by
their number.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.live.status import CameraView, LiveView, Snapshot
from tracker.live.web.settings import PictureSettings
from tracker.redact import redact
from tracker.sinks.annotate import Annotator
from tracker.types import Frame, Tracks

LOGGER = logging.getLogger(__name__)
LINGER = 2.0
"""Seconds a painter goes on after its last viewer left, so that trails outlast a reload of the page."""
PATIENCE = 0.5
LETTERS = {"grid": 1.5, "large": 1.15}
"""The page shows pictures smaller than they are."""


class Size(StrEnum):
    """grid: small, with boxes; large: with trails too."""

    GRID = "grid"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded picture of a camera."""

    camera: str
    number: int
    arrived: float
    jpeg: bytes


@dataclass(eq=False, slots=True)
class Viewer:
    """Somebody who watches: what was sent last of each camera, and the bell that rings when there is news."""

    size: Size
    last: dict[str, int]
    bell: asyncio.Event


class Painter:
    """Paints and encodes one camera's pictures."""

    def __init__(self, view: CameraView, settings: Mapping[Size, PictureSettings]) -> None:
        self.view, self._settings = view, settings
        self.encoded = 0
        self.viewers: set[Viewer] = set()  # touched by the loop's thread only; read by ours as a whole
        self.newest: dict[Size, Picture] = {}
        self._annotators: dict[tuple[Size, tuple[int, int]], Annotator] = {}
        self._painting, self._coming = threading.Lock(), threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._left = 0.0

    def join(self, viewer: Viewer, loop: asyncio.AbstractEventLoop) -> None:
        """Take a viewer; called by the loop's thread."""
        if viewer.size in self.newest:
            viewer.bell.set()
        with self._coming:
            self.viewers = self.viewers | {viewer}
            if self._thread is not None:
                return
            self._thread = threading.Thread(
                target=self._work, args=(loop,), name=f"paint {self.view.name}", daemon=True
            )
            self._thread.start()

    def leave(self, viewer: Viewer) -> None:
        """Let one go."""
        self.viewers = self.viewers - {viewer}
        self._left = time.monotonic()

    def close(self) -> None:
        """End the thread soon."""
        self._closing.set()

    def picture(self, snapshot: Snapshot, size: Size) -> Picture:
        """The snapshot at a size; painted at most once, whoever asks."""
        with self._painting:
            newest = self.newest.get(size)
            if newest is not None and newest.number >= snapshot.number:
                return newest
            jpeg = self._encode(snapshot, size)
            picture = Picture(self.view.name, snapshot.number, snapshot.arrived, jpeg)
            self.newest[size] = picture
            self.encoded += 1
            return picture

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        number = 0
        due = dict.fromkeys(Size, 0.0)
        while self._goes_on():
            sizes = {viewer.size for viewer in self.viewers} or {Size.LARGE}
            pause = min(due[size] for size in sizes) - time.monotonic()
            if pause > 0 and self._closing.wait(min(pause, PATIENCE)):
                continue
            snapshot = self._snapshot(number)
            if snapshot is None:
                continue
            number, now = snapshot.number, time.monotonic()
            for size in sizes:
                if due[size] <= now:
                    due[size] = max(due[size] + 1 / self._settings[size].fps, now)
                    self._publish(snapshot, size, loop)

    def _goes_on(self) -> bool:
        """Whether somebody looks; whoever comes after a no finds no thread, and starts one."""
        with self._coming:
            if not self._closing.is_set() and (self.viewers or time.monotonic() - self._left < LINGER):
                return True
            self._thread = None
            return False

    def _snapshot(self, number: int) -> Snapshot | None:
        try:
            return self.view.wait(number, PATIENCE)
        except Exception as error:  # noqa: BLE001  # whatever it is: the page goes on, and asks again
            LOGGER.warning("%s: no picture for the page: %s", self.view.name, redact(str(error)))
            self._closing.wait(PATIENCE)
            return None

    def _publish(self, snapshot: Snapshot, size: Size, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self.picture(snapshot, size)
        except Exception as error:  # noqa: BLE001  # a strange picture is one lost, not a thread
            LOGGER.warning("%s: picture %d cannot be painted: %s", self.view.name, snapshot.number, redact(str(error)))
            return
        try:
            loop.call_soon_threadsafe(self._ring, size)
        except RuntimeError:  # the loop has ended
            self._closing.set()

    def _ring(self, size: Size) -> None:
        for viewer in self.viewers:
            if viewer.size is size:
                viewer.bell.set()

    def _encode(self, snapshot: Snapshot, size: Size) -> bytes:
        settings = self._settings[size]
        height, width = snapshot.frame.shape[:2]
        scale = min(1.0, settings.width / width)
        target = max(1, round(width * scale)), max(1, round(height * scale))
        image: NDArray[np.uint8] = np.ascontiguousarray(snapshot.frame)
        if scale < 1:
            image = cv2.resize(image, target, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        tracks = _scaled(snapshot.tracks, scale)
        key = size, target
        if key not in self._annotators:
            self._annotators = {k: a for k, a in self._annotators.items() if k[0] is not size}
            rate = min(settings.fps, self.view.status().fps_out or settings.fps)  # trails are so many pictures long
            self._annotators[key] = Annotator(target, rate, trails=size is Size.LARGE, letters=LETTERS[size])
        drawn = self._annotators[key].draw(Frame(image, snapshot.number, snapshot.timestamp), tracks)
        done, jpeg = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, settings.quality])
        if not done:
            raise ValueError("JPEG failed")
        return jpeg.tobytes()


class Gallery:
    """The painters of all cameras, and the streams that viewers get.

    Args:
        view: the service.
        settings: by size.
    """

    def __init__(self, view: LiveView, settings: Mapping[Size, PictureSettings]) -> None:
        self._view, self._settings = view, settings
        self._painters: dict[str, Painter] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._bells: set[asyncio.Event] = set()

    @property
    def encoded(self) -> int:
        """Pictures encoded so far."""
        return sum(painter.encoded for painter in list(self._painters.values()))

    def painter(self, name: str) -> Painter:
        """Of a camera; KeyError without one."""
        view = self._view.cameras[name]
        with self._lock:
            if name not in self._painters or self._painters[name].view is not view:
                self._painters[name] = Painter(view, self._settings)
            return self._painters[name]

    async def watch(self, names: list[str], size: Size) -> AsyncGenerator[Picture]:
        """The newest pictures of cameras, in turns, for as long as it is read; pictures between are skipped."""
        loop = asyncio.get_running_loop()
        viewer = Viewer(size, dict.fromkeys(names, 0), asyncio.Event())
        painters = [self.painter(name) for name in names]
        self._bells.add(viewer.bell)
        try:
            for painter in painters:
                painter.join(viewer, loop)
            while not self._closing:
                await viewer.bell.wait()
                viewer.bell.clear()
                for painter in painters:
                    picture = painter.newest.get(size)
                    if picture is not None and picture.number > viewer.last[picture.camera]:
                        viewer.last[picture.camera] = picture.number
                        yield picture
        finally:
            self._bells.discard(viewer.bell)
            for painter in painters:
                painter.leave(viewer)

    def close(self) -> None:
        """End every stream and every thread; called by the loop's thread."""
        self._closing = True
        for bell in self._bells:
            bell.set()
        for painter in self._painters.values():
            painter.close()


def _scaled(tracks: Tracks, scale: float) -> Tracks:
    if scale == 1:
        return tracks
    boxes = tracks.xyxy * np.float32(scale)
    return Tracks(tracks.id, boxes, tracks.score, tracks.class_id, tracks.detection, tracks.state)
