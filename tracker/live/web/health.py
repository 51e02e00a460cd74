"""Whether the service should be restarted, and whether it sees anything: two questions, two answers.

A dead camera is no reason to restart: that would not bring it back, and the tracks of the others would be lost. So
health asks only whether the service answers and tracks what arrives; readiness asks whether a camera is live.
"""

from __future__ import annotations

import asyncio
import time

from tracker.errors import ReacquireError
from tracker.live.status import CameraStatus, LiveView

ANSWER_SECONDS = 2.0
STALL_SECONDS = 60.0
FRESH_SECONDS = 0.5
"""An answer holds so long, so that asking costs nothing."""


class Pulse:
    """Feels whether a service lives."""

    def __init__(self, view: LiveView) -> None:
        self._view, self._lock = view, asyncio.Lock()
        self._asked, self._statuses = -FRESH_SECONDS, list[CameraStatus]()
        self._moved = time.monotonic()
        self._stuck = False

    async def health(self) -> str:
        """`ok`; `stuck` when the service does not answer; `stalled` when frames come and none is tracked for long."""
        await self._ask()
        if self._stuck:
            return "stuck"
        return "stalled" if time.monotonic() - self._moved > STALL_SECONDS else "ok"

    async def readiness(self) -> str:
        """As health, but `no camera is live` when none is."""
        health = await self.health()
        live = any(status.state == "live" for status in self._statuses)
        return health if live or health != "ok" else "no camera is live"

    async def _ask(self) -> None:
        async with self._lock:
            if time.monotonic() - self._asked < FRESH_SECONDS:
                return
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    self._statuses = await asyncio.to_thread(self._look)
                self._stuck = False
            except (TimeoutError, ReacquireError, RuntimeError):
                self._stuck = True
            self._asked = time.monotonic()
            waiting = [s for s in self._statuses if s.state == "live" and s.fps_in > 0]
            if not waiting or any(status.fps_out > 0 for status in waiting):
                self._moved = self._asked

    def _look(self) -> list[CameraStatus]:
        self._view.status()
        return [camera.status() for camera in list(self._view.cameras.values())]
