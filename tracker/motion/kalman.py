"""Constant-velocity Kalman filters for many boxes at once, in closed form.

With diagonal noise the usual 8-state filter of a box is four independent position/velocity filters, one for
each measured quantity. Predict and update are then a few operations on ``(N, 4)`` arrays, with no matrix to
invert; the result equals the 8×8 filter to rounding.

A box is measured as one of

- ``xyah``: centre, aspect (width / height), height (Wojke et al., ICIP 2017, section 2.1);
- ``xywh``: centre, width, height (Aharon et al., arXiv 2206.14651, section 3.1);
- ``xysr``: centre, area, aspect, the aspect without velocity (Bewley et al., ICIP 2016, section 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
BoxState = Literal["xyah", "xywh", "xysr"]

SMALLEST_SIDE = 1e-3
"""Pixels; a predicted box never becomes smaller, so that every division is safe."""


@dataclass(slots=True)
class Beliefs:
    """What is believed of N boxes: means and covariances of position and velocity, each ``(N, 4)`` float64.

    Positions are in pixels (pixels² for area, none for aspect), velocities per nominal frame.
    """

    position: Float64
    velocity: Float64
    var_position: Float64
    covariance: Float64
    var_velocity: Float64

    def __len__(self) -> int:
        return len(self.position)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Beliefs:
        return Beliefs(*(column[rows] for column in self.columns()))

    def __setitem__(self, rows: NDArray[np.intp], other: Beliefs) -> None:
        for mine, theirs in zip(self.columns(), other.columns(), strict=True):
            mine[rows] = theirs

    def columns(self) -> tuple[Float64, Float64, Float64, Float64, Float64]:
        """The five arrays."""
        return self.position, self.velocity, self.var_position, self.covariance, self.var_velocity


class BoxKalman:
    """The filter of one kind of box state.

    Args:
        state: what is measured.
        position_noise: standard deviation of a measured side, as a share of its size (1/20 in the papers).
        velocity_noise: standard deviation of a change of velocity per nominal frame, likewise (1/160).
    """

    def __init__(
        self, state: BoxState = "xyah", *, position_noise: float = 1 / 20, velocity_noise: float = 1 / 160
    ) -> None:
        self.state, self._p, self._v = state, position_noise, velocity_noise

    def measure(self, xyxy: NDArray[np.floating]) -> Float64:
        """``(N, 4)`` corners as measurements."""
        box = np.asarray(xyxy, np.float64)
        size = np.maximum(box[:, 2:] - box[:, :2], SMALLEST_SIDE)
        centre = (box[:, :2] + box[:, 2:]) / 2
        width, height = size[:, 0], size[:, 1]
        if self.state == "xywh":
            shape = (width, height)
        elif self.state == "xyah":
            shape = (width / height, height)
        else:
            shape = (width * height, width / height)
        return np.column_stack([centre, *shape])

    def boxes(self, beliefs: Beliefs) -> Float64:
        """``(N, 4)`` corners."""
        x, y, third, fourth = np.maximum(beliefs.position, [-np.inf, -np.inf, 1e-9, 1e-9]).T
        if self.state == "xywh":
            width, height = third, fourth
        elif self.state == "xyah":
            width, height = third * fourth, fourth
        else:
            width, height = np.sqrt(third * fourth), np.sqrt(third / fourth)
        half = np.stack([np.maximum(width, SMALLEST_SIDE), np.maximum(height, SMALLEST_SIDE)], axis=1) / 2
        centre = np.stack([x, y], axis=1)
        return np.concatenate([centre - half, centre + half], axis=1)

    def initiate(self, measured: Float64) -> Beliefs:
        """New boxes at rest, unsure of their velocity."""
        position, velocity = self._deviations(measured)
        if self.state == "xysr":
            var_position = np.full_like(measured, 10.0)
            var_velocity = np.broadcast_to([1e4, 1e4, 1e4, 0.0], measured.shape).copy()
        else:
            factor_p = np.array([2.0, 2.0, 1.0, 2.0] if self.state == "xyah" else [2.0] * 4)
            factor_v = np.array([10.0, 10.0, 1.0, 10.0] if self.state == "xyah" else [10.0] * 4)
            var_position, var_velocity = np.square(factor_p * position), np.square(factor_v * velocity)
        zeros = np.zeros_like(measured)
        return Beliefs(measured.copy(), zeros, var_position, zeros.copy(), var_velocity)

    def predict(self, beliefs: Beliefs, steps: float) -> None:
        """Move all boxes on by a number of nominal frames, at least 0; a fraction is fine."""
        b = beliefs
        position, velocity = self._process(b.position)
        if self.state == "xysr":  # an area that would turn negative stops shrinking
            stop = b.position[:, 2] + steps * b.velocity[:, 2] <= 0
            b.velocity[stop, 2] = 0.0
        b.position += steps * b.velocity
        b.var_position += steps * (2 * b.covariance + steps * b.var_velocity) + steps * position
        b.covariance += steps * b.var_velocity
        b.var_velocity += steps * velocity
        if self.state != "xysr":
            np.maximum(b.position[:, 2:], 1e-6, out=b.position[:, 2:])

    def update(self, beliefs: Beliefs, measured: Float64, scale: Float64) -> Beliefs:
        """What is believed after ``(N, 4)`` measurements; their noise's deviation is multiplied by `scale`."""
        b = beliefs
        noise = self._measurement_noise(b.position) * np.square(scale)
        total = b.var_position + noise
        gain_p, gain_v = b.var_position / total, b.covariance / total
        surprise = measured - b.position
        return Beliefs(
            b.position + gain_p * surprise,
            b.velocity + gain_v * surprise,
            (1 - gain_p) * b.var_position,
            (1 - gain_p) * b.covariance,
            b.var_velocity - gain_v * b.covariance,
        )

    def squared_mahalanobis(self, beliefs: Beliefs, measured: Float64) -> Float64:
        """``(N, M)`` squared distances of measurements from beliefs; chi-square with 4 degrees of freedom."""
        spread = beliefs.var_position + self._measurement_noise(beliefs.position)
        surprise = measured[None] - beliefs.position[:, None]
        return np.asarray((np.square(surprise) / spread[:, None]).sum(2))

    def _deviations(self, position: Float64) -> tuple[Float64, Float64]:
        """Standard deviations that go with the size of a box: of positions, of velocities."""
        if self.state == "xywh":
            size = position[:, [2, 3, 2, 3]]
            return self._p * size, self._v * size
        height = position[:, 3:4]
        ones = np.ones_like(height)
        return (
            np.hstack([self._p * height, self._p * height, 1e-2 * ones, self._p * height]),
            np.hstack([self._v * height, self._v * height, 1e-5 * ones, self._v * height]),
        )

    def _process(self, position: Float64) -> tuple[Float64, Float64]:
        """Variances that a nominal frame adds."""
        if self.state == "xysr":
            return np.array([1.0, 1.0, 1.0, 1.0]), np.array([1e-2, 1e-2, 1e-4, 0.0])
        p, v = self._deviations(position)
        return np.square(p), np.square(v)

    def _measurement_noise(self, position: Float64) -> Float64:
        if self.state == "xysr":
            return np.array([1.0, 1.0, 10.0, 10.0])
        noise = np.square(self._deviations(position)[0])
        if self.state == "xyah":
            noise[:, 2] = 1e-2
        return noise
