"""Making arrays in compiled code: by two functions, since each of numpy's ways takes numba half a second to compile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.compiled import compiled

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]


@compiled
def integers(count: int, value: int) -> Index:
    """An array of `count` times the same whole number."""
    array = np.empty(count, np.int64)
    for i in range(count):
        array[i] = value
    return array


@compiled
def numbers(count: int, value: float) -> Float64:
    """An array of `count` times the same number."""
    array = np.empty(count)
    for i in range(count):
        array[i] = value
    return array


@compiled
def flags(count: int) -> NDArray[np.bool_]:
    """None of them is set."""
    array = np.empty(count, np.bool_)
    for i in range(count):
        array[i] = False
    return array


@compiled
def grown(array: Index, size: int) -> Index:
    """The array of whole numbers with room for more."""
    larger = integers(size, 0)
    for i in range(len(array)):
        larger[i] = array[i]
    return larger


@compiled
def longer(array: Float64, size: int) -> Float64:
    """The array of numbers with room for more."""
    larger = numbers(size, 0.0)
    for i in range(len(array)):
        larger[i] = array[i]
    return larger
