"""One sequence, ready to be scored: who was where in truth, who the tracker says, and how alike the boxes are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.association.costs import iou

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Boxes of a sequence, sorted by frame.

    Attributes:
        frame: ``(N,)`` 1-based, ascending.
        id: ``(N,)`` positive.
        xyxy: ``(N, 4)`` pixels.
        class_id: ``(N,)`` MOTChallenge's class; 1 is a pedestrian.
        counts: ``(N,)`` whether the benchmark counts the row at all (ground truth's flag).
    """

    frame: Int64
    id: Int64
    xyxy: Float64
    class_id: Int64
    counts: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.frame)

    def keep(self, rows: NDArray[np.bool_]) -> Boxes:
        """The rows of a mask."""
        return Boxes(self.frame[rows], self.id[rows], self.xyxy[rows], self.class_id[rows], self.counts[rows])

    def span(self, frame: int) -> slice:
        """The rows of a frame."""
        begin, end = np.searchsorted(self.frame, (frame, frame + 1))
        return slice(int(begin), int(end))


@dataclass(frozen=True, slots=True, eq=False)
class Matchup:
    """A frame of truth against results.

    Attributes:
        truth: ``(G,)`` identities, numbered from 0 without gaps over the sequence.
        result: ``(T,)`` track ids, likewise.
        similarity: ``(G, T)`` overlap in 0–1.
    """

    truth: Int64
    result: Int64
    similarity: Float64


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """All frames of truth against results.

    Attributes:
        frames: in order, every frame of the sequence, empty ones too.
        truths: how many identities there are.
        results: how many track ids there are.
    """

    frames: tuple[Matchup, ...]
    truths: int
    results: int

    @property
    def truth_boxes(self) -> int:
        """In all frames."""
        return sum(len(frame.truth) for frame in self.frames)

    @property
    def result_boxes(self) -> int:
        """In all frames."""
        return sum(len(frame.result) for frame in self.frames)

    def counts(self) -> tuple[Int64, Int64]:
        """Boxes of every identity, and of every track id."""
        truth = np.concatenate([f.truth for f in self.frames]) if self.frames else np.empty(0, np.int64)
        result = np.concatenate([f.result for f in self.frames]) if self.frames else np.empty(0, np.int64)
        return np.bincount(truth, minlength=self.truths), np.bincount(result, minlength=self.results)


def match_up(truth: Boxes, result: Boxes, length: int) -> Sequence:
    """Overlaps of all boxes of each frame; ids are renumbered from 0."""
    truth_names, truth_id = np.unique(truth.id, return_inverse=True)
    result_names, result_id = np.unique(result.id, return_inverse=True)
    frames = []
    for number in range(1, length + 1):
        t, r = truth.span(number), result.span(number)
        frames.append(Matchup(truth_id[t], result_id[r], iou(truth.xyxy[t], result.xyxy[r])))
    return Sequence(tuple(frames), len(truth_names), len(result_names))
