"""Constant-velocity Kalman filter of a box, in closed form.

With diagonal noise the usual filter of eight quantities is four independent filters of position and velocity, one for
each measured quantity. Predict and update are then a few operations, with no matrix to invert; the result equals the
filter with 8×8 matrices to rounding. All functions are compiled, and change one record of `STATE` in place.

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

from tracker.compiled import Record, kernel

Float64 = NDArray[np.float64]
BoxState = Literal["xyah", "xywh", "xysr"]
Four = tuple[float, float, float, float]
Box = Four

XYAH, XYWH, XYSR = 0, 1, 2
KINDS: dict[BoxState, int] = {"xyah": XYAH, "xywh": XYWH, "xysr": XYSR}

STILL: Float64 = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""The affine of a camera that did not move."""

STATE = np.dtype(
    [
        ("position", np.float64, 4),
        ("velocity", np.float64, 4),
        ("position_variance", np.float64, 4),
        ("covariance", np.float64, 4),
        ("velocity_variance", np.float64, 4),
    ]
)
"""The state of a filter: of each measured quantity its mean, and the covariance of its position and velocity."""

SMALLEST_SIDE = 1e-3
"""Pixels; a predicted box never becomes smaller, so that every division is safe."""


@kernel
def measure(kind: int, box: Box) -> Four:
    """Corners as a measurement."""
    width, height = max(box[2] - box[0], SMALLEST_SIDE), max(box[3] - box[1], SMALLEST_SIDE)
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    if kind == XYWH:
        return x, y, width, height
    if kind == XYAH:
        return x, y, width / height, height
    return x, y, width * height, width / height


@kernel
def corners(kind: int, state: Record) -> Box:
    """The box that a state expects."""
    x, y = state.position[0], state.position[1]
    third, fourth = max(state.position[2], 1e-9), max(state.position[3], 1e-9)
    if kind == XYWH:
        width, height = third, fourth
    elif kind == XYAH:
        width, height = third * fourth, fourth
    else:
        width, height = math.sqrt(third * fourth), math.sqrt(third / fourth)
    half_width, half_height = max(width, SMALLEST_SIDE) / 2, max(height, SMALLEST_SIDE) / 2
    return x - half_width, y - half_height, x + half_width, y + half_height


@kernel
def copy_state(source: Record, target: Record) -> None:
    """Make `target` equal to `source`."""
    for i in range(4):
        target.position[i], target.velocity[i] = source.position[i], source.velocity[i]
        target.position_variance[i], target.covariance[i] = source.position_variance[i], source.covariance[i]
        target.velocity_variance[i] = source.velocity_variance[i]


@kernel
def _size(kind: int, state: Record, i: int) -> float:
    """What the noise of quantity `i` is a share of."""
    if kind == XYWH:
        return float(state.position[2 + i % 2])
    return float(state.position[3])


@kernel
def _process(kind: int, state: Record, i: int, p: float, v: float) -> tuple[float, float]:
    """Variances that a nominal frame adds to position and velocity."""
    if kind == XYSR:
        return 1.0, (1e-2 if i < 2 else 1e-4 if i == 2 else 0.0)
    if kind == XYAH and i == 2:
        return 1e-4, 1e-10
    size = _size(kind, state, i)
    return (p * size) ** 2, (v * size) ** 2


@kernel
def measurement_variance(kind: int, state: Record, i: int, r: float) -> float:
    """Variance of a measurement of quantity `i`, whose deviation is `r`, a share of the size."""
    if kind == XYSR:
        return 1.0 if i < 2 else 10.0
    if kind == XYAH and i == 2:
        return 1e-2
    return (r * _size(kind, state, i)) ** 2


@kernel
def initiate(kind: int, state: Record, z: Four, r: float, start: float) -> None:
    """A new box at rest, measured with a deviation of `r`, its velocity unsure by `start` (shares of its size)."""
    for i in range(4):
        state.position[i], state.velocity[i], state.covariance[i] = z[i], 0.0, 0.0
    for i in range(4):
        if kind == XYSR:
            state.position_variance[i], state.velocity_variance[i] = 10.0, (1e4 if i < 3 else 0.0)
        else:
            by_position, by_velocity = _process(kind, state, i, r, start)
            known = kind == XYAH and i == 2
            state.position_variance[i] = by_position * (1.0 if known else 4.0)
            state.velocity_variance[i] = by_velocity


@kernel
def predict(kind: int, state: Record, steps: float, p: float, v: float, factor: Four) -> None:
    """Move on by a number of nominal frames, at least 0; a fraction is fine.

    The variance that the process adds to each measured quantity is multiplied by its `factor`.
    """
    if kind == XYSR and state.position[2] + steps * state.velocity[2] <= 0:
        state.velocity[2] = 0.0  # an area that would turn negative stops shrinking
    added = (
        _process(kind, state, 0, p, v),
        _process(kind, state, 1, p, v),
        _process(kind, state, 2, p, v),
        _process(kind, state, 3, p, v),
    )
    for i in range(4):
        state.position[i] += steps * state.velocity[i]
        state.position_variance[i] += steps * (2 * state.covariance[i] + steps * state.velocity_variance[i])
        state.position_variance[i] += steps * added[i][0] * factor[i]
        state.covariance[i] += steps * state.velocity_variance[i]
        state.velocity_variance[i] += steps * added[i][1] * factor[i]
    if kind != XYSR:
        state.position[2], state.position[3] = max(state.position[2], 1e-6), max(state.position[3], 1e-6)


@kernel
def innovation(kind: int, state: Record, z: Four, scale: float, r: float, i: int) -> float:
    """How far a measured quantity is from what was expected, in deviations of what was expected."""
    variance = state.position_variance[i] + measurement_variance(kind, state, i, r) * scale * scale
    return float((z[i] - state.position[i]) / math.sqrt(variance)) if variance > 0 else 0.0


@kernel
def update(kind: int, state: Record, z: Four, scale: float, r: float) -> None:
    """Learn from a measurement with a deviation of `r`, a share of the size, multiplied by `scale`."""
    square = scale * scale
    noises = (
        measurement_variance(kind, state, 0, r) * square,
        measurement_variance(kind, state, 1, r) * square,
        measurement_variance(kind, state, 2, r) * square,
        measurement_variance(kind, state, 3, r) * square,
    )
    for i in range(4):
        total = state.position_variance[i] + noises[i]
        if total <= 0:
            continue
        position_gain, velocity_gain = state.position_variance[i] / total, state.covariance[i] / total
        residual = z[i] - state.position[i]
        state.position[i] += position_gain * residual
        state.velocity[i] += velocity_gain * residual
        state.velocity_variance[i] -= velocity_gain * state.covariance[i]
        state.position_variance[i] *= 1 - position_gain
        state.covariance[i] *= 1 - position_gain


@kernel
def squared_mahalanobis(kind: int, state: Record, z: Four, r: float) -> float:
    """Squared distance of a measurement from a state; chi-square with 4 degrees of freedom."""
    total = 0.0
    for i in range(4):
        variance = state.position_variance[i] + measurement_variance(kind, state, i, r)
        total += (z[i] - state.position[i]) ** 2 / variance
    return total


@kernel
def _warp_covariance(state: Record, aa: float, bb: float, cc: float, dd: float) -> None:
    """The diagonal of a rotated and scaled covariance of x and y."""
    part = state.position_variance
    part[0], part[1] = aa * part[0] + bb * part[1], cc * part[0] + dd * part[1]
    part = state.covariance
    part[0], part[1] = aa * part[0] + bb * part[1], cc * part[0] + dd * part[1]
    part = state.velocity_variance
    part[0], part[1] = aa * part[0] + bb * part[1], cc * part[0] + dd * part[1]


@kernel
def warp(kind: int, state: Record, camera: Float64) -> None:
    """Move a state as a camera moved: ``(2, 3)`` affine from the last picture's pixels to this one's.

    Sides grow with the root of the determinant. The covariance between x and y that a rotation makes is left
    out: it is of the order of the angle between two frames.
    """
    a, b, c, d = camera[0, 0], camera[0, 1], camera[1, 0], camera[1, 1]
    grow = math.sqrt(max(abs(a * d - b * c), 1e-12))
    x, y = state.position[0], state.position[1]
    state.position[0], state.position[1] = a * x + b * y + camera[0, 2], c * x + d * y + camera[1, 2]
    x, y = state.velocity[0], state.velocity[1]
    state.velocity[0], state.velocity[1] = a * x + b * y, c * x + d * y
    _warp_covariance(state, a * a, b * b, c * c, d * d)
    third = grow if kind == XYWH else 1.0 if kind == XYAH else grow * grow
    fourth = 1.0 if kind == XYSR else grow
    for i, factor in ((2, third), (3, fourth)):
        state.position[i] *= factor
        state.velocity[i] *= factor
        state.position_variance[i] *= factor * factor
        state.covariance[i] *= factor * factor
        state.velocity_variance[i] *= factor * factor
