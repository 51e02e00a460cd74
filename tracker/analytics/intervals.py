"""Counts over time: who was where and who crossed, in equal parts of the source's time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

INTERVAL = 60.0
"""Seconds of a part."""
LONGEST_STEP = 1.0
"""Seconds that a frame stands for at most: after a gap in the source nobody knows."""


@dataclass(slots=True)
class Occupancy:
    """Of one class at one place in one part.

    Attributes:
        seconds: of all objects together.
        most: objects at once.
        entered: how many came in, a known id once for every time that it came.
    """

    seconds: float = 0.0
    most: int = 0
    entered: int = 0


@dataclass(slots=True)
class Interval:
    """One part of the time.

    Attributes:
        start: seconds of the source.
        seconds: for which frames stand.
        present: by place and class.
        crossed: by line, class and direction.
    """

    start: float
    seconds: float = 0.0
    present: dict[tuple[str, str], Occupancy] = field(default_factory=dict)
    crossed: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def at(self, place: str, class_name: str) -> Occupancy:
        """What is counted there, which may be nothing yet."""
        return self.present.setdefault((place, class_name), Occupancy())


class Intervals:
    """Counts frame by frame.

    Args:
        length: seconds of a part.
    """

    def __init__(self, length: float = INTERVAL) -> None:
        self.length = length
        self._parts: dict[int, Interval] = {}
        self._before: float | None = None

    def update(self, now: float, present: Mapping[str, Mapping[str, int]]) -> None:
        """Take one frame.

        Args:
            now: seconds of the source.
            present: objects by place and class.
        """
        step = 0.0 if self._before is None else min(max(now - self._before, 0.0), LONGEST_STEP)
        self._before = now
        part = self._part(now)
        part.seconds += step
        for place, classes in present.items():
            for class_name, count in classes.items():
                there = part.at(place, class_name)
                there.seconds += count * step
                there.most = max(there.most, count)

    def enter(self, now: float, place: str, class_name: str, count: int = 1) -> None:
        """Count objects that came in."""
        self._part(now).at(place, class_name).entered += count

    def cross(self, now: float, line: str, class_name: str, direction: str) -> None:
        """Count one that crossed a line."""
        crossed = self._part(now).crossed
        key = (line, class_name, direction)
        crossed[key] = crossed.get(key, 0) + 1

    def _part(self, now: float) -> Interval:
        number = math.floor(now / self.length)
        return self._parts.setdefault(number, Interval(number * self.length))

    def __iter__(self) -> Iterator[Interval]:
        """All parts from the first to the last, those in which nothing was too."""
        if self._parts:
            for number in range(min(self._parts), max(self._parts) + 1):
                yield self._parts.get(number, Interval(number * self.length))
