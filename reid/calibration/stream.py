"""Pairs of tracklets from tracks of which nobody said who is who.

Tracks that one camera sees at the same time are two people, and the halves of one track are one. Both hold within a
camera only; what distances mean across cameras is learned from links that are sure for other reasons.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reid.calibration.counts import PairCounts
from reid.calibration.labelled import count_pairs
from reid.calibration.quality import CUES, cues, from_mean
from reid.overlap import covered, hidden_share

if TYPE_CHECKING:
    from reid.embedder import Embedder

LOOKS = 16
"""Boxes of a track that are looked at: two tracklets of the largest size."""
DOUBLED = 0.6
"""Share of a box inside another one from which two tracks may be one object twice; they prove nothing then."""


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """What one camera's tracks were seen in; boxes where somebody was only expected are left out.

    Attributes:
        frame: ``(N,)`` int64, not falling.
        time: ``(N,)`` seconds.
        track: ``(N,)`` int64, at most once in a frame.
        xyxy: ``(N, 4)`` pixels.
        score: ``(N,)`` of the detector, in 0–1.
        hidden: ``(N,)`` share of the box that others may hide (`reid.overlap.hidden_share`).
    """

    frame: NDArray[np.int64]
    time: NDArray[np.float64]
    track: NDArray[np.int64]
    xyxy: NDArray[np.float64]
    score: NDArray[np.float64]
    hidden: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        frame: NDArray[np.int64],
        time: NDArray[np.float64],
        track: NDArray[np.int64],
        xyxy: NDArray[np.float64],
        score: NDArray[np.float64],
    ) -> Boxes:
        """With what is hidden worked out."""
        return cls(frame, time, track, xyxy, score, hidden_share(frame, xyxy))

    def __len__(self) -> int:
        return len(self.frame)


def worth_looking(boxes: Boxes, looks: int = LOOKS) -> NDArray[np.int64]:
    """Boxes to look at: of each track as many, the best of equal parts of its time.

    Args:
        boxes: of a camera.
        looks: of a track, at most.

    Returns:
        Rows, in their order.
    """
    order = np.lexsort((boxes.time, boxes.track))
    track, time = boxes.track[order], boxes.time[order]
    starts = np.flatnonzero(np.diff(track, prepend=track[:1] - 1))
    of = np.cumsum(np.diff(track, prepend=track[:1] - 1) != 0) - 1
    begin = time[starts][of]
    end = np.maximum.reduceat(time, starts)[of] if len(starts) else begin
    length = np.where(end > begin, end - begin, 1.0)
    part = np.minimum(((time - begin) / length * looks).astype(np.int64), looks - 1)
    worth = boxes.score[order] * (1 - boxes.hidden[order])
    best = np.lexsort((-worth, part, of))
    first = np.flatnonzero((np.diff(of[best], prepend=-1) != 0) | (np.diff(part[best], prepend=-1) != 0))
    return np.sort(order[best[first]])


def seen_together(boxes: Boxes) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which tracks are certainly two objects: seen in one frame, and never one inside the other.

    Returns:
        ``(T,)`` the tracks' numbers, rising, and ``(T, T)``.
    """
    tracks, row = np.unique(boxes.track, return_inverse=True)
    together, doubled = np.zeros((2, len(tracks), len(tracks)), bool)
    for part in np.split(np.arange(len(boxes)), np.flatnonzero(np.diff(boxes.frame)) + 1):
        here = row[part]
        together[np.ix_(here, here)] = True
        doubled[np.ix_(here, here)] |= covered(boxes.xyxy[part]) > DOUBLED
    together &= ~(doubled | doubled.T)
    np.fill_diagonal(together, False)
    return tracks, together


@dataclass(slots=True)
class Looked:
    """What was seen of boxes that were looked at.

    Attributes:
        vector: ``(K, D)`` of unit length.
        cues: ``(K, 7)`` of `reid.calibration.quality`.
    """

    vector: NDArray[np.float32]
    cues: NDArray[np.float32]


def look(
    embedder: Embedder,
    boxes: Boxes,
    rows: NDArray[np.int64],
    pictures: Iterable[tuple[NDArray[np.uint8], NDArray[np.int64]]],
) -> Looked:
    """Embed boxes, picture by picture.

    Args:
        embedder: that does it.
        boxes: of a camera.
        rows: which of them.
        pictures: BGR images, each with the places of its boxes among `rows`.
    """
    found = Looked(np.zeros((len(rows), embedder.dimension), np.float32), np.zeros((len(rows), len(CUES)), np.float32))
    for image, places in pictures:
        here = rows[places]
        found.vector[places] = embedder.embed(image, boxes.xyxy[here])
        found.cues[places] = cues(image, boxes.xyxy[here], hidden=boxes.hidden[here], score=boxes.score[here])
    return found


def from_own_track(boxes: Boxes, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """``(len(rows),)`` how far embeddings are from the mean of the others of their track; NaN for those alone."""
    order = np.argsort(boxes.track[rows], kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(boxes.track[rows][order])) + 1)
    return from_mean(vectors, groups)


def count_seen(boxes: Boxes, rows: NDArray[np.int64], vectors: NDArray[np.float32], *, seed: int = 0) -> PairCounts:
    """Pairs of the tracklets of one camera.

    Args:
        boxes: of the camera.
        rows: of those that were looked at, `worth_looking`.
        vectors: ``(len(rows), D)`` of unit length.
        seed: of the draws.
    """
    tracks, together = seen_together(boxes)
    apart = np.zeros((len(tracks) + 1, len(tracks) + 1), bool)
    apart[1:, 1:] = together
    order = np.argsort(boxes.time[rows], kind="stable")
    identity = np.searchsorted(tracks, boxes.track[rows[order]]) + 1
    return count_pairs(vectors[order], identity, np.zeros(len(order), np.int64), apart=apart, seed=seed)
