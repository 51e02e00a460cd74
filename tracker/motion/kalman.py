"""Constant-velocity Kalman filter of a box, in closed form.

With diagonal noise the usual 8-state filter of a box is four independent position/velocity filters, one for
each measured quantity. Predict and update are then a few operations, with no matrix to invert; the result equals
the 8×8 filter to rounding. All functions are compiled, and work in place on one belief of ``(20,)`` float64:

    position (4), velocity (4), variance of position (4), covariance (4), variance of velocity (4)

Positions are in pixels (pixels² for an area, none for an aspect), velocities per nominal frame. A box is measured
as one of

- ``xyah``: centre, aspect (width / height), height (Wojke et al., ICIP 2017, section 2.1);
- ``xywh``: centre, width, height (Aharon et al., arXiv 2206.14651, section 3.1);
- ``xysr``: centre, area, aspect, the aspect without velocity (Bewley et al., ICIP 2016, section 3.2).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tracker.compiled import compiled

Float64 = NDArray[np.float64]
BoxState = Literal["xyah", "xywh", "xysr"]
Four = tuple[float, float, float, float]

XYAH, XYWH, XYSR = 0, 1, 2
KINDS: dict[BoxState, int] = {"xyah": XYAH, "xywh": XYWH, "xysr": XYSR}

STILL: Float64 = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""The affine of a camera that did not move."""

POSITION, VELOCITY, VAR_POSITION, COVARIANCE, VAR_VELOCITY, SIZE = 0, 4, 8, 12, 16, 20
"""Where each part of a belief begins, and how long it is."""

SMALLEST_SIDE = 1e-3
"""Pixels; a predicted box never becomes smaller, so that every division is safe."""


@compiled
def measure(kind: int, x1: float, y1: float, x2: float, y2: float) -> Four:
    """Corners as a measurement."""
    width, height = max(x2 - x1, SMALLEST_SIDE), max(y2 - y1, SMALLEST_SIDE)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    if kind == XYWH:
        return x, y, width, height
    if kind == XYAH:
        return x, y, width / height, height
    return x, y, width * height, width / height


@compiled
def corners(kind: int, belief: Float64) -> Four:
    """The believed box."""
    x, y, third, fourth = belief[0], belief[1], max(belief[2], 1e-9), max(belief[3], 1e-9)
    if kind == XYWH:
        width, height = third, fourth
    elif kind == XYAH:
        width, height = third * fourth, fourth
    else:
        width, height = math.sqrt(third * fourth), math.sqrt(third / fourth)
    half_width, half_height = max(width, SMALLEST_SIDE) / 2, max(height, SMALLEST_SIDE) / 2
    return x - half_width, y - half_height, x + half_width, y + half_height


@compiled
def _size(kind: int, belief: Float64, i: int) -> float:
    """What the noise of quantity `i` is a share of."""
    if kind == XYWH:
        return float(belief[2 + i % 2])
    return float(belief[3])


@compiled
def _process(kind: int, belief: Float64, i: int, p: float, v: float) -> tuple[float, float]:
    """Variances that a nominal frame adds to position and velocity."""
    if kind == XYSR:
        return 1.0, (1e-2 if i < 2 else 1e-4 if i == 2 else 0.0)
    if kind == XYAH and i == 2:
        return 1e-4, 1e-10
    size = _size(kind, belief, i)
    return (p * size) ** 2, (v * size) ** 2


@compiled
def noise(kind: int, belief: Float64, i: int, r: float) -> float:
    """Variance of a measurement of quantity `i`."""
    if kind == XYSR:
        return 1.0 if i < 2 else 10.0
    if kind == XYAH and i == 2:
        return 1e-2
    return (r * _size(kind, belief, i)) ** 2


@compiled
def initiate(kind: int, belief: Float64, z: Four, r: float, start: float) -> None:
    """A new box at rest, measured with a deviation of `r`, its velocity unsure by `start` (shares of its size)."""
    for i in range(4):
        belief[POSITION + i], belief[VELOCITY + i], belief[COVARIANCE + i] = z[i], 0.0, 0.0
    for i in range(4):
        if kind == XYSR:
            belief[VAR_POSITION + i], belief[VAR_VELOCITY + i] = 10.0, (1e4 if i < 3 else 0.0)
        else:
            by_position, by_velocity = _process(kind, belief, i, r, start)
            known = kind == XYAH and i == 2
            belief[VAR_POSITION + i] = by_position * (1.0 if known else 4.0)
            belief[VAR_VELOCITY + i] = by_velocity


@compiled
def predict(kind: int, belief: Float64, steps: float, p: float, v: float, factor: Four) -> None:
    """Move on by a number of nominal frames, at least 0; a fraction is fine.

    The variance that the process adds to each measured quantity is multiplied by its `factor`.
    """
    if kind == XYSR and belief[2] + steps * belief[VELOCITY + 2] <= 0:
        belief[VELOCITY + 2] = 0.0  # an area that would turn negative stops shrinking
    added = (
        _process(kind, belief, 0, p, v),
        _process(kind, belief, 1, p, v),
        _process(kind, belief, 2, p, v),
        _process(kind, belief, 3, p, v),
    )
    for i in range(4):
        belief[i] += steps * belief[VELOCITY + i]
        belief[VAR_POSITION + i] += steps * (2 * belief[COVARIANCE + i] + steps * belief[VAR_VELOCITY + i])
        belief[VAR_POSITION + i] += steps * added[i][0] * factor[i]
        belief[COVARIANCE + i] += steps * belief[VAR_VELOCITY + i]
        belief[VAR_VELOCITY + i] += steps * added[i][1] * factor[i]
    if kind != XYSR:
        belief[2], belief[3] = max(belief[2], 1e-6), max(belief[3], 1e-6)


@compiled
def surprise(kind: int, belief: Float64, z: Four, scale: float, r: float, i: int) -> float:
    """How far a measured quantity is from what was expected, in deviations of what was."""
    variance = belief[VAR_POSITION + i] + noise(kind, belief, i, r) * scale * scale
    return float((z[i] - belief[i]) / math.sqrt(variance)) if variance > 0 else 0.0


@compiled
def update(kind: int, belief: Float64, z: Four, scale: float, r: float) -> None:
    """Learn from a measurement with a deviation of `r`, a share of the size, multiplied by `scale`."""
    square = scale * scale
    noises = (
        noise(kind, belief, 0, r) * square,
        noise(kind, belief, 1, r) * square,
        noise(kind, belief, 2, r) * square,
        noise(kind, belief, 3, r) * square,
    )
    for i in range(4):
        total = belief[VAR_POSITION + i] + noises[i]
        if total <= 0:
            continue
        gain_p, gain_v = belief[VAR_POSITION + i] / total, belief[COVARIANCE + i] / total
        surprise = z[i] - belief[i]
        belief[i] += gain_p * surprise
        belief[VELOCITY + i] += gain_v * surprise
        belief[VAR_VELOCITY + i] -= gain_v * belief[COVARIANCE + i]
        belief[VAR_POSITION + i] *= 1 - gain_p
        belief[COVARIANCE + i] *= 1 - gain_p


@compiled
def squared_mahalanobis(kind: int, belief: Float64, z: Four, r: float) -> float:
    """Squared distance of a measurement from a belief; chi-square with 4 degrees of freedom."""
    total = 0.0
    for i in range(4):
        total += (z[i] - belief[i]) ** 2 / (belief[VAR_POSITION + i] + noise(kind, belief, i, r))
    return total


@compiled
def warp(kind: int, belief: Float64, camera: Float64) -> None:
    """Move a belief as a camera moved: ``(2, 3)`` affine from the last picture's pixels to this one's.

    Sides grow with the root of the determinant. The covariance between x and y that a rotation makes is left
    out: it is of the order of the angle between two frames.
    """
    a, b, c, d = camera[0, 0], camera[0, 1], camera[1, 0], camera[1, 1]
    grow = math.sqrt(max(abs(a * d - b * c), 1e-12))
    x, y = belief[0], belief[1]
    belief[0], belief[1] = a * x + b * y + camera[0, 2], c * x + d * y + camera[1, 2]
    x, y = belief[VELOCITY], belief[VELOCITY + 1]
    belief[VELOCITY], belief[VELOCITY + 1] = a * x + b * y, c * x + d * y
    for part in (VAR_POSITION, COVARIANCE, VAR_VELOCITY):
        x, y = belief[part], belief[part + 1]
        belief[part], belief[part + 1] = a * a * x + b * b * y, c * c * x + d * d * y
    third = grow if kind == XYWH else 1.0 if kind == XYAH else grow * grow
    fourth = 1.0 if kind == XYSR else grow
    for i, factor in ((2, third), (3, fourth)):
        belief[POSITION + i] *= factor
        belief[VELOCITY + i] *= factor
        belief[VAR_POSITION + i] *= factor * factor
        belief[COVARIANCE + i] *= factor * factor
        belief[VAR_VELOCITY + i] *= factor * factor
