"""Geometry of two boxes: overlaps, distances, angles. Small pure functions, compiled.

Boxes are ``x1, y1, x2, y2`` in pixels. Similarities are in 0–1 unless said otherwise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tracker.compiled import kernel

Float64 = NDArray[np.float64]
Array = NDArray[np.floating]
Box = tuple[float, float, float, float]

IOU, GIOU, DIOU, CIOU, BUFFERED_IOU, HEIGHT_IOU = range(6)
KINDS = {"iou": IOU, "giou": GIOU, "diou": DIOU, "ciou": CIOU, "biou": BUFFERED_IOU, "hmiou": HEIGHT_IOU}
"""Overlaps by the names that recipes use."""


def iou(left: Array, right: Array) -> Float64:
    """Intersection over union of all pairs of ``(N, 4)`` and ``(M, 4)`` corners; 0 for boxes without area."""
    left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
    low = np.maximum(left[:, None, :2], right[None, :, :2])
    high = np.minimum(left[:, None, 2:], right[None, :, 2:])
    overlap: Float64 = np.clip(high - low, 0, None).prod(2)
    area_left, area_right = ((box[:, 2:] - box[:, :2]).prod(1) for box in (left, right))
    union = area_left[:, None] + area_right[None] - overlap
    ratio: Float64 = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return ratio


@kernel
def pair_iou(a: Box, b: Box) -> float:
    """Intersection over union; 0 for boxes without area."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union if union > 0 else 0.0


@kernel
def height_iou(a: Box, b: Box) -> float:
    """Overlap of the two vertical extents alone (HMIoU's second factor; Yang et al., AAAI 2024, section 3.2)."""
    both, all_ = min(a[3], b[3]) - max(a[1], b[1]), max(a[3], b[3]) - min(a[1], b[1])
    return max(both, 0.0) / all_ if all_ > 0 else 0.0


@kernel
def buffered(box: Box, share: float) -> Box:
    """The box grown on every side by a share of its width and height (Yang et al., WACV 2023, section 3.1)."""
    x, y = share * (box[2] - box[0]), share * (box[3] - box[1])
    return box[0] - x, box[1] - y, box[2] + x, box[3] + y


@kernel
def pair_giou(a: Box, b: Box) -> float:
    """Generalised IoU, in -1–1 (Rezatofighi et al., CVPR 2019)."""
    width, height = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    hull = width * height
    if hull <= 0:
        return -1.0
    both = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return pair_iou(a, b) - (hull - union) / hull


@kernel
def pair_diou(a: Box, b: Box) -> float:
    """IoU less (distance of centres / diagonal of the hull)², in -1–1 (Zheng et al., AAAI 2020)."""
    width, height = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    diagonal = width * width + height * height
    if diagonal <= 0:
        return -1.0
    x, y = (a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2
    return pair_iou(a, b) - (x * x + y * y) / diagonal


@kernel
def pair_ciou(a: Box, b: Box) -> float:
    """DIoU less a penalty for unlike aspects (Zheng et al., AAAI 2020)."""
    overlap = pair_iou(a, b)
    angle_a = math.atan2(a[2] - a[0], max(a[3] - a[1], 1e-9))
    angle_b = math.atan2(b[2] - b[0], max(b[3] - b[1], 1e-9))
    v = 4 / math.pi**2 * (angle_a - angle_b) ** 2
    alpha = v / (1 - overlap + v) if v > 0 else 0.0
    return pair_diou(a, b) - alpha * v


@kernel
def overlap_of(kind: int, a: Box, b: Box, buffer: float) -> float:
    """The chosen overlap; the generalised ones brought to 0–1 by ``(x + 1) / 2``."""
    if kind == GIOU:
        return (pair_giou(a, b) + 1) / 2
    if kind == DIOU:
        return (pair_diou(a, b) + 1) / 2
    if kind == CIOU:
        return (max(pair_ciou(a, b), -1.0) + 1) / 2
    if kind == BUFFERED_IOU:
        return pair_iou(buffered(a, buffer), buffered(b, buffer))
    if kind == HEIGHT_IOU:
        return pair_iou(a, b) * height_iou(a, b)
    return pair_iou(a, b)


@kernel
def distance_in_heights(a: Box, b: Box) -> float:
    """Distance of the centres in units of the mean height of the two boxes."""
    x, y = (a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2
    return math.hypot(x, y) / max((a[3] - a[1] + b[3] - b[1]) / 2, 1e-6)


@kernel
def height_ratio(a: Box, b: Box) -> float:
    """Smaller over larger height: how alike the sizes are."""
    left, right = max(a[3] - a[1], 1e-6), max(b[3] - b[1], 1e-6)
    return min(left, right) / max(left, right)


@kernel
def shape_difference(a: Box, b: Box) -> float:
    """How unlike widths and heights are, 0–1 (BoostTrack, Stanojevic and Todorovic, MVA 2024, section 3.3)."""
    width_a, width_b = max(a[2] - a[0], 1e-6), max(b[2] - b[0], 1e-6)
    height_a, height_b = max(a[3] - a[1], 1e-6), max(b[3] - b[1], 1e-6)
    off = abs(width_a - width_b) / max(width_a, width_b) + abs(height_a - height_b) / max(height_a, height_b)
    return 1 - math.exp(-off)


@kernel
def angle_between(hx: float, hy: float, dx: float, dy: float) -> float:
    """Angle of a heading and a displacement, as a share of half a turn in 0–1; a half where either is nil."""
    size = math.sqrt(dx * dx + dy * dy)
    if size < 1e-6 or (hx == 0 and hy == 0):
        return 0.5
    return math.acos(min(max((hx * dx + hy * dy) / size, -1.0), 1.0)) / math.pi
