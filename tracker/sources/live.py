"""What every live source does: keep the newest picture, notice a loss, and find the stream again."""

from __future__ import annotations

import random
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.protocols import Source
from tracker.redact import redact
from tracker.sources.base import SMALLEST_STEP
from tracker.sources.pictures import OneSize
from tracker.types import Frame

PATIENCE = 2.0
"""Seconds that closing waits for the reader."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before trying again: doubled each time, up to the longest, with 50–100 % of it drawn by chance."""
STEADY_SECONDS = 10.0
"""Being live so long makes the next loss a first one, with a short pause."""
TELL_SECONDS = 60.0
"""A loss that goes on for the same reason is told again so often."""
CLOCK_JUMP = 2.0
"""A stream's clock that strays further from the arrival of its pictures, in seconds, is set anew."""
THUMBNAIL = (48, 36)
STILL_MEAN, STILL_MOST = 1.5, 6
"""Grey levels by which thumbnails of a frozen picture may differ: what compression alone does to it."""
SAME_PIXELS, SAME_PICTURES = 0.99, 0.2
"""Share of sampled pixels that are equal in two equal pictures; of a frozen stream's that equal the one before: not
all do, since for some pictures after every key frame the encoder is still at work on details."""

Image = NDArray[np.uint8]
State = Literal["starting", "live", "reconnecting", "stopped"]


class Picture:
    """A picture as a reader yields it; what costs is only done where it is asked for.

    Args:
        seconds: on the stream's clock; None where it has none.
        convert: makes the image.
        sample: makes the sample; from the image when None.
    """

    __slots__ = ("_convert", "_sample", "seconds")

    def __init__(
        self, seconds: float | None, convert: Callable[[], Image], sample: Callable[[], Image] | None = None
    ) -> None:
        self.seconds, self._convert, self._sample = seconds, convert, sample

    @property
    def image(self) -> Image:
        """``(H, W, 3)`` uint8 BGR."""
        return self._convert()

    @property
    def sample(self) -> Image:
        """``(H / 8, W / 8)`` uint8, the brightness of every eighth pixel of every eighth row."""
        if self._sample is not None:
            return self._sample()
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(self.image[::8, ::8]), cv2.COLOR_BGR2GRAY), np.uint8)


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """A picture out of the slot: its seconds by the source's clock, and when it arrived (`time.monotonic`)."""

    image: Image
    timestamp: float
    arrival: float


@dataclass(frozen=True, slots=True)
class Connection:
    """How a live source is: its state, since when (unix seconds), why, and how often it was found again."""

    state: State = "starting"
    since: float = 0.0
    reason: str | None = None
    reconnects: int = 0


class LiveSource(Source):
    """Keeps the newest picture of a stream in one slot; the reader never waits for a slow consumer.

    An end, an error, a time-out or a picture that stands still is a loss: it is told, and the stream is opened
    again after growing, jittered pauses. Timestamps are seconds from `origin` on, by the stream's own clock within
    a connection and by arrival across connections and where the stream's clock jumps.

    Args:
        name: what it is called; without a password.
        report: takes a line when the stream is lost and when it is back.
        attempts: failures in a row after which to give up and end; None never does.
        final: errors at which to give up and end as long as no picture has come: asking again changes nothing.
        max_frames: end after so many.
        first_pause: seconds before the first new attempt.
        longest_pause: what it may grow to.
        most_rate: pictures a second that are wanted; others are skipped before they cost anything.
        frozen_seconds: a picture that stands still so long is a loss; None or 0: never.
        origin: what the first moment counts as, seconds.
        notify: called, in the reader's thread, after each new picture and each change of state.
        now: the time by which pictures arrive, in seconds that run evenly.

    Attributes:
        connection: how it is.
        arrived: pictures that came.
        received: those of them that were wanted.
        dropped: those of them that were replaced before anybody took them.
    """

    live = True

    def __init__(
        self,
        name: str,
        *,
        report: Callable[[str], None] = lambda _: None,
        attempts: int | None = None,
        final: tuple[type[Exception], ...] = (),
        max_frames: int | None = None,
        first_pause: float = FIRST_PAUSE,
        longest_pause: float = LONGEST_PAUSE,
        most_rate: float | None = None,
        frozen_seconds: float | None = None,
        origin: float = 0.0,
        notify: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self._report, self._attempts, self._max = name, report, attempts, max_frames
        self._final, self._refused = final, False
        self._first_pause, self._longest_pause = first_pause, longest_pause
        self._pace = Pace(most_rate)
        self._frozen = Frozen(frozen_seconds or 0.0)
        self._notify = notify
        self.connection = Connection(since=time.time())
        self.arrived = self.received = self.dropped = 0
        self._changed = threading.Condition()
        self._slot: CapturedFrame | None = None
        self._ended = False
        self._stop = threading.Event()
        self._now = now
        self._clock = StreamClock(now() - origin)
        self._thread = threading.Thread(target=self._keep_reading, name=f"read {name}", daemon=True)
        self._started = False
        self._told: tuple[str | None, float] = None, 0.0

    @abstractmethod
    def _pictures(self) -> Generator[Picture]:
        """Open, and yield pictures; raise when lost."""

    def start(self) -> None:
        """Begin to read; iterating does it too."""
        if not self._started:
            self._started = True
            self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        self.start()
        index = 0
        sizes = OneSize(self.name, self._report)
        while self._max is None or index < self._max:
            with self._changed:
                self._changed.wait_for(lambda: self._slot is not None or self._ended)
            captured = self.take()
            if captured is None:
                return
            image = sizes.fit(captured.image, index)
            self.size, self.rescaled = sizes.size, sizes.changed
            yield Frame(image, index, captured.timestamp, self.name)
            index += 1

    def settle(self, seconds: float) -> None:
        """Begin to read, and wait until the first picture is there or why there is none, at most so many seconds."""
        self.start()
        with self._changed:
            self._changed.wait_for(
                lambda: self._slot is not None or self._ended or self.connection.reason is not None, seconds
            )

    def take(self) -> CapturedFrame | None:
        """The newest picture, once; None where there is no new one. Never waits."""
        with self._changed:
            captured, self._slot = self._slot, None
        if captured is not None:
            self.size = (captured.image.shape[1], captured.image.shape[0])
        return captured

    @property
    def started(self) -> bool:
        """Whether it is read, or was."""
        return self._started

    @property
    def waiting(self) -> bool:
        """Whether there is a picture to take."""
        return self._slot is not None

    def stop(self) -> None:
        """End the iteration, also one that waits for a lost camera."""
        self._stop.set()
        self._end()

    def close(self, patience: float = PATIENCE) -> None:
        """Stop reading. A reader that hangs in a time-out of the network is left behind; it ends by itself."""
        self.stop()
        if self._started:
            self._thread.join(patience)

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _keep_reading(self) -> None:
        failures = 0
        while not self._stop.is_set():
            began = time.monotonic()
            reason = self._read_until_lost()
            if reason is None or self._stop.is_set():
                break
            if self._refused:
                self.problem = f"{self.name}: {reason}"
                self._become("stopped", reason)
                break
            failures = 0 if time.monotonic() - began > STEADY_SECONDS and self.connection.state == "live" else failures
            failures += 1
            if self._attempts is not None and failures >= self._attempts:
                self.problem = f"{self.name}: lost ({reason}), given up after {failures} attempts"
                self._become("stopped", reason)
                break
            pause = min(self._first_pause * 2 ** min(failures - 1, 30), self._longest_pause)
            pause *= random.uniform(0.5, 1.0)
            self._become("reconnecting" if self.connection.state != "starting" else "starting", reason)
            self._tell_lost(reason, pause)
            self._stop.wait(pause)
        if self.connection.state != "stopped":
            self._become("stopped", self.connection.reason)
        self._end()

    def _tell_lost(self, reason: str, pause: float) -> None:
        """Tell it at first, when the reason changes, and now and then."""
        before, when = self._told
        if reason != before or time.monotonic() - when > TELL_SECONDS:
            self._told = reason, time.monotonic()
            self._report(f"{self.name}: lost ({reason}); trying again in {pause:.1f} s")

    def _read_until_lost(self) -> str | None:
        """Read while it lasts; why it ended, or None when it was told to stop."""
        self._clock.reconnected()
        try:
            for picture in self._pictures():
                if self._stop.is_set():
                    return None
                self._put(picture)
        except FileFinishedError as error:
            self._become("stopped", str(error))
            self._stop.set()
            return None
        except Exception as error:  # noqa: BLE001  # whatever it is, a camera is tried again
            self._refused = isinstance(error, self._final) and self.received == 0
            return redact(getattr(error, "strerror", None) or str(error) or type(error).__name__)
        return "the stream ended"

    def _become(self, state: State, reason: str | None = None) -> None:
        """Change the state, and tell it."""
        before = self.connection
        since = before.since if before.state == state else time.time()
        back = state == "live" and before.state == "reconnecting"
        self.connection = Connection(state, since, reason, before.reconnects + back)
        if state == "live":
            self._told = None, 0.0
        if back:
            self._report(f"{self.name}: back")
        with self._changed:
            self._changed.notify_all()
        self._notify()

    def _lose(self) -> None:
        """Count a picture that is damaged and goes no further."""
        self.lost += 1

    def _put(self, picture: Picture) -> None:
        arrival = self._now()
        timestamp = self._clock.at(picture.seconds, arrival)
        self.arrived += 1
        self._frozen.check(picture, arrival)
        if self._frozen.lost or not self._pace.wants(timestamp):  # lost: connected, but still the same picture
            return
        image = picture.image
        if self.connection.state != "live":
            self._become("live")
        with self._changed:
            self.received += 1
            self.dropped += self._slot is not None
            self._slot = CapturedFrame(image, timestamp, arrival)
            self._changed.notify_all()
        self._notify()


class FileFinishedError(Exception):
    """A file that is played once came to its end."""


class Pace:
    """Chooses pictures so that no more than `rate` a second pass, evenly spaced; all where it is None."""

    def __init__(self, rate: float | None) -> None:
        self._step = 1 / rate if rate else 0.0
        self._due = -np.inf

    def wants(self, timestamp: float) -> bool:
        """Whether the picture at `timestamp` passes."""
        if timestamp < self._due - self._step * 0.25:  # cameras are never quite even
            return False
        self._due = max(self._due + self._step, timestamp + self._step * 0.5)
        return True


class StreamClock:
    """Seconds that always grow: the stream's own steps, anchored to arrival where they begin or jump."""

    def __init__(self, origin: float) -> None:
        self._origin = origin
        self._offset: float | None = None
        self._last = -np.inf

    def reconnected(self) -> None:
        """The stream's clock may begin anywhere."""
        self._offset = None

    def at(self, seconds: float | None, arrival: float) -> float:
        """The time of a picture of `seconds` on the stream's clock, which arrived at `arrival` (monotonic)."""
        now = arrival - self._origin
        if seconds is None:
            time_now = now
        else:
            if self._offset is None or seconds + self._offset <= self._last or self._strays(seconds, now):
                self._offset = now - seconds
            time_now = seconds + self._offset
        self._last = max(time_now, self._last + SMALLEST_STEP)
        return self._last

    def _strays(self, seconds: float, now: float) -> bool:
        assert self._offset is not None
        return abs(seconds + self._offset - now) > CLOCK_JUMP


class Frozen:
    """Notices a picture that stands still, and, across connections, that it moves again.

    A camera that hangs repeats one picture: its thumbnail stays, and many pictures equal the one before in every
    sampled pixel. Where nothing moves before a working camera, its noise makes pictures differ; a scene without any
    noise looks frozen: give it more patience, or none (0).
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._thumbnail: NDArray[np.int16] | None = None
        self._before: Image | None = None
        self._since = self._looked = 0.0
        self._same = self._count = 0
        self.lost = False

    def check(self, picture: Picture, now: float) -> None:
        """Take a picture at `now` (monotonic seconds).

        Raises:
            OSError: it has stood still for too long.
        """
        if not self._patience:
            return
        before, sample = self._before, picture.sample
        self._before = sample
        thumbnail = cv2.resize(sample, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.int16)
        same = before is not None and before.shape == sample.shape and float(np.mean(before == sample)) > SAME_PIXELS
        if self._thumbnail is None or self._differs(thumbnail, self._thumbnail):
            self._thumbnail, self.lost = thumbnail, False
            self._begin(now)
        elif now - self._looked > self._patience:  # no pictures for long: the pause of a loss, not a still one
            self._begin(now)
        self._looked = now
        self._count += 1
        self._same += same
        if now - self._since > self._patience:
            still = self._count > 2 and self._same > SAME_PICTURES * self._count
            self.lost = still or (self.lost and self._same > 0)  # once lost, it takes more to believe in it again
            self._begin(now)
            if still:
                raise OSError(f"the picture is frozen: the same for {self._patience:g} s")

    def _begin(self, now: float) -> None:
        self._since, self._same, self._count = now, 0, 0

    @staticmethod
    def _differs(one: NDArray[np.int16], other: NDArray[np.int16]) -> bool:
        difference = np.abs(one - other)
        return float(difference.mean()) > STILL_MEAN or int(difference.max()) > STILL_MOST
