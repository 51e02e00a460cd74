"""Who was here: for every id when it was in view, for how long, from where to where, and in which zones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.types import Tracks

LONGEST_STEP = 1.0
"""Seconds between two sightings that still count as being in view; after a longer gap the time does not."""
VISIT = np.dtype(
    [
        ("id", np.int64),
        ("class_id", np.int64),
        ("first", np.float64),
        ("last", np.float64),
        ("seconds", np.float64),
        ("first_foot", np.float32, 2),
        ("last_foot", np.float32, 2),
    ]
)


@dataclass(frozen=True, slots=True)
class Visit:
    """One id.

    Attributes:
        id: of the track.
        class_name: of the object.
        first: seconds of the source when it was seen first.
        last: and last.
        seconds: in view, without gaps of over a second.
        first_foot: bottom centre of the first box, in shares of the picture's sides.
        last_foot: of the last.
        zones: names of those that it was in, in the order of the zones' file.
    """

    id: int
    class_name: str
    first: float
    last: float
    seconds: float
    first_foot: tuple[float, float]
    last_foot: tuple[float, float]
    zones: tuple[str, ...]


class Visits:
    """Keeps a row for every id; updates take all tracks of a frame at once.

    Args:
        zones: names of the zones.
        class_names: names of class ids.
    """

    def __init__(self, zones: Sequence[str], class_names: Mapping[int, str]) -> None:
        self._zones, self._names = tuple(zones), class_names
        self._rows = np.empty(0, VISIT)
        self._been = np.empty((0, len(self._zones)), bool)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def update(self, tracks: Tracks, foot: NDArray[np.float64], inside: NDArray[np.bool_], now: float) -> None:
        """Take one frame.

        Args:
            tracks: that were seen.
            foot: ``(M, 2)`` bottom centres in shares of the picture's sides.
            inside: ``(M, Z)`` who is in which zone.
            now: seconds of the source.
        """
        at = self._rows_of(tracks, foot, now)
        step = now - self._rows["last"][at]
        self._rows["seconds"][at] += np.where(step <= LONGEST_STEP, step, 0.0)
        self._rows["last"][at], self._rows["last_foot"][at] = now, foot
        self._been[at] |= inside

    def classes_of_last(self, count: int) -> list[str]:
        """Names of the classes of the ids that came last."""
        last = self._rows["class_id"][self._count - count : self._count].tolist()
        return [self._names.get(class_id, str(class_id)) for class_id in last]

    def _rows_of(self, tracks: Tracks, foot: NDArray[np.float64], now: float) -> NDArray[np.intp]:
        """The row of each track; those that are new get one."""
        known = self._rows["id"][: self._count]
        order = np.argsort(known, kind="stable")
        place = np.searchsorted(known, tracks.id, sorter=order)
        at = np.where(place < self._count, order[np.minimum(place, self._count - 1)] if self._count else 0, -1)
        new = (at < 0) | (known[np.maximum(at, 0)] != tracks.id) if self._count else np.ones(len(tracks), bool)
        rows = self._count + np.arange(int(new.sum()))
        self._make_room(self._count + len(rows))
        added = self._rows[rows[0] : rows[-1] + 1] if len(rows) else self._rows[:0]
        added["id"], added["class_id"] = tracks.id[new], tracks.class_id[new]
        added["first"] = added["last"] = now
        added["first_foot"] = foot[new]
        at[new] = rows
        self._count += len(rows)
        return at

    def _make_room(self, count: int) -> None:
        if count > len(self._rows):
            more = max(count, 2 * len(self._rows), 64) - len(self._rows)
            self._rows = np.concatenate([self._rows, np.zeros(more, VISIT)])
            self._been = np.concatenate([self._been, np.zeros((more, len(self._zones)), bool)])

    def __iter__(self) -> Iterator[Visit]:
        """All of them, by id."""
        for at in np.argsort(self._rows["id"][: self._count], kind="stable"):
            row, been = self._rows[at], self._been[at]
            yield Visit(
                int(row["id"]),
                self._names.get(int(row["class_id"]), str(row["class_id"])),
                float(row["first"]),
                float(row["last"]),
                float(row["seconds"]),
                (float(row["first_foot"][0]), float(row["first_foot"][1])),
                (float(row["last_foot"][0]), float(row["last_foot"][1])),
                tuple(name for name, was in zip(self._zones, been, strict=True) if was),
            )
