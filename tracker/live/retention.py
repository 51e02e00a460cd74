"""How old files are, and which must go, whatever becomes of the machine's clock."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("reacquire.live")
CLOCK_SET = 60.0
"""Seconds by which a file's time of change must be wrong before it is mended."""


@dataclass(slots=True)
class _Known:
    """A file: since when it is known (monotonic), and how old it was then; None where the clock makes no sense."""

    since: float
    age: float | None
    written: bool


@dataclass(frozen=True, slots=True)
class _Look:
    path: Path
    size: int
    changed: float
    now: float
    known: _Known

    @property
    def age(self) -> float:
        """Seconds; of a file from the future, those since it is known."""
        return (self.known.age or 0.0) + self.now - self.known.since

    @property
    def order(self) -> tuple[bool, float]:
        """Files that were found, by their time of change, before those that were written here, as they were."""
        return self.known.written, self.known.since if self.known.written else self.changed


class Retention:
    """Deletes the oldest of a kind of files.

    What this process wrote has the age and the place that the monotonic clock gives it; when the machine's clock is
    set, such files get the time of change that they have by the new one. What was there before has the age that its
    time of change says, the smallest one that was ever seen, for a clock that runs ahead makes everything look old;
    and it goes for its age only when it has looked too old for `patience`: a machine that has just started may learn
    the time late.

    Args:
        keep: seconds.
        most: bytes of all files together.
    """

    def __init__(self, keep: float = math.inf, most: float = math.inf) -> None:
        self._keep, self._most = keep, most
        self._known: dict[Path, _Known] = {}

    def wrote(self, path: Path) -> None:
        """This process has just finished a file."""
        self._known[path] = _Known(time.monotonic(), 0.0, written=True)

    def make_room(self, paths: Iterable[Path], patience: float) -> None:
        """Delete those that are too old, and the oldest of those that are too many.

        Args:
            paths: all files of the kind that are finished.
            patience: seconds.
        """
        looks = self._look(paths)
        total = sum(look.size for look in looks)
        for look in looks:
            sure = look.known.written or look.now - look.known.since >= patience
            if (look.age > self._keep and sure) or total > self._most:
                total -= look.size
                self._delete(look.path)

    def in_order(self, paths: Iterable[Path]) -> list[Path]:
        """The oldest first."""
        return [look.path for look in self._look(paths)]

    def _look(self, paths: Iterable[Path]) -> list[_Look]:
        now, today = time.monotonic(), time.time()
        looks = []
        for path in paths:
            try:
                stat = path.stat()
            except OSError:  # somebody else deleted it
                continue
            known = self._known.setdefault(path, _Known(now, None, written=False))
            if not known.written:
                self._judge(known, now, today - stat.st_mtime)
            look = _Look(path, stat.st_size, stat.st_mtime, now, known)
            if known.written and abs(today - look.age - stat.st_mtime) > CLOCK_SET:
                _change_time(path, today - look.age)
            looks.append(look)
        self._known = {look.path: look.known for look in looks}
        return sorted(looks, key=lambda look: look.order)

    def _judge(self, known: _Known, now: float, apparent: float) -> None:
        """Take the smallest age that made sense."""
        if apparent >= 0:
            then = max(apparent - (now - known.since), 0.0)
            known.age = then if known.age is None else min(known.age, then)

    def _delete(self, path: Path) -> None:
        try:
            path.unlink()
        except OSError as error:
            log.warning("%s: cannot be deleted, though its time is over: %s", path, error.strerror)
        else:
            self._known.pop(path, None)


def _change_time(path: Path, moment: float) -> None:
    try:
        os.utime(path, (moment, moment))
    except (OSError, OverflowError) as error:
        log.debug("%s: its time cannot be mended: %s", path, error)
