"""One detector and one embedder for the pictures of all cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.analytics.geometry import feet, inside
from tracker.association.engine import Engine
from tracker.detection.base import class_ids
from tracker.live.settings import CameraSettings
from tracker.pipeline import embed
from tracker.protocols import Detector, Embedder
from tracker.types import Detections, Frame


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """What one camera wants of the networks.

    Attributes:
        class_ids: to keep; all when None.
        region: ``(K, 2)`` polygon in fractions that objects stand in; everywhere when None.
        embedding_score: lowest score of what is compared by embedding; None where the recipe compares none.
    """

    class_ids: tuple[int, ...] | None
    region: NDArray[np.float64] | None
    embedding_score: float | None


def camera_request(settings: CameraSettings, engine: Engine, class_names: Mapping[int, str]) -> CameraRequest:
    """What a camera's settings and its tracker ask for.

    Raises:
        ConfigError: a class that the detector does not know.
    """
    wanted = class_ids(settings.classes, class_names, "the detector")
    region = None if settings.region is None else np.array(settings.region)
    score = engine.embedding_score if engine.uses_embedding else None
    return CameraRequest(None if wanted is None else tuple(wanted), region, score)


class Perception:
    """Pictures of many cameras in, detections out; those of one size go through the detector together."""

    def __init__(self, detector: Detector, embedder: Embedder | None) -> None:
        self.detector, self._embedder = detector, embedder

    @property
    def class_names(self) -> Mapping[int, str]:
        """Names of class ids."""
        return self.detector.class_names

    @property
    def embeds(self) -> bool:
        """Whether embeddings can be compared."""
        return self._embedder is not None

    def __call__(self, frames: Sequence[Frame], requests: Sequence[CameraRequest]) -> list[Detections]:
        """The detections that each frame's camera wants, embedded where it compares embeddings."""
        found = self._detect(frames)
        found = [_wanted(d, request, frame.size) for d, request, frame in zip(found, requests, frames, strict=True)]
        looked_at = [i for i, request in enumerate(requests) if request.embedding_score is not None]
        if self._embedder is not None and looked_at:
            scores = [requests[i].embedding_score or 0.0 for i in looked_at]
            embedded = embed(self._embedder, [frames[i] for i in looked_at], [found[i] for i in looked_at], scores)
            for i, detections in zip(looked_at, embedded, strict=True):
                found[i] = detections
        return found

    def _detect(self, frames: Sequence[Frame]) -> list[Detections]:
        sizes: dict[tuple[int, int], list[int]] = {}
        for i, frame in enumerate(frames):
            sizes.setdefault(frame.size, []).append(i)
        found: dict[int, Detections] = {}
        for rows in sizes.values():
            found |= dict(zip(rows, self.detector.detect([frames[i] for i in rows]), strict=True))
        return [found[i] for i in range(len(frames))]


def _wanted(detections: Detections, request: CameraRequest, size: tuple[int, int]) -> Detections:
    """Without rows of other classes, outside the region, or that no tracker can use."""
    kept = np.ones(len(detections), bool)
    kept[list(detections.faults())] = False
    if request.class_ids is not None:
        kept &= np.isin(detections.class_id, request.class_ids)
    if request.region is not None:
        kept &= inside(feet(detections.xyxy), request.region * size)
    return detections if kept.all() else detections[kept]
