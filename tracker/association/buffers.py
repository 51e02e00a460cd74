"""The engine's arrays, as compiled code is handed them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracker.association import records
from tracker.association.priors import initial_priors
from tracker.types import OUTPUT

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.int64]
Table = NDArray[Any]
"""Of records."""


class Buffers(NamedTuple):
    """All arrays that a frame reads and writes. There is room for as many tracks and detections together as `tracks`
    has rows; a frame that needs more is not begun."""

    counters: Table  # (1,) of COUNTERS
    priors: Table  # (1,) of PRIORS
    tracks: Table  # (room,) of TRACK
    gallery: Float32  # (room, 1 + gallery_size, D): mean embedding, then the gallery
    quality: Float64  # (room, 1 + gallery_size): how many entries there were, then the quality of each, -1 where free
    rules: Table  # (1,) of RULES
    stages: Table  # (S,) of STAGE
    # True in one frame only.
    detections: Table  # (room,) of DETECTION
    xyxy: Float64  # (room, 4) of the detections
    expected: Float64  # (room, 4) boxes of the tracks
    found: Index  # (room,): the answer of a grid
    rows: Index  # (room,): some tracks
    scratch: Index  # (room,): for sorting
    keys: Float64  # (room,): what is sorted by
    output: Table  # (room,) of OUTPUT
    pairs: Table  # (P,) of PAIR, the first for the pair at hand, the others for explanations
    given: Float64  # (F, M, N) costs that the caller's functions gave


def make_counters() -> Table:
    """Of an engine that has seen nothing."""
    counters = np.zeros(1, records.COUNTERS)
    counters["first"] = counters["before"] = np.nan
    counters["next_id"] = 1
    return counters


def make_buffers(room: int, slots: int, dimension: int, rules: Table, stages: Table, pairs: int) -> Buffers:
    """Empty ones.

    Args:
        room: for so many tracks and detections together.
        slots: embeddings a track keeps, its mean included.
        dimension: of an embedding.
        rules, stages: of the recipe.
        pairs: that explanations have room for in a frame.
    """
    return Buffers(
        counters=make_counters(),
        priors=initial_priors(),
        tracks=np.zeros(room, records.TRACK),
        gallery=np.zeros((room, slots, dimension), np.float32),
        quality=np.zeros((room, slots)),
        rules=rules,
        stages=stages,
        detections=np.zeros(room, records.DETECTION),
        xyxy=np.zeros((room, 4)),
        expected=np.zeros((room, 4)),
        found=np.zeros(room, np.int64),
        rows=np.zeros(room, np.int64),
        scratch=np.zeros(room, np.int64),
        keys=np.zeros(room),
        output=np.zeros(room, OUTPUT),
        pairs=np.zeros(1 + pairs, records.PAIR),
        given=np.zeros((0, 0, 0)),
    )
