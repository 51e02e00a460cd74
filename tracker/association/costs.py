"""Costs of pairing tracks with detections: small pure functions, ``(N, 4)`` and ``(M, 4)`` to ``(N, M)``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Array = NDArray[np.floating]


def iou(left: Array, right: Array) -> Float64:
    """Intersection over union of ``(N, 4)`` and ``(M, 4)`` corners; 0 for boxes without area."""
    left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
    low = np.maximum(left[:, None, :2], right[None, :, :2])
    high = np.minimum(left[:, None, 2:], right[None, :, 2:])
    overlap: Float64 = np.clip(high - low, 0, None).prod(2)
    area_left, area_right = _area(left), _area(right)
    union = area_left[:, None] + area_right[None] - overlap
    ratio: Float64 = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return ratio


def _area(boxes: Array) -> Float64:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(1))


def cosine(left: Array, right: Array) -> Float64:
    """One minus the cosine of ``(N, D)`` and ``(M, D)`` unit vectors, in 0–2."""
    return np.asarray(1.0 - np.asarray(left, np.float64) @ np.asarray(right, np.float64).T)


def distance_in_heights(left: Array, right: Array) -> Float64:
    """Distance of the centres in units of the mean height of the two boxes."""
    left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
    between = (left[:, None, :2] + left[:, None, 2:] - right[None, :, :2] - right[None, :, 2:]) / 2
    height = ((left[:, 3] - left[:, 1])[:, None] + (right[:, 3] - right[:, 1])[None]) / 2
    return np.hypot(between[..., 0], between[..., 1]) / np.maximum(height, 1e-6)


def height_ratio(left: Array, right: Array) -> Float64:
    """Smaller over larger height, in 0–1: how alike the sizes are."""
    h_left, h_right = (np.maximum(np.asarray(b, np.float64)[:, 3] - b[:, 1], 1e-6) for b in (left, right))
    return np.asarray(np.minimum(h_left[:, None], h_right[None]) / np.maximum(h_left[:, None], h_right[None]))
