"""Zones and lines on the picture, with who is in and how many crossed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.analytics.geometry import FORGET_AFTER, Geometry
from tracker.analytics.zones import Scene
from tracker.types import Frame, Tracks

Image = NDArray[np.uint8]
ZONE = (80, 220, 255)
LINE = (255, 160, 60)
IGNORED = (90, 90, 90)
FILL = 0.15
"""How much of a zone's colour covers the picture."""


class SceneOverlay:
    """Draws a scene over what another function draws; one for each video, because it counts.

    Args:
        scene: what is drawn.
        class_names: names of class ids.
        draw: what draws the tracks.
    """

    def __init__(self, scene: Scene, class_names: Mapping[int, str], draw: Callable[[Frame, Tracks], Image]) -> None:
        self._scene, self._draw = scene, draw
        self._geometry = Geometry(scene.zones, scene.lines, dict(class_names))
        self._crossed = {line.name: [0, 0] for line in scene.lines}

    def draw(self, frame: Frame, tracks: Tracks) -> Image:
        """A copy of the frame's image with the scene and the tracks on it."""
        self._geometry.forget_unseen(frame.timestamp, FORGET_AFTER)
        for event in self._geometry.update(tracks[~tracks.predicted], frame.size, frame.timestamp):
            if event.kind == "line_crossed":
                self._crossed[event.data["line"]][event.data["direction"] == "b_to_a"] += 1
        image = self._draw(frame, tracks)
        size = np.array(frame.size)
        unit = max(round(min(frame.size) / 300), 1)
        tinted = image.copy()
        corners = [np.rint(np.array(zone.polygon) * size).astype(np.int32) for zone in self._scene.zones]
        for polygon in corners:
            cv2.fillPoly(tinted, [polygon], ZONE)
        image = np.asarray(cv2.addWeighted(tinted, FILL, image, 1 - FILL, 0), np.uint8)
        for points in self._scene.ignore:
            cv2.polylines(image, [np.rint(np.array(points) * size).astype(np.int32)], True, IGNORED, unit)
        inside = {name: sum(classes.values()) for name, classes in self._geometry.occupants().items()}
        for zone, polygon in zip(self._scene.zones, corners, strict=True):
            cv2.polylines(image, [polygon], True, ZONE, unit, cv2.LINE_AA)
            _label(image, f"{zone.name}: {inside[zone.name]}", polygon.mean(0), ZONE, unit)
        for line in self._scene.lines:
            points = np.rint(np.array(line.points) * size).astype(np.int32)
            cv2.polylines(image, [points], False, LINE, 2 * unit, cv2.LINE_AA)
            right, left = self._crossed[line.name]
            _label(image, f"{line.name}: {right} a>b  {left} b>a", points.mean(0), LINE, unit)
        return image


def _label(image: Image, text: str, middle: NDArray[np.float64], colour: tuple[int, int, int], unit: int) -> None:
    """Write on a plate around a point, kept inside the picture."""
    scale, font = 0.45 * max(unit, 1), cv2.FONT_HERSHEY_SIMPLEX
    (width, height), below = cv2.getTextSize(text, font, scale, unit)
    x = int(np.clip(middle[0] - width / 2, 2, max(image.shape[1] - width - 2, 2)))
    y = int(np.clip(middle[1], height + 4, max(image.shape[0] - below - 2, height + 4)))
    cv2.rectangle(image, (x - 3, y - height - 3), (x + width + 3, y + below), colour, -1)
    cv2.putText(image, text.encode("ascii", "replace").decode(), (x, y), font, scale, (0, 0, 0), unit, cv2.LINE_AA)
