"""One sequence, ready to be scored: who is where by the ground truth, who by the tracker, and their overlap."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Frames
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tracker.compiled import compiled
from tracker.compiled_arrays import grown, integers, longer, numbers
from tracker.errors import DataError
from tracker.formats.table import Table

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


DENSE = 1_000_000
"""Tables of up to so many places are made without thinking."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameSimilarity:
    """A frame of ground truth against predictions.

    Attributes:
        gt: ``(G,)`` identities, numbered from 0 without gaps over the sequence.
        pred: ``(T,)`` track ids, numbered from 0 without gaps.
        similarity: ``(G, T)`` overlap in 0–1.
    """

    gt: Int64
    pred: Int64
    similarity: Float64


@dataclass(frozen=True, eq=False)
class Sequence:
    """All frames of ground truth against predictions, in columns: boxes by frame, and only those pairs that overlap.

    Attributes:
        gt_id: ``(G,)`` identity of each true box, from 0 without gaps, boxes in order of frames.
        pred_id: ``(R,)`` track of each of the tracker's boxes, from 0 without gaps, boxes in order of frames.
        gt_first: ``(F + 1,)``; the true boxes of frame `f` are `gt_first[f]` up to but without
            `gt_first[f + 1]`.
        pred_first: ``(F + 1,)``; the tracker's boxes of frame `f`, in the same way.
        pair_first: ``(G + 1,)``; the pairs of true box `g` are `pair_first[g]` up to but without `pair_first[g + 1]`.
        pair_pred: ``(P,)`` the tracker's box of each pair, a row of `pred_id`; ascending for each true box.
        similarity: ``(P,)`` overlap of each pair, above 0, at most 1.
        num_gt_ids: how many identities there are.
        num_pred_ids: how many tracks there are.
    """

    gt_id: Int64
    pred_id: Int64
    gt_first: Int64
    pred_first: Int64
    pair_first: Int64
    pair_pred: Int64
    similarity: Float64
    num_gt_ids: int
    num_pred_ids: int

    def __len__(self) -> int:
        """Frames, empty ones too."""
        return len(self.gt_first) - 1

    @property
    def num_gt_dets(self) -> int:
        """In all frames."""
        return len(self.gt_id)

    @property
    def num_pred_dets(self) -> int:
        """In all frames."""
        return len(self.pred_id)

    @cached_property
    def pair_gt(self) -> Int64:
        """``(P,)`` the true box of each pair."""
        return np.repeat(np.arange(self.num_gt_dets), np.diff(self.pair_first))

    @property
    def frames(self) -> Iterator[FrameSimilarity]:
        """Frame by frame, overlaps as full matrices: for other people's metrics, and for looking at."""
        for f in range(len(self)):
            t0, t1 = self.gt_first[f : f + 2]
            r0, r1 = self.pred_first[f : f + 2]
            similarity = np.zeros((t1 - t0, r1 - r0))
            p0, p1 = self.pair_first[t0], self.pair_first[t1]
            rows = np.repeat(np.arange(t1 - t0), np.diff(self.pair_first[t0 : t1 + 1]))
            similarity[rows, self.pair_pred[p0:p1] - r0] = self.similarity[p0:p1]
            yield FrameSimilarity(self.gt_id[t0:t1], self.pred_id[r0:r1], similarity)

    @cached_property
    def id_pairs(self) -> tuple[Int64, Int64]:
        """Pairs of an identity and a track that overlap somewhere.

        ``(K,)`` each as identity times `num_pred_ids` plus track, ascending; and ``(P,)`` which of them a pair of boxes
        is.
        """
        return numbered(self.gt_id[self.pair_gt] * self.num_pred_ids + self.pred_id[self.pair_pred])

    def counts(self) -> tuple[Int64, Int64]:
        """Table of every identity, and of every track."""
        return (
            np.bincount(self.gt_id, minlength=self.num_gt_ids),
            np.bincount(self.pred_id, minlength=self.num_pred_ids),
        )

    @classmethod
    def from_frames(
        cls, gt_ids: Frames[ArrayLike], tracker_ids: Frames[ArrayLike], similarity: Frames[ArrayLike]
    ) -> Sequence:
        """A sequence of similarities that you computed: of boxes, masks, points, anything.

        Args:
            gt_ids: for each frame ``(G,)`` whole numbers (or strings), each at most once in a frame.
            tracker_ids: for each frame ``(T,)`` whole numbers (or strings), each at most once in a frame.
            similarity: for each frame ``(G, T)`` in 0–1.

        Raises:
            DataError: lengths or shapes differ, an id is in a frame twice, a similarity is NaN or outside 0–1; names
                the frame, from 0.
        """
        if not len(gt_ids) == len(tracker_ids) == len(similarity):
            counts = f"{len(gt_ids)}, {len(tracker_ids)} and {len(similarity)}"
            raise DataError(f"gt_ids, tracker_ids and similarity must have one entry a frame each, got {counts}")
        gt, pred = ([np.asarray(ids).reshape(-1) for ids in frames] for frames in (gt_ids, tracker_ids))
        matrices = [_checked(f, *frame) for f, frame in enumerate(zip(gt, pred, similarity, strict=True))]
        num_gt_ids, gt_id = _numbered(gt)
        num_pred_ids, pred_id = _numbered(pred)
        pred_first = _offsets([len(r) for r in pred])
        pairs = [np.nonzero(matrix) for matrix in matrices]
        return cls(
            gt_id=gt_id,
            pred_id=pred_id,
            gt_first=_offsets([len(t) for t in gt]),
            pred_first=pred_first,
            pair_first=_offsets([n for matrix in matrices for n in np.count_nonzero(matrix, axis=1)]),
            pair_pred=np.concatenate(
                [np.empty(0, np.int64), *(c + r for (_, c), r in zip(pairs, pred_first, strict=False))]
            ),
            similarity=np.concatenate([np.empty(0), *(m[p] for m, p in zip(matrices, pairs, strict=True))]),
            num_gt_ids=num_gt_ids,
            num_pred_ids=num_pred_ids,
        )


def _checked(frame: int, gt: NDArray[Any], pred: NDArray[Any], similarity: ArrayLike) -> Float64:
    """A frame's similarities as a matrix, refused if they or the ids are not as they must be."""
    matrix, shape = np.asarray(similarity, np.float64), (len(gt), len(pred))
    if matrix.size == 0 and 0 in shape:
        matrix = matrix.reshape(shape)
    if matrix.shape != shape:
        raise DataError(f"frame {frame}: similarity must be {shape}, got {matrix.shape}")
    if not ((matrix >= 0) & (matrix <= 1)).all():
        raise DataError(f"frame {frame}: a similarity is NaN or outside 0–1")
    for name, ids in (("gt_ids", gt), ("tracker_ids", pred)):
        if len(np.unique(ids)) != len(ids):
            raise DataError(f"frame {frame}: an id is in {name} twice")
    return matrix


def _offsets(lengths: ArrayLike) -> Int64:
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, np.int64))]).astype(np.int64)


def _numbered(frames: list[NDArray[Any]]) -> tuple[int, Int64]:
    """How many ids there are, and all frames' ids as numbers from 0 without gaps."""
    filled = [ids for ids in frames if len(ids)]
    if not filled:
        return 0, np.empty(0, np.int64)
    names, ids = numbered(np.concatenate(filled))
    return len(names), ids


def numbered(names: NDArray[Any]) -> tuple[NDArray[Any], Int64]:
    """Names that there are, in order, and for each entry the number of its name, from 0 without gaps."""
    whole = names.dtype.kind == "i" and len(names) > 0
    if whole and names.min() >= 0 and names.max() < DENSE + 4 * len(names):  # a table is faster than sorting
        there = np.zeros(int(names.max()) + 1, bool)
        there[names] = True
        return np.flatnonzero(there), (np.cumsum(there) - 1)[names]
    known, numbers = np.unique(names, return_inverse=True)
    return known, numbers.astype(np.int64)


def compute_similarity(gt: Table, pred: Table, length: int) -> Sequence:
    """Overlaps (intersection over union) of all boxes of each frame; ids are renumbered from 0.

    Args:
        gt, pred: in order of frames.
        length: frames of the sequence.
    """
    num_gt_ids, gt_id = _numbered([gt.id])
    num_pred_ids, pred_id = _numbered([pred.id])
    gt_first, pred_first = gt.offsets(length), pred.offsets(length)
    sides = np.ascontiguousarray(pred.xyxy.T)
    pair_first, partner, overlap, count = _overlaps(gt.xyxy, sides, gt_first, pred_first)
    pair_pred, similarity = partner[:count].copy(), overlap[:count].copy()
    return Sequence(gt_id, pred_id, gt_first, pred_first, pair_first, pair_pred, similarity, num_gt_ids, num_pred_ids)


@compiled
def _overlaps(gt: Float64, sides: Float64, gt_first: Int64, pred_first: Int64) -> tuple[Int64, Int64, Float64, int]:
    """First pair of each true box; the predicted boxes of the pairs, and their overlap, where there is any; how many.

    Args:
        gt: ``(G, 4)`` boxes.
        sides: ``(4, R)``, the predicted boxes, a row for each of x1, y1, x2, y2.
        gt_first, pred_first: ``(F + 1,)`` where the boxes of each frame begin.
    """
    x1, y1, x2, y2 = sides[0], sides[1], sides[2], sides[3]
    room, count, first, both = 2 * len(gt) + 16, 0, integers(len(gt) + 1, 0), numbers(len(x1), 0.0)
    partner, similarity = integers(room, 0), numbers(room, 0.0)
    for frame in range(len(gt_first) - 1):
        r0, r1 = pred_first[frame], pred_first[frame + 1]
        for t in range(gt_first[frame], gt_first[frame + 1]):
            _intersections(gt[t], x1[r0:r1], y1[r0:r1], x2[r0:r1], y2[r0:r1], both)
            area = (gt[t, 2] - gt[t, 0]) * (gt[t, 3] - gt[t, 1])
            if count + r1 - r0 > room:
                room = 2 * room + r1 - r0
                partner, similarity = grown(partner, room), longer(similarity, room)
            for r in range(r0, r1):
                if both[r - r0] > 0.0:
                    partner[count] = r
                    similarity[count] = both[r - r0] / (area + (x2[r] - x1[r]) * (y2[r] - y1[r]) - both[r - r0])
                    count += 1
            first[t + 1] = count
    return first, partner, similarity, count


@compiled
def _intersections(box: Float64, x1: Float64, y1: Float64, x2: Float64, y2: Float64, area: Float64) -> None:
    """Areas that a box has in common with others, their corners in a column each: many are computed at once."""
    left, top, right, bottom = box[0], box[1], box[2], box[3]
    for i in range(len(x1)):
        # Not min and max: what they do with NaN would have the boxes computed one by one.
        width = (x2[i] if x2[i] < right else right) - (x1[i] if x1[i] > left else left)
        height = (y2[i] if y2[i] < bottom else bottom) - (y1[i] if y1[i] > top else top)
        area[i] = (width if width > 0.0 else 0.0) * (height if height > 0.0 else 0.0)
