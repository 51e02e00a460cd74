"""Frames as a network wants them: fitted to its size, coloured and scaled its way; and boxes back into the frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Fit = Literal["center", "corner", "stretch"]
"""Sides in proportion with a border all around, or to the right and below; or without proportion and border."""
Color = Literal["rgb", "bgr"]

GREY = 114
"""Of the border, in every family that has one."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is done to a picture.

    Attributes:
        fit: how it comes to the network's size.
        color: order of its channels.
        scale: what pixels of 0-255 are multiplied by.
        mean: subtracted of each channel then, in the order of `color`.
        std: each channel is divided by then.
    """

    fit: Fit = "center"
    color: Color = "rgb"
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def to_input(self, images: NDArray[np.uint8], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        """``(B, H, W, 3)`` uint8 BGR as ``(B, 3, H, W)``; pixels go in as they are where the network takes uint8."""
        if self.color == "rgb":
            images = images[..., ::-1]
        planes = images.transpose(0, 3, 1, 2)
        if dtype == np.uint8:
            return np.ascontiguousarray(planes)
        factor = (self.scale / np.array(self.std)).astype(np.float32)
        shift = (np.array(self.mean) / np.array(self.std)).astype(np.float32)
        numbers = planes.astype(np.float32, order="C")
        numbers *= factor[:, None, None]
        if shift.any():
            numbers -= shift[:, None, None]
        return numbers.astype(dtype, copy=False)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a frame lies in the network's picture.

    Attributes:
        frame: its width and height in pixels.
        inner: those that it has in the picture.
        offset: left and top of it there.
        outer: width and height of the picture.
    """

    frame: tuple[int, int]
    inner: tuple[int, int]
    offset: tuple[int, int]
    outer: tuple[int, int]

    def back(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Corners in the picture, ``(N, 4)``, as corners in the frame, cut at its sides."""
        scale = np.divide(self.frame, self.inner, dtype=np.float64)
        moved = (boxes - np.tile(self.offset, 2)) * np.tile(scale, 2)
        return np.asarray(np.clip(moved, 0, np.tile(self.frame, 2)), np.float32)


def place(
    frame: tuple[int, int], fit: Fit, *, fixed: tuple[int, int] | None, longest: int, stride: int = 32
) -> Placement:
    """Where a frame goes.

    Args:
        frame: its width and height in pixels.
        fit: how it comes to size.
        fixed: width and height that the network takes; None where it takes any.
        longest: the frame's long side in the picture, where the network takes any size.
        stride: both sides of such a picture are multiples of it.
    """
    width, height = frame
    ratio = min(fixed[0] / width, fixed[1] / height) if fixed else longest / max(width, height)
    inner = max(round(width * ratio), 1), max(round(height * ratio), 1)
    outer = fixed or (-(-inner[0] // stride) * stride, -(-inner[1] // stride) * stride)
    if fit == "stretch":
        return Placement(frame, outer, (0, 0), outer)
    if fit == "corner":
        return Placement(frame, inner, (0, 0), outer)
    # Half a pixel goes to the right and below, as where Ultralytics' letterbox puts it.
    offset = (outer[0] - inner[0]) // 2, (outer[1] - inner[1]) // 2
    return Placement(frame, inner, offset, outer)


def draw(image: NDArray[np.uint8], placement: Placement, canvas: NDArray[np.uint8]) -> None:
    """Put a frame into its picture, ``(H, W, 3)``, which is grey before."""
    (left, top), (width, height) = placement.offset, placement.inner
    target = canvas[top : top + height, left : left + width]
    if placement.inner == placement.frame:
        target[:] = image
    else:
        target[:] = cv2.resize(image, placement.inner, interpolation=cv2.INTER_LINEAR)
