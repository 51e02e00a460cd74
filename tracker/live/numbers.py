"""Numbers that are never given twice: blocks of them are reserved on the disk before any is used."""

from __future__ import annotations

import json
import logging
import threading
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from reid.files import replacing, sync_folder
from tracker.errors import DataError, ReacquireError

log = logging.getLogger("reacquire.live")
FORMAT = 1
EVENTS = "events"
"""The series of events' numbers; ids of a camera are one each."""
BLOCKS = {EVENTS: 1000}
BLOCK = 100
"""Numbers that are reserved at a time: what a crash passes over, at most twice."""
RETRY_SECONDS, DISK_SECONDS = 5.0, 2.0
"""After a failure it is tried again so often; so long anybody waits for the disk."""
HIGHEST = 2**53
"""Beyond it numbers are not exact everywhere that they go to."""


def series_of(camera: str) -> str:
    """The series of a camera's ids."""
    return f"ids of {camera}"


class Numbers:
    """Series of numbers, each from 1 on; nobody uses one that is not reserved in the file, except where the disk
    takes nothing: then numbers go on from the milliseconds of the hour, where none has ever been.

    Args:
        path: of the file.

    Attributes:
        trouble: why nothing can be reserved, in words; None while all is well.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble: str | None = None
        self._reserved: dict[str, int] = {}  # all numbers below may have been given
        self._least = 1  # of a series that nothing is known of
        self._unreserved: set[str] = set()  # those that go on from the milliseconds
        self._short: dict[str, int] = {}
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._writing, self._changed = threading.Lock(), threading.Condition()
        self._begun = False

    def read(self) -> bool:
        """Take up what is reserved; whether there is a file.

        Raises:
            DataError: it cannot be read.
        """
        try:
            content = json.loads(self.path.read_bytes())
            self._take_up(content)
        except FileNotFoundError:
            return False
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"{self.path}: cannot be read: {error}") from error
        return True

    def _take_up(self, content: Any) -> None:
        reserved, least = content["reserved"], content["least"]
        if content["format"] != FORMAT or content["check"] != _check(reserved, least):
            raise DataError("its content is not what was written")
        if not all(type(number) is int and 1 <= number <= HIGHEST for number in (least, *reserved.values())):
            raise DataError("a number is out of range")
        self._reserved, self._least = reserved, least

    def forgotten(self) -> None:
        """What was given is not known: all series go on where no number has ever been."""
        self._least = _never_given()

    def know(self, series: str, following: int) -> None:
        """All numbers below `following` may have been given."""
        self._reserved[series] = max(self._reserved.get(series, 1), following)

    def first(self, series: str) -> int:
        """The first number of a series that has not been given for sure."""
        return max(self._reserved.get(series, 1), self._least)

    def start(self, series: Mapping[str, int]) -> None:
        """Reserve the first blocks, of series that go on at these numbers, and from now on others in time."""
        self._begun = True
        self._reserve({name: following + _block(name) for name, following in series.items()})
        threading.Thread(target=self._work, name="numbers", daemon=True).start()

    def allow(self, series: str, wanted: int, count: int = 1) -> int:
        """The number that may be given next, `count` following ones included: `wanted`, or a higher one.

        Waits for the disk only where a block is used up before the next one was reserved, and not for long.
        """
        if not self._begun:
            return wanted
        end = self._reserved.get(series, 0)
        if wanted + count + _block(series) // 2 > end:
            self._short[series] = wanted + count
            self._wake.set()
        if wanted + count <= end or series in self._unreserved:
            return wanted
        if self._stopped.is_set():  # somebody was still at work
            self._reserve({series: wanted + count + _block(series)})
        with self._changed:
            self._changed.wait_for(
                lambda: wanted + count <= self._reserved.get(series, 0) or self.trouble, DISK_SECONDS
            )
            if wanted + count <= self._reserved.get(series, 0):
                return wanted
            self._unreserved.add(series)
        return max(wanted, _never_given())

    def stop(self, following: Mapping[str, int]) -> None:
        """Give back what was reserved and not used: these come next. Who goes on all the same reserves anew."""
        self._stopped.set()
        self._wake.set()
        with self._changed:
            self._reserved = self._reserved | dict(following)
        self._reserve({})

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._stopped.is_set():
                return
            if not self._reserve({name: number + _block(name) for name, number in list(self._short.items())}):
                self._stopped.wait(RETRY_SECONDS)
                self._wake.set()

    def _reserve(self, ends: Mapping[str, int]) -> bool:
        """Have it on the disk that numbers below these may be given; whether it could be done."""
        with self._writing:
            reserved = self._reserved | {name: max(end, self._reserved.get(name, 1)) for name, end in ends.items()}
            problem = self._write(reserved)
            with self._changed:
                if problem is None:
                    self._reserved = reserved
                    self._unreserved -= ends.keys()
                elif self.trouble is None:
                    log.warning("numbers: %s; tried again, tracking goes on", problem)
                self.trouble = problem
                self._changed.notify_all()
        return problem is None

    def _write(self, reserved: Mapping[str, int]) -> str | None:
        """What went wrong, in words."""
        check = _check(reserved, self._least)
        content = {"format": FORMAT, "reserved": reserved, "least": self._least, "check": check}
        try:
            with replacing(self.path) as partial:
                partial.write_text(json.dumps(content), encoding="ascii")
        except ReacquireError as error:
            return str(error)
        sync_folder(self.path.parent)
        return None


def put_aside(path: Path) -> str:
    """Give something that cannot be used another name; where it is now, in words."""
    for number in range(1, 100):
        aside = path.with_suffix(".damaged" if number == 1 else f".damaged-{number}")
        with suppress(OSError):
            path.replace(aside)
            return f"it is now {aside.name}"
    return "and it cannot even be put aside"


def _block(series: str) -> int:
    return BLOCKS.get(series, BLOCK)


def _check(reserved: Mapping[str, int], least: int) -> int:
    return zlib.crc32(json.dumps([least, sorted(reserved.items())]).encode())


def _never_given() -> int:
    """More than anybody ever counted up to; and less than a thousand are given a second."""
    return int(time.time() * 1000)
