"""Takes up the last checkpoint at the start, writes one now and then, and the last one at the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tracker.errors import ReacquireError
from tracker.live.camera import Camera
from tracker.live.checkpoint import restore_checkpoint, save_checkpoint
from tracker.live.events import EventLog
from tracker.live.numbers import EVENTS, Numbers, series_of
from tracker.live.settings import CheckpointSettings

log = logging.getLogger("reacquire.live")
RESTORE_TOLD_SECONDS = 86_400.0
"""So long it is told that something of before could not be taken up."""


class CheckpointKeeper:
    """Keeps the state of cameras and events, and the numbers that come next.

    Args:
        folder: of the service.
        settings: None where no checkpoint is written.
        cameras: the present ones.
        events: their events.
    """

    def __init__(
        self,
        folder: Path,
        settings: CheckpointSettings | None,
        cameras: Callable[[], tuple[Camera, ...]],
        events: EventLog,
        numbers: Numbers,
    ) -> None:
        self.path, self._settings = folder / "checkpoint.npz", settings
        self._cameras, self._events, self._numbers = cameras, events, numbers
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="checkpoint", daemon=True)
        self._began = time.monotonic()
        self._save_trouble: str | None = None
        self._restore_trouble: str | None = None
        self._restored = False

    @property
    def trouble(self) -> str | None:
        """What cannot be written, or could not be taken up, in words."""
        lately = time.monotonic() - self._began < RESTORE_TOLD_SECONDS
        return self._save_trouble or (self._restore_trouble if lately else None)

    def restore(self) -> None:
        """Take up the last state, and reserve the numbers that come next; never fails."""
        said = restore_checkpoint(
            self.path, self._cameras(), self._events, self._settings, self._numbers, self._not_restored
        )
        log.info("checkpoint: %s", said)
        self._numbers.start(self._following())
        self._restored = True

    def start(self) -> None:
        """Write one now and then from now on."""
        self._thread.start()

    def save(self, *, final: bool = False) -> None:
        """Write one; `final`: no number is given afterwards."""
        settings = self._settings
        if settings is None or not self._restored:  # else what is there would be lost
            return
        try:
            save_checkpoint(
                self.path, self._cameras(), self._events, keep_appearance=settings.keep_appearance, final=final
            )
        except (ReacquireError, MemoryError) as error:
            if self._save_trouble is None:
                log.warning("checkpoint: %s; tried again, tracking goes on", error)
            self._save_trouble = str(error) or "there is not enough memory"
        else:
            self._save_trouble = None

    def stop(self) -> None:
        """Write no more now and then."""
        self._stop.set()

    def join(self, timeout: float) -> None:
        """Wait for one that is being written."""
        if self._thread.is_alive():
            self._thread.join(timeout)

    def finish(self, timeout: float) -> None:
        """Write the last one, and give back the numbers that nobody took; a disk that hangs is left behind."""
        if self._restored:
            finishing = threading.Thread(target=self._save_the_last, name="last checkpoint", daemon=True)
            finishing.start()
            finishing.join(timeout)

    def _save_the_last(self) -> None:
        self.save(final=True)
        self._numbers.stop(self._following())

    def _keep(self) -> None:
        if self._settings is not None:
            while not self._stop.wait(self._settings.every_seconds):
                self.save()

    def _not_restored(self, why: str) -> None:
        log.warning("%s", why)
        self._restore_trouble = why if self._restore_trouble is None else f"{self._restore_trouble}; {why}"

    def _following(self) -> dict[str, int]:
        """The numbers that come next, by series."""
        ids = {series_of(camera.name): camera.tracker.next_id for camera in self._cameras()}
        return {EVENTS: self._events.next_number, **ids}
