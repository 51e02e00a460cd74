"""Place and time within one camera: who was lost here, and who appears there so soon after."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

COAST = 1.0
"""Seconds; out of sight, an object keeps the velocity it had on average for about so long."""
POSITION = 0.03
"""Standard deviation of where a tracklet begins anew, in fractions of the picture, at once …"""
DRIFT = 0.1
"""… and how much wider it is for every second: people cross a picture in about ten."""
HEIGHT = 0.1
"""Standard deviation of the logarithm of its height at once; it widens by `DRIFT` a second too."""
HEIGHTS = 0.7
"""Standard deviation of the logarithm of the heights of two boxes of different objects."""
STAYS = 10.0
"""Seconds; after so long, one in e has not left for somewhere else, so that the place still tells something."""


def log_ratio(last: Float64, velocity: Float64, first: Float64, gap: Float64) -> Float64:
    """Evidence that what was lost there is what appears here; all arguments broadcast.

    In proportion `exp(-gap / STAYS)` the object is where it was heading, about as far off as it can have walked; in the
    rest it appears anywhere, as other objects do. So a short gap is decided almost by the place alone, and a long one
    hardly.

    Args:
        last: ``(…, 4)`` last box before, in fractions of the picture; NaN where it is not known.
        velocity: ``(…, 2)`` of its middle, fractions a second.
        first: ``(…, 4)`` first box after, in fractions of the picture; NaN where it is not known.
        gap: ``(…)`` seconds from the one to the other, at least 0.

    Returns:
        Natural logarithms; 0 where a box is not known.
    """
    moved = COAST * (1 - np.exp(-gap / COAST))[..., None] * velocity
    off = (first[..., :2] + first[..., 2:]) / 2 - (last[..., :2] + last[..., 2:]) / 2 - moved
    taller = np.log((first[..., 3] - first[..., 1]) / (last[..., 3] - last[..., 1]))
    wide, tall = POSITION + DRIFT * gap, HEIGHT + DRIFT * gap
    near = -(off**2).sum(-1) / (2 * wide**2) - np.log(2 * np.pi * wide**2)
    alike = -(taller**2) / (2 * tall**2) - np.log(tall) + taller**2 / (2 * HEIGHTS**2) + np.log(HEIGHTS)
    stays = np.exp(-gap / STAYS)
    with np.errstate(invalid="ignore"):  # NaN where a box is not known
        ratio = np.logaddexp(np.log(np.maximum(stays, 1e-300)) + near + alike, np.log1p(-np.minimum(stays, 1 - 1e-3)))
    return np.asarray(np.where(np.isfinite(ratio), ratio, 0.0))
