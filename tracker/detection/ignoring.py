"""A detector that does not see what is on posters, in mirrors and on screens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracker.analytics.geometry import inside
from tracker.analytics.zones import Polygon
from tracker.protocols import Detector
from tracker.types import Detections, Frame


class IgnoringDetector(Detector):
    """Leaves out boxes whose middle is in a polygon.

    Args:
        detector: finds them.
        polygons: in fractions of the picture.
    """

    def __init__(self, detector: Detector, polygons: Sequence[Polygon]) -> None:
        self._detector, self._polygons = detector, [np.array(polygon, np.float64) for polygon in polygons]
        self.class_names = detector.class_names

    @property
    def warnings(self) -> Sequence[str]:  # type: ignore[override]
        """Of the detector."""
        return self._detector.warnings

    def describe(self) -> dict[str, Any]:
        """Of the detector, and how many polygons are left out."""
        return {**self._detector.describe(), "ignored_polygons": len(self._polygons)}

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Those that are not in a polygon."""
        return [self._rest(found, frame) for found, frame in zip(self._detector.detect(frames), frames, strict=True)]

    def end(self, frames: int) -> None:
        """Told to the detector."""
        self._detector.end(frames)

    def _rest(self, found: Detections, frame: Frame) -> Detections:
        middle = ((found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2).astype(np.float64) / frame.size
        hidden = np.zeros(len(found), bool)
        for polygon in self._polygons:
            hidden |= inside(middle, polygon)
        return found[~hidden] if hidden.any() else found
