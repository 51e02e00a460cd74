"""Serves all cameras with one set of networks: batches with a deadline, and fair when there is too much to do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from tracker.errors import ReacquireError
from tracker.live.camera import Camera
from tracker.live.clock import Clock
from tracker.live.meters import Rate
from tracker.live.perception import CameraRequest
from tracker.sources.live import CapturedFrame
from tracker.types import Detections, Frame

log = logging.getLogger("reacquire.live")
TICK = 0.25
"""Seconds between looks at what happens without pictures."""
OVERLOAD = 0.1
"""Share of wanted pictures that are dropped, beyond which the service is overloaded."""
SAVED_SECONDS = 0.5
"""Turns that a camera without pictures may save up, in seconds of its rate."""
FAILURES = 10
"""Batches in a row that fail, after which the service gives up."""

Perceive = Callable[[Sequence[Frame], Sequence[CameraRequest]], list[Detections]]


class Scheduler:
    """Takes the newest picture of each camera that has one, through the networks, to its tracker.

    A batch begins with the first picture and waits for others that are due, until it is full or the deadline has
    passed: a slow camera never holds it. When there are more pictures than the networks can take, those
    cameras come first that have been served least, measured by the rate that each wants; so all slow alike.

    Args:
        cameras: to serve.
        perceive: pictures and requests in, detections out.
        batch: pictures at a time, at most.
        deadline: seconds that a batch waits.
        clock: that all of it goes by.
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        perceive: Perceive,
        *,
        batch: int,
        deadline: float,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._cameras, self._perceive = cameras, perceive
        self.batch, self._deadline = batch, deadline
        self._news = threading.Condition()
        self._stop = False
        self._ticked = 0.0
        self._failures = 0
        self._pictures, self._batches = Rate(self._clock), Rate(self._clock)
        self._received, self._dropped = Rate(self._clock), Rate(self._clock)
        self._counted = (0, 0)

    def notify(self) -> None:
        """There is a new picture, or another state of a camera."""
        with self._news:
            self._news.notify_all()

    def add(self, camera: Camera) -> None:
        """Serve one more."""
        with self._news:
            self._cameras = (*self._cameras, camera)
            self._news.notify_all()

    def stop(self) -> None:
        """End `run` after the batch in work."""
        with self._news:
            self._stop = True
            self._news.notify_all()

    def run(self) -> None:
        """Serve until told to stop.

        Raises:
            Exception: what the networks raised, batch after batch.
        """
        while not self._stop:
            self.serve_once()

    def serve_once(self) -> None:
        """One batch, or a while in which no picture came; see `run`."""
        chosen = self._choose()
        captured = [(camera, frame) for camera in chosen if (frame := camera.take()) is not None]
        if captured:
            self._serve(captured)
        if self._clock.now() - self._ticked > TICK:
            self._tick()

    @property
    def pictures_per_second(self) -> float:
        """Through the networks."""
        return self._pictures.per_second()

    @property
    def batch_mean(self) -> float:
        """Pictures a batch, of late."""
        batches = self._batches.per_second()
        return self._pictures.per_second() / batches if batches else 0.0

    @property
    def overloaded(self) -> bool:
        """Whether many wanted pictures were dropped of late."""
        return self._dropped.per_second() > OVERLOAD * max(self._received.per_second(), 1.0)

    def _ready(self) -> list[Camera]:
        return [camera for camera in self._cameras if camera.waiting]

    def _choose(self) -> list[Camera]:
        """The cameras of the next batch, those that were served least first."""
        with self._news:
            self._clock.wait_for(self._news, lambda: self._stop or bool(self._ready()), TICK)
            expected = sum(camera.waiting or camera.expects(self._deadline) for camera in self._cameras)
            enough = min(self.batch, expected)
            self._clock.wait_for(self._news, lambda: self._stop or len(self._ready()) >= enough, self._deadline)
        chosen = sorted(self._ready(), key=lambda camera: camera.traffic.progress)[: self.batch]
        least = max(camera.traffic.progress for camera in self._cameras) - SAVED_SECONDS
        for camera in chosen:
            camera.traffic.pay(least)
        return chosen

    def _serve(self, captured: Sequence[tuple[Camera, CapturedFrame]]) -> None:
        frames = [Frame(frame.image, 0, frame.timestamp, camera.name) for camera, frame in captured]
        try:
            found = self._perceive(frames, [camera.request for camera, _ in captured])
        except Exception as error:
            self._failures += 1
            log.exception("the networks failed on a batch of %d", len(frames))
            if self._failures >= FAILURES:
                raise
            if isinstance(error, MemoryError):
                time.sleep(TICK)
            return
        self._failures = 0
        for (camera, frame), detections in zip(captured, found, strict=True):
            try:
                camera.track(frame, detections)
            except ReacquireError as error:
                log.warning("%s: a picture is left out: %s", camera.name, error)
        self._pictures.add(len(captured))
        self._batches.add()

    def _tick(self) -> None:
        self._ticked = self._clock.now()
        received = sum(camera.source.received for camera in self._cameras)
        dropped = sum(camera.source.dropped for camera in self._cameras)
        self._received.add(received - self._counted[0])
        self._dropped.add(dropped - self._counted[1])
        self._counted = received, dropped
        for camera in self._cameras:
            camera.tick()
