"""One detector and one embedder for the pictures of all cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.analytics.geometry import feet, inside
from tracker.pipeline import embed
from tracker.protocols import Detector, Embedder
from tracker.types import Detections, Frame


@dataclass(frozen=True, slots=True)
class Wish:
    """What one camera wants of the networks.

    Attributes:
        class_ids: to keep; all when None.
        region: ``(K, 2)`` polygon in fractions that objects stand in; everywhere when None.
        embedding_score: lowest score of what is compared by looks; None where the recipe compares none.
    """

    class_ids: tuple[int, ...] | None
    region: NDArray[np.float64] | None
    embedding_score: float | None


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
        """Whether looks can be compared."""
        return self._embedder is not None

    def __call__(self, frames: Sequence[Frame], wishes: Sequence[Wish]) -> list[Detections]:
        """The detections that each frame's camera wants, embedded where it compares looks."""
        found = self._detect(frames)
        found = [_wanted(d, wish, frame.size) for d, wish, frame in zip(found, wishes, frames, strict=True)]
        looked_at = [i for i, wish in enumerate(wishes) if wish.embedding_score is not None]
        if self._embedder is not None and looked_at:
            scores = [wishes[i].embedding_score or 0.0 for i in looked_at]
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


def _wanted(detections: Detections, wish: Wish, size: tuple[int, int]) -> Detections:
    """Without rows of other classes, outside the region, or that no tracker can use."""
    kept = np.ones(len(detections), bool)
    kept[list(detections.faults())] = False
    if wish.class_ids is not None:
        kept &= np.isin(detections.class_id, wish.class_ids)
    if wish.region is not None:
        kept &= inside(feet(detections.xyxy), wish.region * size)
    return detections if kept.all() else detections[kept]
