"""Which boxes touch a place: a grid of cells, so that boxes far apart never meet. Compiled."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracker.association.overlap import Box
from tracker.compiled import compiled, kernel
from tracker.compiled_arrays import grown, integers

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]

FEW = 1024
"""Pairs up to which looking at all of them is faster than sorting: one cell is enough."""


class Grid(NamedTuple):
    """Boxes, each in every cell that it touches."""

    boxes: Float64  # (N, 4)
    member: Index  # of the cells, cell after cell, row of cells after row of cells
    first: Index  # (columns * rows + 1,) where those of each cell begin
    left: float
    top: float
    across: float  # cells a pixel
    down: float
    columns: int
    rows: int
    widest: float  # of the boxes
    tallest: float


@kernel
def box_at(boxes: Float64, row: int) -> Box:
    return boxes[row, 0], boxes[row, 1], boxes[row, 2], boxes[row, 3]


@kernel
def cell_at(place: float, count: int) -> int:
    """The cell of a coordinate in cells; the outermost for what lies outside."""
    if place > 0:
        return int(place) if place < count else count - 1
    return 0


@kernel
def cells_of(grid: Grid, box: Box) -> tuple[int, int, int, int]:
    """First and last column, first and last row of the cells that a box touches."""
    return (
        cell_at((box[0] - grid.left) * grid.across, grid.columns),
        cell_at((box[2] - grid.left) * grid.across, grid.columns),
        cell_at((box[1] - grid.top) * grid.down, grid.rows),
        cell_at((box[3] - grid.top) * grid.down, grid.rows),
    )


@compiled
def one_cell(boxes: Float64) -> Grid:
    """The grid that is no grid: every box is asked."""
    widest, tallest = 0.0, 0.0
    for i in range(len(boxes)):
        box = box_at(boxes, i)
        widest, tallest = max(widest, box[2] - box[0]), max(tallest, box[3] - box[1])
    none = integers(0, 0)
    return Grid(boxes, none, none, 0.0, 0.0, 0.0, 0.0, 1, 1, widest, tallest)


@compiled
def make_grid(boxes: Float64, questions: int) -> Grid:
    """Sort ``(N, 4)`` boxes into about as many cells as there are boxes; `questions`: how often it will be asked."""
    n = len(boxes)
    if questions * n <= FEW:
        return one_cell(boxes)
    side = int(math.sqrt(n)) + 1
    left, top, right, bottom, widest, tallest = np.inf, np.inf, -np.inf, -np.inf, 0.0, 0.0
    widths, heights = 1.0, 1.0
    for i in range(n):
        box = box_at(boxes, i)
        left, top, right, bottom = min(left, box[0]), min(top, box[1]), max(right, box[0]), max(bottom, box[1])
        widest, tallest = max(widest, box[2] - box[0]), max(tallest, box[3] - box[1])
        widths, heights = widths + box[2] - box[0], heights + box[3] - box[1]
    # No cell is smaller than the mean box: where all lie on one heap, each would be in all cells.
    across, down = min(side / max(right - left, 1.0), n / widths), min(side / max(bottom - top, 1.0), n / heights)
    first = integers(side * side + 1, 0)
    grid = Grid(boxes, first, first, left, top, across, down, side, side, widest, tallest)
    for i in range(n):
        a, b, c, d = cells_of(grid, box_at(boxes, i))
        for row in range(c, d + 1):
            for cell in range(row * side + a, row * side + b + 1):
                first[cell + 1] += 1
    for cell in range(side * side):
        first[cell + 1] += first[cell]
    member, place = integers(first[side * side], 0), grown(first, len(first))
    for i in range(n):
        a, b, c, d = cells_of(grid, box_at(boxes, i))
        for row in range(c, d + 1):
            for cell in range(row * side + a, row * side + b + 1):
                member[place[cell]] = i
                place[cell] += 1
    return Grid(boxes, member, first, left, top, across, down, side, side, widest, tallest)


@kernel
def touching(grid: Grid, box: Box, found: Index) -> int:
    """The boxes that a box touches: how many, and which, in `found` (room for all)."""
    boxes, member, first, count = grid.boxes, grid.member, grid.first, 0
    if box[2] - box[0] == np.inf:
        for i in range(len(boxes)):
            found[i] = i
        return len(boxes)
    if len(first) == 0:  # one cell
        for i in range(len(boxes)):
            if not (boxes[i, 0] > box[2] or boxes[i, 2] < box[0] or boxes[i, 1] > box[3] or boxes[i, 3] < box[1]):
                found[count] = i
                count += 1
        return count
    a, b, c, d = cells_of(grid, box)
    for row in range(c, d + 1):
        for column in range(a, b + 1):
            cell = row * grid.columns + column
            for k in range(first[cell], first[cell + 1]):
                i = member[k]
                x1, y1, x2, y2 = box_at(boxes, i)
                if x1 > box[2] or x2 < box[0] or y1 > box[3] or y2 < box[1]:
                    continue
                # Two boxes can meet in several cells: that of their common corner counts.
                if (
                    cell_at((max(x1, box[0]) - grid.left) * grid.across, grid.columns) == column
                    and cell_at((max(y1, box[1]) - grid.top) * grid.down, grid.rows) == row
                ):
                    found[count] = i
                    count += 1
    return count
