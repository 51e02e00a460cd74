"""Where people stand and walk: seconds by place, drawn over a picture of the scene."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

CELL = 8
"""Pixels of a side of a place."""
SPREAD = 0.015
"""Standard deviation that a foot is spread over, as a share of the picture's longer side."""
COVER = 0.65
"""How much of the scene the hottest colour hides."""
BRIGHTEST = 0.995
"""Share of the places with anybody that are below the hottest colour, so that one who sits does not hide all others."""


class HeatMap:
    """Adds up feet.

    Args:
        size: width and height of the pictures.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.seconds = np.zeros((-(-size[1] // CELL), -(-size[0] // CELL)))

    def add(self, feet: NDArray[np.float64], seconds: float) -> None:
        """Somebody was at each of ``(M, 2)`` pixels for so long."""
        column, row = np.floor(feet / CELL).astype(np.int64).T
        inside = (row >= 0) & (row < self.seconds.shape[0]) & (column >= 0) & (column < self.seconds.shape[1])
        np.add.at(self.seconds, (row[inside], column[inside]), seconds)

    def draw(self, scene: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The scene, ``(H, W, 3)`` uint8 BGR, in grey, with warm colours where much time was spent."""
        grey = cv2.cvtColor(cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        if not self.seconds.any():
            return np.asarray(grey, np.uint8)
        warmth = cv2.GaussianBlur(self.seconds, (0, 0), max(SPREAD * max(self.size) / CELL, 0.8))
        warmth = np.sqrt(warmth / np.quantile(warmth[warmth > warmth.max() / 1e3], BRIGHTEST)).clip(0, 1)
        warmth = cv2.resize(warmth, self.size, interpolation=cv2.INTER_CUBIC).clip(0, 1)
        colours = cv2.applyColorMap((255 * warmth).astype(np.uint8), cv2.COLORMAP_INFERNO)
        share = (COVER * np.minimum(3 * warmth, 1))[..., None]
        return np.asarray(grey * (1 - share) + colours * share, np.uint8)
