"""Who is logged in: random names in a cookie, kept here as digests only, until they expire."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable


class Sessions:
    """Logins of browsers.

    Args:
        seconds: how long one lasts.
        most: at a time; the oldest gives way, so that memory is bounded.
    """

    def __init__(self, seconds: float, most: int = 1000, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._most, self._clock = seconds, most, clock
        self._ends: dict[bytes, float] = {}
        self._lock = threading.Lock()

    def begin(self) -> str:
        """A new one's name, for the cookie."""
        name, now = secrets.token_urlsafe(32), self._clock()
        with self._lock:
            self._ends = {digest: end for digest, end in self._ends.items() if end > now}
            if len(self._ends) >= self._most:
                self._ends.pop(next(iter(self._ends)))
            self._ends[_digest(name)] = now + self.seconds
        return name

    def holds(self, name: str) -> bool:
        """Whether it is one of ours and has not expired. Digests are compared, so time tells nothing of the name."""
        end = self._ends.get(_digest(name))
        return end is not None and end > self._clock()

    def end(self, name: str) -> None:
        """Log out."""
        with self._lock:
            self._ends.pop(_digest(name), None)

    def __len__(self) -> int:
        return len(self._ends)


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
