"""After the fact, when the whole video is known: joining of tracks that are one object, and filling of their gaps.

Everything works on the table of all boxes, which has their times, and returns a new one; nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tracker.assignment import best_edges
from tracker.errors import DataError
from tracker.formats.table import UNKNOWN, Table, concatenated, in_order

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]
Embeddings = Mapping[int, NDArray[np.floating]]
"""Unit vectors ``(D,)`` of what ids look like; not every id needs one."""

TAU = 10.0
"""Frames; the scale of `gaussian` (StrongSORT's value)."""
NOISE = 0.01
"""Variance of a box about its way, as a share of that of the way about a straight line."""


def fill(rows: Table, *, max_gap: float = 1.0, method: Literal["linear", "gaussian"] = "linear") -> Table:
    """Put boxes into the gaps of tracks.

    `linear` draws straight lines between the boxes beside a gap. `gaussian` lets a Gaussian process over the whole
    track bend them (Du et al., StrongSORT, IEEE Transactions on Multimedia 2023, Gaussian-smoothed
    interpolation): smooth where the track is, and less so the longer it is. Differences: the process runs about the
    track's straight line and with noise, so that it does not depend on where the picture's corner is, and boxes that
    were seen stay as they were seen.

    Args:
        rows: the tracks.
        max_gap: seconds between two boxes of a track that are filled; longer gaps stay.
        method: how.

    Returns:
        With the new rows: `filled` and `predicted`, score and class of the box before the gap, the score less the
        further it is.
    """
    if len(rows) < 2:
        return rows
    rows, time = _by_track(rows)
    before = np.flatnonzero((np.diff(rows.id) == 0) & (np.diff(rows.frame) > 1) & (np.diff(time) <= max_gap + 1e-9))
    steps = rows.frame[before + 1] - rows.frame[before]
    left = np.repeat(before, steps - 1)
    number = np.arange(len(left)) - np.repeat(np.cumsum(steps - 1) - (steps - 1), steps - 1) + 1
    share = number / np.repeat(steps, steps - 1)
    unknown: dict[str, Any] = {
        name: np.full(len(left), UNKNOWN) for name in OF_WHAT_WAS_SEEN if getattr(rows, name) is not None
    }
    new = replace(
        rows.take(left),
        frame=rows.frame[left] + number,
        time=time[left] + share * (time[left + 1] - time[left]),
        xyxy=rows.xyxy[left] + share[:, None] * (rows.xyxy[left + 1] - rows.xyxy[left]),
        # Half of it in the middle: surer beside what was seen.
        score=rows.score[left] * (1 - np.minimum(share, 1 - share)),
        filled=np.ones(len(left), bool),
        predicted=np.ones(len(left), bool),
        **unknown,
    )
    merged, _ = _by_track(concatenated(rows, new))
    return in_order(replace(merged, xyxy=_bent(merged)) if method == "gaussian" and len(new) else merged)


OF_WHAT_WAS_SEEN = ("visibility", "truncated", "occluded")
"""Columns of which nobody knows what they are in a gap."""


def _by_track(table: Table) -> tuple[Table, Float64]:
    """The rows sorted by id, then by frame, and their times.

    Raises:
        DataError: no times, or a track's do not rise.
    """
    if table.time is None:
        raise DataError(f"{table.name}: tracks need the times of their boxes to be joined or filled")
    rows = table.take(np.lexsort((table.frame, table.id)))
    time = table.time[np.lexsort((table.frame, table.id))]
    falls = np.flatnonzero((rows.id[1:] == rows.id[:-1]) & (np.diff(time) <= 0))
    if len(falls):
        row = int(falls[0])
        raise DataError(
            f"{table.name}, track {rows.id[row]}: time does not rise from frame {rows.frame[row]} to the next"
        )
    return rows, time


def _bent(rows: Table) -> Float64:
    """Boxes, those in gaps moved to where a Gaussian process over their track has them."""
    xyxy = rows.xyxy.copy()
    ends = np.flatnonzero(np.r_[np.diff(rows.id) != 0, True]) + 1
    for begin, end in pairwise([0, *ends.tolist()]):
        filled = rows.filled[begin:end]
        if filled.any() and end - begin < TAU**3:  # longer ones are not smoothed: the scale is nil
            smooth = gaussian(rows.frame[begin:end].astype(np.float64), _middle_and_size(rows.xyxy[begin:end]))
            x, y, w, h = smooth[filled].T
            w, h = np.maximum(w, 1e-3), np.maximum(h, 1e-3)
            xyxy[begin:end][filled] = np.column_stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return xyxy


def _middle_and_size(xyxy: Float64) -> Float64:
    """``(N, 4)`` centre, width, height."""
    return np.concatenate([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]], axis=1)


def length_scale(frames: int) -> float:
    """Of the process over a track of so many frames: τ ln(τ³ / frames), within 1/τ and τ² (StrongSORT)."""
    return float(np.clip(TAU * np.log(TAU**3 / frames), 1 / TAU, TAU**2))


def gaussian(at: Float64, values: Float64) -> Float64:
    """Posterior mean of a Gaussian process at its own places (Rasmussen and Williams, 2006, eq. 2.23 and 2.25).

    Squared-exponential kernel of `length_scale`, noise of `NOISE`, about the straight line of least squares.

    Args:
        at: ``(N,)`` places, different ones.
        values: ``(N, K)``, each column a process of its own.
    """
    from scipy.linalg import cho_factor, cho_solve

    design = np.column_stack([np.ones(len(at)), at - at.mean()])
    line = design @ np.linalg.lstsq(design, values, rcond=None)[0]
    kernel = np.exp(-((at[:, None] - at[None]) ** 2) / (2 * length_scale(len(at)) ** 2))
    factor = cho_factor(kernel + NOISE * np.eye(len(at)), lower=True)
    smooth: Float64 = line + kernel @ cho_solve(factor, values - line)
    return smooth


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinSettings:
    """What may be one object.

    Attributes:
        max_gap: seconds between the end of a track and the beginning of another, where both have embeddings.
        max_offset: heights that the beginning may be off where the end was heading, where both have embeddings.
        max_speed: heights that it may be off more for every second of the gap.
        max_gap_by_place: seconds, where one of them has no embeddings.
        max_offset_by_place: heights, where one of them has no embeddings.
        min_frames: a track without embeddings and with fewer boxes is not joined: it is often none.
        size_ratio: smaller over larger height, at least.
        max_embedding_distance: half cosine distance, 0–1, at most.
        embedding_weight: of embeddings in the cost, the rest is of place.
        coast_seconds: seconds; an object out of sight loses its velocity with this time constant.
    """

    max_gap: float = 60.0
    max_offset: float = 0.5
    max_speed: float = 2.0
    max_gap_by_place: float = 3.0
    max_offset_by_place: float = 0.15
    min_frames: int = 6
    size_ratio: float = 0.6
    max_embedding_distance: float = 0.2
    embedding_weight: float = 0.7
    coast_seconds: float = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class _Ends:
    """Tracks by their ends, a row a track: id, class, first and last frame and time, place ``(x, y, height)``, pixels
    a second there, and embeddings (rows without have `known` false)."""

    id: Index
    class_id: Index
    boxes: Index  # how many
    frame: Index  # (T, 2)
    time: Float64  # (T, 2)
    place: Float64  # (T, 2, 3)
    speed: Float64  # (T, 2, 2)
    embedding: Float64  # (T, D)
    known: NDArray[np.bool_]


def join(rows: Table, embeddings: Embeddings | None = None, settings: JoinSettings | None = None) -> Table:
    """Give tracks that are one object one id: the first of theirs.

    A track can go on in another that begins after its end. Which goes on in which is one exact assignment over all ends
    and beginnings that are within their gates, the cheapest set of chains that covers all tracks (Zhang, Li and
    Nevatia, CVPR 2008, without detections that may be false). It is done in rounds, short gaps first, so that the
    longer ones are compared by longer tracks (Huang, Wu and Nevatia, ECCV 2008). The cost is a weighted sum of the
    distances of embeddings and of places, each as a share of its gate. Tracks that overlap in time are never joined.

    Args:
        rows: the tracks.
        embeddings: what ids look like; without, motion and time alone decide, over shorter gaps.
        settings: the gates.
    """
    settings = settings or JoinSettings()
    if not len(rows):
        return rows
    rows, _ = _by_track(rows)
    known = {int(i): np.asarray(v, np.float64) for i, v in (embeddings or {}).items()}
    gap = min(0.5, settings.max_gap)
    while True:
        ends = _ends(rows, known)
        new = _joined_ids(ends, settings, gap)
        if (new != ends.id).any():
            known = _mean_embeddings(rows, known, ends.id, new)
            rows = replace(rows, id=new[np.searchsorted(ends.id, rows.id)])
            rows, _ = _by_track(rows)
        if gap >= max(settings.max_gap, settings.max_gap_by_place):
            return in_order(rows)
        gap = min(2 * gap, max(settings.max_gap, settings.max_gap_by_place))


def _ends(rows: Table, embeddings: Embeddings) -> _Ends:
    """Where tracks begin and end; velocities are over half a second there."""
    first = np.flatnonzero(np.r_[True, np.diff(rows.id) != 0])
    last = np.r_[first[1:], len(rows)] - 1
    middle = _middle_and_size(rows.xyxy)
    assert rows.time is not None
    times = rows.time
    clock = times - times.min()
    span = clock.max() + 1.0
    key = np.repeat(np.arange(len(first)), last - first + 1) * span + clock  # ascending over all rows
    after = np.minimum(np.searchsorted(key, key[first] + 0.5, side="right") - 1, last)
    before = np.maximum(np.searchsorted(key, key[last] - 0.5), first)

    def speed(a: Index, b: Index) -> Float64:
        seconds = np.maximum(times[b] - times[a], 1e-9)[:, None]
        moved: Float64 = np.where((b > a)[:, None], (middle[b, :2] - middle[a, :2]) / seconds, 0.0)
        return moved

    ids = rows.id[first]
    size = len(next(iter(embeddings.values()))) if embeddings else 0
    vectors = [embeddings.get(int(i)) for i in ids]
    return _Ends(
        ids,
        rows.label[first],
        last - first + 1,
        np.column_stack([rows.frame[first], rows.frame[last]]),
        np.column_stack([times[first], times[last]]),
        np.stack([middle[first][:, [0, 1, 3]], middle[last][:, [0, 1, 3]]], axis=1),
        np.stack([speed(first, after), speed(before, last)], axis=1),
        np.array([np.zeros(size) if v is None else v for v in vectors]).reshape(len(ids), size),
        np.array([v is not None for v in vectors], bool),
    )


def _joined_ids(ends: _Ends, settings: JoinSettings, gap: float) -> Index:
    """``(T,)`` the id of every track after one round over gaps of up to `gap` seconds."""
    end, begin, cost = _links(ends, settings, gap)
    n = len(ends.id)
    chosen = best_edges(end, begin, cost - 1.0)
    follows = np.full(n, -1, np.int64)
    follows[begin[chosen]] = end[chosen]
    new = ends.id.copy()
    for track in np.argsort(ends.frame[:, 0], kind="stable"):  # whom it follows began before
        if follows[track] >= 0:
            new[track] = new[follows[track]]
    return new


def _links(ends: _Ends, settings: JoinSettings, gap: float) -> tuple[Index, Index, Float64]:
    """Pairs of tracks of which one may go on in the other: rows of both, and the cost, at most 1."""
    order = np.argsort(ends.time[:, 0], kind="stable")
    starts = ends.time[order, 0]
    low = np.searchsorted(starts, ends.time[:, 1], side="right")
    high = np.searchsorted(starts, ends.time[:, 1] + gap + 1e-9, side="right")
    counts = np.maximum(high - low, 0)
    end = np.repeat(np.arange(len(counts)), counts)
    begin = order[np.arange(len(end)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(low, counts)]
    away = ends.time[begin, 0] - ends.time[end, 1]
    height = ends.place[end, 1, 2], ends.place[begin, 0, 2]
    tall, short = np.maximum(*height), np.minimum(*height)
    moved = settings.coast_seconds * (1 - np.exp(-away / settings.coast_seconds))[:, None]
    step = ends.place[begin, 0, :2] - ends.place[end, 1, :2]
    # Seen from either side: where the end was heading, and where the beginning came from.
    off = np.hypot(*(step - moved * ends.speed[end, 1]).T) + np.hypot(*(step - moved * ends.speed[begin, 0]).T)
    both = ends.known[end] & ends.known[begin]
    allowed = np.where(both, settings.max_offset + settings.max_speed * away, settings.max_offset_by_place)
    place = off / np.maximum(tall + short, 1e-6) / allowed
    embedding = (1 - (ends.embedding[end] * ends.embedding[begin]).sum(1)) / 2 / settings.max_embedding_distance
    cost = np.where(both, settings.embedding_weight * embedding + (1 - settings.embedding_weight) * place, place)
    kept = (
        (ends.class_id[end] == ends.class_id[begin])
        & (ends.frame[end, 1] < ends.frame[begin, 0])
        & (short >= settings.size_ratio * tall)
        & (place <= 1)
        & np.where(both, embedding <= 1, np.minimum(ends.boxes[end], ends.boxes[begin]) >= settings.min_frames)
        & (away <= np.where(both, settings.max_gap, settings.max_gap_by_place) + 1e-9)
    )
    return end[kept].astype(np.int64), begin[kept].astype(np.int64), cost[kept]


def _mean_embeddings(rows: Table, embeddings: Embeddings, old: Index, new: Index) -> dict[int, Float64]:
    """Embeddings of joined tracks: the mean of theirs, by how long each was seen."""
    sums: dict[int, Float64] = {}
    lengths = np.bincount(np.searchsorted(old, rows.id), minlength=len(old))
    for before, after, length in zip(old.tolist(), new.tolist(), lengths.tolist(), strict=True):
        if before in embeddings:
            sums[after] = sums.get(after, 0.0) + length * np.asarray(embeddings[before], np.float64)
    return {i: v / max(float(np.linalg.norm(v)), 1e-12) for i, v in sums.items()}
