"""How much of a box others hide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def hidden_share(frame: NDArray[np.int64], xyxy: NDArray[np.floating]) -> NDArray[np.float64]:
    """Which share of each box lies behind another one of the same frame.

    Of two boxes the one whose lower edge is lower is in front, as it is with cameras above a floor; the largest share
    behind a single box counts.

    Args:
        frame: ``(N,)`` not falling.
        xyxy: ``(N, 4)`` pixels.

    Returns:
        ``(N,)`` in 0–1.
    """
    boxes = np.asarray(xyxy, np.float64)
    hidden = np.zeros(len(boxes))
    for part in np.split(np.arange(len(boxes)), np.flatnonzero(np.diff(frame)) + 1):
        here = boxes[part]
        in_front = here[None, :, 3] > here[:, None, 3]
        hidden[part] = np.where(in_front, covered(here), 0).max(1, initial=0)
    return hidden


def covered(xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(N, N)`` which share of each box lies inside each other one."""
    xyxy = np.asarray(xyxy, np.float64)
    low = np.maximum(xyxy[:, None, :2], xyxy[None, :, :2])
    high = np.minimum(xyxy[:, None, 2:], xyxy[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(2)
    area = np.clip(xyxy[:, 2:] - xyxy[:, :2], 0, None).prod(1)[:, None]
    return np.asarray(np.divide(common, area, out=np.zeros_like(common), where=area > 0), np.float64)
