"""Who is here: each id enters once and leaves once; the last ones with a picture of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.live.status import Sighting
from tracker.types import Tracks

Image = NDArray[np.uint8]
REMEMBERED = 100
"""Identities with their crops, a camera."""
CROP_HEIGHT = 192
CROP_SECONDS = 1.0
"""A crop is taken anew at most so often."""
MARGIN = 0.5
"""Seconds beyond a lost track's life after which it has left for sure."""
STAY = 5.0
"""Seconds out of sight that are no leaving, where the tracker knows people again."""


@dataclass(slots=True)
class Visit:
    """One id: when it was seen first and last (seconds of the camera), and as what."""

    class_name: str
    first: float
    last: float


@dataclass(slots=True)
class _Portrait:
    visit: Visit
    crop: Image
    taken: float
    area: float


class Visits:
    """Keeps who is in view of one camera.

    Args:
        lost_seconds: how long the tracker looks for who is out of sight.
        memory: seconds after which it no longer knows somebody again; who comes back meanwhile enters again, and is
            not counted again.
    """

    def __init__(self, lost_seconds: float, memory: float = 0.0) -> None:
        self._patience = max(lost_seconds, min(memory, STAY)) + MARGIN
        self._memory = memory + MARGIN
        self._gone: dict[int, float] = {}
        self.here: dict[int, Visit] = {}
        self.counts: dict[str, int] = {}
        self._portraits: OrderedDict[int, _Portrait] = OrderedDict()
        self._lock = threading.Lock()

    def update(self, tracks: Tracks, names: list[str], now: float) -> list[int]:
        """Take a frame's seen tracks with the names of their classes; the ids that entered."""
        entered = []
        for track_id, name in zip(tracks.id.tolist(), names, strict=True):
            visit = self.here.get(track_id)
            if visit is None:
                self.here[track_id] = Visit(name, now, now)
                if self._gone.pop(track_id, None) is None:
                    self.counts[name] = self.counts.get(name, 0) + 1
                entered.append(track_id)
            else:
                visit.last = now
        return entered

    def skip(self, seconds: float) -> None:
        """Shift all visits by `seconds`, as after a pause in which nobody looked."""
        for visit in self.here.values():
            visit.last += seconds

    def sweep(self, now: float) -> dict[int, Visit]:
        """Those who have left by `now`; they are forgotten, but for their portraits."""
        left = {i: visit for i, visit in self.here.items() if now - visit.last > self._patience}
        for track_id, visit in left.items():
            del self.here[track_id]
            self._gone[track_id] = visit.last
        if left:
            self._gone = {i: last for i, last in self._gone.items() if now - last <= self._memory}
        return left

    def portray(self, image: Image, tracks: Tracks, now: float) -> None:
        """Keep a crop of each seen track, the largest of late."""
        height, width = image.shape[:2]
        boxes = np.clip(tracks.xyxy, 0, [width, height, width, height]).astype(int)
        for track_id, (x1, y1, x2, y2) in zip(tracks.id.tolist(), boxes.tolist(), strict=True):
            area = float((x2 - x1) * (y2 - y1))
            visit, known = self.here.get(track_id), self._portraits.get(track_id)
            if visit is None or area < 1:
                continue
            if known is not None and (now - known.taken < CROP_SECONDS or area < known.area * 0.8):
                continue
            scale = min(1.0, CROP_HEIGHT / (y2 - y1))
            size = max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale))
            crop = cv2.resize(image[y1:y2, x1:x2], size, interpolation=cv2.INTER_AREA).astype(np.uint8)
            with self._lock:
                self._portraits[track_id] = _Portrait(visit, crop, now, area)
                while len(self._portraits) > REMEMBERED:
                    del self._portraits[min(self._portraits, key=lambda i: self._portraits[i].visit.last)]

    def sightings(self, limit: int) -> list[Sighting]:
        """The last seen identities, newest first."""
        with self._lock:
            last = sorted(self._portraits.items(), key=lambda item: -item[1].visit.last)[: max(limit, 0)]
        return [
            Sighting(id=i, class_name=p.visit.class_name, first=p.visit.first, last=p.visit.last, crop=_jpeg(p.crop))
            for i, p in last
        ]


def _jpeg(image: Image) -> bytes:
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return bytes(encoded)
