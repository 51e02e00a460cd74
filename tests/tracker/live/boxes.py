"""Overlap of boxes, by itself: an oracle must not be what it judges."""

import numpy as np


def iou(a, b):
    """``(N, M)`` overlap of ``(N, 4)`` and ``(M, 4)`` boxes."""
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    both = np.clip(high - low, 0, None).prod(2)
    return both / (np.prod(a[:, 2:] - a[:, :2], 1)[:, None] + np.prod(b[:, 2:] - b[:, :2], 1) - both + 1e-9)
