"""The engine's arrays, and how compiled code is handed them: by their addresses, in one array.

To take a numpy array as an argument, or to make one, costs numba as much as a track costs the filter, and to hand one
on is to copy eight words. None of it is done for arrays that can be the same in every frame: a function makes itself a
view of those that it needs.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from tracker.association import layout as at
from tracker.compiled import carray, compiled, doubles_at, flags_at, floats_at, integers_at

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Memory(NamedTuple):
    """All arrays, C-contiguous; see `tracker.association.layout` for what lies where in them."""

    ledger: Float64  # (L_WIDTH,)
    table: Float64  # (room, WIDTH)
    looks: Float32  # (room, 1 + samples, D)
    quality: Float64  # (room, 1 + samples)
    stream: Float64  # (stream.SIZE,)
    stages: Float64  # (S, S_WIDTH)
    rules: Float64  # (R_WIDTH,)
    out: Float64  # (room, O_WIDTH): what is shown
    # Of what is true in one frame only.
    xyxy: Float64  # (room, 4) of the detections
    score: Float64  # (room,) of the detections
    expected: Float64  # (room, 4) boxes of the tracks
    matched: Index  # (room,): detection of each track
    rows: Index  # (room,): some tracks
    found: Index  # (room,): some detections
    terms: Float64  # (E_WIDTH,) of a pair
    hidden: Float64  # (room,): how much of each detection others cover
    lag: Float64  # (4,): how the surprises of two frames go together
    taken: Flags  # (room,) of the detections
    free: Flags  # (room,) of the detections
    dead: Flags  # (room,) of the tracks
    waits: Flags  # (room,) of the tracks

    @classmethod
    def of(
        cls, ledger: Float64, table: Float64, looks: Float32, quality: Float64, stream: Float64, stages: Float64,
        rules: Float64,
    ) -> Self:  # fmt: skip
        """With room for as many tracks and detections together as the table has rows."""
        room = len(table)
        indices, flags = np.empty((3, room), np.int64), np.empty((4, room), np.bool_)
        return cls(
            ledger, table, looks, quality, stream, stages, rules,
            out=np.empty((room, at.O_WIDTH)), xyxy=np.empty((room, 4)), score=np.empty(room),
            expected=np.empty((room, 4)), matched=indices[0], rows=indices[1], found=indices[2],
            terms=np.full(at.E_WIDTH, np.nan), hidden=np.empty(room), lag=np.empty(4),
            taken=flags[0], free=flags[1], dead=flags[2], waits=flags[3],
        )  # fmt: skip

    def addresses(self) -> Index:
        """``(21, 4)``: of each array the address, then its shape. True for as long as somebody holds the arrays."""
        arrays: tuple[NDArray[Any], ...] = self
        where = np.zeros((len(arrays), 4), np.int64)
        for row, array in zip(where, arrays, strict=True):
            row[0], row[1 : 1 + array.ndim] = array.ctypes.data, array.shape
        return where


(
    LEDGER, TABLE, LOOKS, QUALITY, STREAM, STAGES, RULES, OUT, XYXY, SCORE, EXPECTED, MATCHED, ROWS, FOUND, TERMS,
    HIDDEN, LAG, TAKEN, FREE, DEAD, WAITS,
) = range(len(Memory._fields))  # fmt: skip


@compiled
def line(where: Index, which: int) -> Float64:
    """One of the arrays of numbers in a line."""
    view: Float64 = carray(doubles_at(where[which, 0]), where[which, 1])
    return view


@compiled
def sheet(where: Index, which: int) -> Float64:
    """One of the arrays of rows."""
    view: Float64 = carray(doubles_at(where[which, 0]), (where[which, 1], where[which, 2]))
    return view


@compiled
def indices(where: Index, which: int) -> Index:
    """One of the arrays of indices."""
    view: Index = carray(integers_at(where[which, 0]), where[which, 1])
    return view


@compiled
def flags(where: Index, which: int) -> Flags:
    """One of the arrays of flags."""
    view: Flags = carray(flags_at(where[which, 0]), where[which, 1])
    return view


@compiled
def looks_of(where: Index) -> Float32:
    """What the tracks look like."""
    view: Float32 = carray(floats_at(where[LOOKS, 0]), (where[LOOKS, 1], where[LOOKS, 2], where[LOOKS, 3]))
    return view


@compiled
def tracks_in(where: Index) -> int:
    """How many there are."""
    return int(line(where, LEDGER)[at.L_TRACKS])
