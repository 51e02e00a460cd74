"""What happens in view of one camera: who enters and leaves, who is in zones and crosses lines; told as events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tracker.analytics.geometry import DIRECTIONS, Geometry, ZoneEvent
from tracker.analytics.zones import Line, Zone
from tracker.live.clock import CameraClock
from tracker.live.events import EventLog
from tracker.live.status import EventKind, Sighting
from tracker.live.visits import Visits
from tracker.types import Frame, Tracks

Crossings = dict[str, dict[str, dict[str, int]]]
"""Of each line, by direction and class."""


class Activity:
    """Follows the tracks of one camera.

    Args:
        camera: its name.
        visits: who is in view.
        geometry: its zones and lines.
        class_names: names of class ids.
        events: where what happens is told.
        clock: the camera's.
    """

    def __init__(
        self,
        camera: str,
        visits: Visits,
        geometry: tuple[Sequence[Zone], Sequence[Line]],
        class_names: Mapping[int, str],
        events: EventLog,
        clock: CameraClock,
    ) -> None:
        self._camera, self._names, self._events, self._clock = camera, dict(class_names), events, clock
        self.visits, self.crossings = visits, Crossings()
        self._geometry = Geometry(*geometry, self._names)

    def follow(self, frame: Frame, tracks: Tracks) -> None:
        """Take one frame's tracks."""
        now = frame.timestamp
        seen = tracks[tracks.detection >= 0]  # who is only expected somewhere crosses no line there
        names = [self._class_name(c) for c in seen.class_id.tolist()]
        for track_id in self.visits.update(seen, names, now):
            self._say("entered", track_id, self.visits.here[track_id].class_name, now)
        for event in self._geometry.update(seen, frame.size, now):
            self._tell(event, now)
        self.leave(now)
        self.visits.portray(frame.image, seen, now)

    def leave(self, now: float, why: str | None = None) -> None:
        """Say goodbye to those who have been out of sight for too long."""
        left = self.visits.sweep(now)
        if not left:
            return
        for event in self._geometry.forget(np.fromiter(left, np.int64), now):
            self._tell(event, now)
        for track_id, visit in left.items():
            last, stay = visit.last + self._clock.behind, visit.last - visit.first
            data: dict[str, Any] = {"last_seen": round(last, 3), "seconds": round(stay, 2)}
            if why is not None:
                data["reason"] = why
            self._say("left", track_id, visit.class_name, now, data)

    def watch(self, zones: Sequence[Zone], lines: Sequence[Line]) -> None:
        """Watch these from now on; who is in a new zone already enters it, who is in an old one stays in it."""
        before, self._geometry = self._geometry, Geometry(zones, lines, self._names)
        self._geometry.take_over(before)

    def occupants(self) -> dict[str, dict[str, int]]:
        """Objects in each zone now, by class."""
        return self._geometry.occupants()

    def crossed(self) -> Crossings:
        """Crossings so far of each line that is watched, by direction and class."""
        known = {line.name: self.crossings.get(line.name, {}) for line in self._geometry.lines}
        return {name: {way: dict(ways.get(way, {})) for way in DIRECTIONS} for name, ways in known.items()}

    def sightings(self, limit: int) -> list[Sighting]:
        """The last seen identities, newest first, in the machine's time."""
        seen, behind = self.visits.sightings(limit), self._clock.behind
        return [replace(one, first=one.first + behind, last=one.last + behind) for one in seen] if behind else seen

    def _tell(self, event: ZoneEvent, now: float) -> None:
        name = self._class_name(event.class_id)
        if event.kind == "line_crossed":
            directions = self.crossings.setdefault(event.data["line"], {})
            classes = directions.setdefault(event.data["direction"], {})
            classes[name] = classes.get(name, 0) + 1
        self._say(event.kind, event.track, name, now, event.data)

    def _say(
        self, kind: EventKind, track: int, class_name: str, now: float, data: Mapping[str, Any] | None = None
    ) -> None:
        when = now + self._clock.behind
        self._events.add(kind, self._camera, track=track, class_name=class_name, when=when, data=data)

    def _class_name(self, class_id: int) -> str:
        return self._names.get(class_id, str(class_id))
