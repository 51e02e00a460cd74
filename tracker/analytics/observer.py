"""Everything that is counted of one source, frame by frame: visits, zones, lines, intervals, and where people stood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.analytics.geometry import FORGET_AFTER, Geometry, feet
from tracker.analytics.heatmap import HeatMap
from tracker.analytics.intervals import INTERVAL, Intervals
from tracker.analytics.visits import Visits
from tracker.analytics.zones import Scene
from tracker.types import Frame, Tracks

VIEW = "view"
"""The place that is the whole picture."""
SCENE_SECONDS = 0.5
"""Between frames that are added to the picture of the scene."""
SCENE_SHARE = 0.1
"""How much each of them counts, so that those who pass fade from it."""
LONGEST_STEP = 1.0
"""Seconds that a frame stands for at most."""


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """What a track did with a zone or a line, and when.

    Attributes:
        time: seconds of the source.
        kind: line_crossed, zone_entered, zone_left, zone_dwell.
        track: its id.
        class_name: of the object.
        place: name of the zone or line.
        data: direction of a crossing, seconds of a stay.
    """

    time: float
    kind: str
    track: int
    class_name: str
    place: str
    data: Mapping[str, Any]


class Observer:
    """Takes the tracks of one source.

    Args:
        scene: zones and lines.
        class_names: names of class ids.
        interval: seconds of the parts that counts are told for.
    """

    def __init__(self, scene: Scene, class_names: Mapping[int, str], *, interval: float = INTERVAL) -> None:
        self.scene, self._names = scene, dict(class_names)
        self.geometry = Geometry(scene.zones, scene.lines, self._names)
        self.visits = Visits([zone.name for zone in scene.zones], self._names)
        self.intervals = Intervals(interval)
        self.crossed: dict[str, dict[str, int]] = {line.name: {"a_to_b": 0, "b_to_a": 0} for line in scene.lines}
        self.heat: HeatMap | None = None
        self._scene_picture: NDArray[np.float32] | None = None
        self._pictured = -np.inf
        self._before: float | None = None

    def update(self, frame: Frame, tracks: Tracks) -> list[TimedEvent]:
        """Take one frame; what happened in it. Tracks that are only expected count as nothing."""
        now, (width, height) = frame.timestamp, frame.size
        seen = tracks[~tracks.predicted]
        gone = self.geometry.forget_unseen(now, FORGET_AFTER)
        happened = [*gone, *self.geometry.update(seen, frame.size, now)]
        foot = feet(seen.xyxy)
        before = len(self.visits)
        self.visits.update(seen, foot / [width, height], self.geometry.inside(seen.id), now)
        self._count(seen, len(self.visits) - before, now)
        self._add_heat(frame, foot, now)
        self._before = now
        events = [self._timed(event, now) for event in happened]
        for event in events:
            if event.kind == "line_crossed":
                self.intervals.cross(now, event.place, event.class_name, event.data["direction"])
                self.crossed[event.place][event.data["direction"]] += 1
            elif event.kind == "zone_entered":
                self.intervals.enter(now, event.place, event.class_name)
        return events

    def finish(self) -> list[TimedEvent]:
        """Who is in a zone at the end leaves it there."""
        if self._before is None:
            return []
        left = self.geometry.forget_unseen(self._before, -np.inf)
        return [self._timed(event, self._before) for event in left]

    def heat_map(self) -> NDArray[np.uint8] | None:
        """The scene with warm colours where time was spent; None before the first frame."""
        if self.heat is None or self._scene_picture is None:
            return None
        return self.heat.draw(self._scene_picture.astype(np.uint8))

    def _count(self, seen: Tracks, new: int, now: float) -> None:
        classes, numbers = np.unique(seen.class_id, return_counts=True)
        in_view = {self._name(c): n for c, n in zip(classes.tolist(), numbers.tolist(), strict=True)}
        self.intervals.update(now, {VIEW: in_view, **self.geometry.occupants()})
        for visit_class in self.visits.classes_of_last(new):
            self.intervals.enter(now, VIEW, visit_class)

    def _add_heat(self, frame: Frame, foot: NDArray[np.float64], now: float) -> None:
        if self.heat is None or self._scene_picture is None or self.heat.size != frame.size:
            self.heat, self._scene_picture = HeatMap(frame.size), frame.image.astype(np.float32)
        step = 0.0 if self._before is None else min(max(now - self._before, 0.0), LONGEST_STEP)
        self.heat.add(foot, step)
        if now - self._pictured >= SCENE_SECONDS:
            cv2.accumulateWeighted(frame.image, self._scene_picture, SCENE_SHARE)
            self._pictured = now

    def _timed(self, event: Any, now: float) -> TimedEvent:
        data = {key: value for key, value in event.data.items() if key not in ("line", "zone")}
        place = event.data.get("line") or event.data["zone"]
        return TimedEvent(now, event.kind, event.track, self._name(event.class_id), place, data)

    def _name(self, class_id: int) -> str:
        return self._names.get(class_id, str(class_id))
