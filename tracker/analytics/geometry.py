"""Zones and lines: who is in, who crossed, judged at the bottom centre of boxes, all tracks at once.

A foot that trembles on a border would enter and leave with every frame. So there is a band along every border, a small
share of the box's height wide: in the band nothing is decided, and what was true before stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tracker.analytics.zones import Line, Zone
from tracker.types import Tracks

Float = NDArray[np.float64]
BAND = 0.04
"""Half width of the band, in box heights."""
LEAST_BAND = 1.0
"""And in pixels."""
FORGET_AFTER = 5.0
"""Seconds out of sight after which a track of a file is taken out of its zones."""
HANDOVER_SECONDS = 1.0
"""A track that appears where another one vanished so lately is the same object, for zones and lines."""
LONGEST_WAY = 2.0
"""Seconds out of sight after which nobody knows which way a track came: it has crossed nothing."""
HANDOVER_DISTANCE = 0.5
"""Between their feet, in heights of the new box."""
DIRECTIONS = ("a_to_b", "b_to_a")
"""Of a crossing: from the left of the line to its right, and back."""


@dataclass(frozen=True, slots=True)
class ZoneEvent:
    """What a track did with a zone or a line."""

    kind: Literal["line_crossed", "zone_entered", "zone_left", "zone_dwell"]
    track: int
    class_id: int
    data: dict[str, Any]


def feet(xyxy: NDArray[np.float32]) -> Float:
    """``(M, 2)`` bottom centres of ``(M, 4)`` boxes."""
    return np.stack([(xyxy[:, 0] + xyxy[:, 2]) / 2, xyxy[:, 3]], axis=1).astype(np.float64)


def inside(points: Float, polygon: Float) -> NDArray[np.bool_]:
    """Which of ``(M, 2)`` points are in a ``(K, 2)`` polygon, by the even-odd rule; it may be concave."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    spans = (a[:, 1] > y) != (b[:, 1] > y)
    rise = np.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
    left_of = x < a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / rise
    odd: NDArray[np.bool_] = (spans & left_of).sum(1) % 2 == 1
    return odd


def distance(points: Float, a: Float, b: Float) -> Float:
    """``(M,)`` distances of points to the nearest of the segments from ``(K, 2)`` `a` to `b`."""
    along = b - a
    length = np.maximum((along**2).sum(1), 1e-12)
    offset = points[:, None] - a
    share = np.clip((offset * along).sum(2) / length, 0, 1)
    nearest: Float = np.sqrt(((offset - share[..., None] * along) ** 2).sum(2)).min(1)
    return nearest


def crossings(start: Float, end: Float, a: Float, b: Float) -> NDArray[np.int64]:
    """How the ways from ``(M, 2)`` `start` to `end` cross the segments from `a` to `b`, in sum.

    Returns:
        ``(M,)``: 1 from the left of `a` → `b` to its right (y grows downwards), -1 back, 0 not at all or as often.
    """
    way, along = (end - start)[:, None], b - a
    to_a = a - start[:, None]
    cross = way[..., 0] * along[:, 1] - way[..., 1] * along[:, 0]
    safe = np.where(cross == 0, 1.0, cross)
    t = (to_a[..., 0] * along[:, 1] - to_a[..., 1] * along[:, 0]) / safe
    u = (to_a[..., 0] * way[..., 1] - to_a[..., 1] * way[..., 0]) / safe
    hit = (cross != 0) & (t > 0) & (t <= 1) & (u >= 0) & (u < 1)
    total: NDArray[np.int64] = (hit * -np.sign(cross).astype(np.int64)).sum(1)
    return np.sign(total)


class Geometry:
    """Follows the tracks of one camera through its zones and over its lines.

    Args:
        zones: in fractions of the picture.
        lines: in fractions of the picture.
        class_names: names of class ids.
    """

    def __init__(self, zones: Sequence[Zone], lines: Sequence[Line], class_names: dict[int, str]) -> None:
        self.zones, self.lines, self._names = tuple(zones), tuple(lines), class_names
        self._ids = np.empty(0, np.int64)
        self._class = np.empty(0, np.int64)
        self._foot = np.empty((0, 2))
        self._seen = np.empty(0)
        self._anchor = np.empty((0, len(lines), 2))
        self._inside = np.empty((0, len(zones)), bool)
        self._entered = np.empty((0, len(zones)))
        self._dwelt = np.empty((0, len(zones)), bool)

    def take_over(self, before: Geometry) -> None:
        """Go on with the tracks of `before`; in zones and lines that are in both nothing happens anew."""
        self._ids, self._class, self._foot, self._seen = before._ids, before._class, before._foot, before._seen
        count, zones = len(self._ids), len(self.zones)
        self._anchor = np.repeat(self._foot[:, None], len(self.lines), axis=1)
        self._inside, self._dwelt = np.zeros((count, zones), bool), np.zeros((count, zones), bool)
        self._entered = np.zeros((count, zones))
        for i, line in enumerate(self.lines):
            if line in before.lines:
                self._anchor[:, i] = before._anchor[:, before.lines.index(line)]
        for i, zone in enumerate(self.zones):
            if zone in before.zones:
                at = before.zones.index(zone)
                self._inside[:, i], self._dwelt[:, i] = before._inside[:, at], before._dwelt[:, at]
                self._entered[:, i] = before._entered[:, at]

    def update(self, tracks: Tracks, size: tuple[int, int], now: float) -> list[ZoneEvent]:
        """Take one frame's tracks, in a picture of `size` (px), at `now` (s); what happened."""
        if not (self.zones or self.lines) or not len(tracks):
            return []
        foot = feet(tracks.xyxy)
        rows, new = self._rows(tracks, foot, now)
        band = np.maximum(BAND * (tracks.xyxy[:, 3] - tracks.xyxy[:, 1]), LEAST_BAND).astype(np.float64)
        events = [h for i in range(len(self.lines)) for h in self._line(i, tracks, foot, rows, band, size)]
        for i in range(len(self.zones)):
            events += self._zone(i, tracks, foot, rows, band, new, size, now)
        return events

    def forget(self, ids: NDArray[np.int64], now: float) -> list[ZoneEvent]:
        """Tracks that ended leave their zones."""
        gone = np.isin(self._ids, ids)
        events = [
            self._left(int(row), int(zone), now)
            for row, zone in zip(*np.nonzero(self._inside & gone[:, None]), strict=True)
        ]
        self._keep(~gone)
        return events

    def forget_unseen(self, now: float, seconds: float) -> list[ZoneEvent]:
        """Tracks that have been out of sight for longer leave their zones."""
        return self.forget(self._ids[now - self._seen > seconds], now)

    def inside(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """``(M, Z)``: which of some tracks, of the last frame, are in which zone."""
        if not len(self._ids):
            return np.zeros((len(ids), len(self.zones)), bool)
        order = np.argsort(self._ids)
        at = order[np.minimum(np.searchsorted(self._ids, ids, sorter=order), len(order) - 1)]
        found: NDArray[np.bool_] = self._inside[at] & (self._ids[at] == ids)[:, None]
        return found

    def occupants(self) -> dict[str, dict[str, int]]:
        """Objects in each zone now, by class."""
        counts: dict[str, dict[str, int]] = {}
        for i, zone in enumerate(self.zones):
            classes, numbers = np.unique(self._class[self._inside[:, i]], return_counts=True)
            counts[zone.name] = {self._name(c): n for c, n in zip(classes.tolist(), numbers.tolist(), strict=True)}
        return counts

    def _rows(self, tracks: Tracks, foot: Float, now: float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Each track's row in the table, and whether it is new there."""
        new = ~np.isin(tracks.id, self._ids)
        n = int(new.sum())
        if n:
            self._ids = np.concatenate([self._ids, tracks.id[new]])
            self._class = np.concatenate([self._class, tracks.class_id[new]])
            self._foot = np.concatenate([self._foot, foot[new]])
            self._seen = np.concatenate([self._seen, np.full(n, now)])
            anchor = np.repeat(foot[new][:, None], len(self.lines), axis=1)
            self._anchor = np.concatenate([self._anchor, anchor])
            zones = len(self.zones)
            self._inside = np.concatenate([self._inside, np.zeros((n, zones), bool)])
            self._entered = np.concatenate([self._entered, np.full((n, zones), now)])
            self._dwelt = np.concatenate([self._dwelt, np.zeros((n, zones), bool)])
        order = np.argsort(self._ids)
        rows = order[np.searchsorted(self._ids, tracks.id, sorter=order)]
        if n:
            new[new] = ~self._hand_over(tracks, foot, rows, new, now)
        returned = now - self._seen[rows] > LONGEST_WAY
        self._anchor[rows[returned]] = foot[returned][:, None]
        self._foot[rows], self._seen[rows] = foot, now
        return rows, new

    def _hand_over(
        self, tracks: Tracks, foot: Float, rows: NDArray[np.intp], new: NDArray[np.bool_], now: float
    ) -> NDArray[np.bool_]:
        """Let new tracks go on where others vanished a moment ago, nearest first; which of the new ones do."""
        vanished = np.flatnonzero((now - self._seen <= HANDOVER_SECONDS) & ~np.isin(self._ids, tracks.id))
        taken = np.zeros(int(new.sum()), bool)
        if not len(vanished):
            return taken
        height = (tracks.xyxy[new, 3] - tracks.xyxy[new, 1]).astype(np.float64)
        apart = np.linalg.norm(foot[new][:, None] - self._foot[vanished], axis=2) / np.maximum(height, 1)[:, None]
        apart[tracks.class_id[new][:, None] != self._class[vanished]] = np.inf
        while apart.min() <= HANDOVER_DISTANCE:
            who, place = np.unravel_index(int(np.argmin(apart)), apart.shape)
            before, after = vanished[place], rows[new][who]
            for table in (self._anchor, self._inside, self._entered, self._dwelt):
                table[after] = table[before]
            self._inside[before], self._seen[before] = False, -np.inf
            apart[who], apart[:, place], taken[who] = np.inf, np.inf, True
        return taken

    def _line(
        self, i: int, tracks: Tracks, foot: Float, rows: NDArray[np.intp], band: Float, size: tuple[int, int]
    ) -> list[ZoneEvent]:
        line = self.lines[i]
        points = np.array(line.points) * size
        clear = distance(foot, points[:-1], points[1:]) > band
        # Where a way began in the band, its side was never known: the way from there still counts once it is clear.
        crossed = np.where(clear, crossings(self._anchor[rows, i], foot, points[:-1], points[1:]), 0)
        self._anchor[rows[clear], i] = foot[clear]
        counted = np.flatnonzero((crossed != 0) & self._counts(line.classes, tracks.class_id))
        return [
            ZoneEvent(
                "line_crossed",
                int(tracks.id[row]),
                int(tracks.class_id[row]),
                {"line": line.name, "direction": DIRECTIONS[int(crossed[row] < 0)]},
            )
            for row in counted
        ]

    def _zone(
        self,
        i: int,
        tracks: Tracks,
        foot: Float,
        rows: NDArray[np.intp],
        band: Float,
        new: NDArray[np.bool_],
        size: tuple[int, int],
        now: float,
    ) -> list[ZoneEvent]:
        zone = self.zones[i]
        polygon = np.array(zone.polygon) * size
        decided = new | (distance(foot, polygon, np.roll(polygon, -1, axis=0)) > band)
        is_in = inside(foot, polygon) & self._counts(zone.classes, tracks.class_id)
        was_in = self._inside[rows, i]
        is_in = np.where(decided, is_in, was_in)
        left = [self._left(int(row), i, now) for row in rows[was_in & ~is_in]]
        entering = rows[is_in & ~was_in]
        self._inside[rows, i] = is_in
        self._entered[entering, i], self._dwelt[entering, i] = now, False
        entered = [self._event("zone_entered", int(row), {"zone": zone.name}) for row in entering]
        return left + entered + self._dwell(i, rows[is_in], now)

    def _dwell(self, i: int, rows: NDArray[np.intp], now: float) -> list[ZoneEvent]:
        zone = self.zones[i]
        if zone.dwell is None:
            return []
        due = rows[(now - self._entered[rows, i] >= zone.dwell) & ~self._dwelt[rows, i]]
        self._dwelt[due, i] = True
        return [
            self._event("zone_dwell", int(r), {"zone": zone.name, "seconds": round(now - self._entered[r, i], 2)})
            for r in due
        ]

    def _left(self, row: int, zone: int, now: float) -> ZoneEvent:
        stay = round(float(now - self._entered[row, zone]), 2)
        return self._event("zone_left", row, {"zone": self.zones[zone].name, "seconds": stay})

    def _event(
        self, kind: Literal["zone_entered", "zone_left", "zone_dwell"], row: int, data: dict[str, Any]
    ) -> ZoneEvent:
        return ZoneEvent(kind, int(self._ids[row]), int(self._class[row]), data)

    def _counts(self, classes: Sequence[str] | None, class_id: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows are of the classes that a zone or line counts."""
        if classes is None:
            return np.ones(len(class_id), bool)
        return np.isin(class_id, [number for number, name in self._names.items() if name in classes])

    def _name(self, class_id: int) -> str:
        return self._names.get(class_id, str(class_id))

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        self._ids, self._class = self._ids[kept], self._class[kept]
        self._foot, self._anchor, self._seen = self._foot[kept], self._anchor[kept], self._seen[kept]
        self._inside, self._entered, self._dwelt = self._inside[kept], self._entered[kept], self._dwelt[kept]
