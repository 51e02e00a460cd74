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
class Life:
    """One id: when it was seen first and last (seconds of the camera), and as what."""

    class_name: str
    first: float
    last: float


@dataclass(slots=True)
class _Portrait:
    life: Life
    crop: Image
    taken: float
    area: float


class Presence:
    """Keeps who is in view of one camera.

    Args:
        lost_seconds: so long the tracker looks for who is out of sight.
        memory: seconds after which it no longer knows somebody again; who comes back meanwhile enters again, and is
            not counted again.
    """

    def __init__(self, lost_seconds: float, memory: float = 0.0) -> None:
        self._patience = max(lost_seconds, min(memory, STAY)) + MARGIN
        self._memory = memory + MARGIN
        self._gone: dict[int, float] = {}
        self.here: dict[int, Life] = {}
        self.counts: dict[str, int] = {}
        self._portraits: OrderedDict[int, _Portrait] = OrderedDict()
        self._lock = threading.Lock()

    def update(self, tracks: Tracks, names: list[str], now: float) -> list[int]:
        """Take a frame's seen tracks with the names of their classes; the ids that entered."""
        entered = []
        for track_id, name in zip(tracks.id.tolist(), names, strict=True):
            life = self.here.get(track_id)
            if life is None:
                self.here[track_id] = Life(name, now, now)
                if self._gone.pop(track_id, None) is None:
                    self.counts[name] = self.counts.get(name, 0) + 1
                entered.append(track_id)
            else:
                life.last = now
        return entered

    def skip(self, seconds: float) -> None:
        """Let so much time not have been: nobody looked."""
        for life in self.here.values():
            life.last += seconds

    def sweep(self, now: float) -> dict[int, Life]:
        """Those who have left by `now`; they are forgotten, but for their portraits."""
        left = {i: life for i, life in self.here.items() if now - life.last > self._patience}
        for track_id, life in left.items():
            del self.here[track_id]
            self._gone[track_id] = life.last
        if left:
            self._gone = {i: last for i, last in self._gone.items() if now - last <= self._memory}
        return left

    def portray(self, image: Image, tracks: Tracks, now: float) -> None:
        """Keep a crop of each seen track, the largest of late."""
        height, width = image.shape[:2]
        boxes = np.clip(tracks.xyxy, 0, [width, height, width, height]).astype(int)
        for track_id, (x1, y1, x2, y2) in zip(tracks.id.tolist(), boxes.tolist(), strict=True):
            area = float((x2 - x1) * (y2 - y1))
            life, known = self.here.get(track_id), self._portraits.get(track_id)
            if life is None or area < 1:
                continue
            if known is not None and (now - known.taken < CROP_SECONDS or area < known.area * 0.8):
                continue
            scale = min(1.0, CROP_HEIGHT / (y2 - y1))
            size = max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale))
            crop = cv2.resize(image[y1:y2, x1:x2], size, interpolation=cv2.INTER_AREA).astype(np.uint8)
            with self._lock:
                self._portraits[track_id] = _Portrait(life, crop, now, area)
                while len(self._portraits) > REMEMBERED:
                    del self._portraits[min(self._portraits, key=lambda i: self._portraits[i].life.last)]

    def sightings(self, limit: int) -> list[Sighting]:
        """The last seen identities, newest first."""
        with self._lock:
            last = sorted(self._portraits.items(), key=lambda item: -item[1].life.last)[: max(limit, 0)]
        return [
            Sighting(id=i, class_name=p.life.class_name, first=p.life.first, last=p.life.last, crop=_jpeg(p.crop))
            for i, p in last
        ]


def _jpeg(image: Image) -> bytes:
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return bytes(encoded)
