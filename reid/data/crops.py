"""Crops in memory, and their augmentation as whole batches."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from reid.errors import DataError


def read_crops(paths: Sequence[Path], size: tuple[int, int], *, threads: int = 2) -> Tensor:
    """All crops decoded and resized, ``(N, 3, H, W)`` uint8 RGB; 25 KB each at 128×64.

    Raises:
        DataError: names the file that is no image.
    """
    height, width = size
    crops = torch.empty((len(paths), 3, height, width), dtype=torch.uint8)

    def read(index: int) -> None:
        image = cv2.imdecode(np.fromfile(paths[index], np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise DataError(f"{paths[index]}: not a readable image")
        crops[index] = torch.from_numpy(resize(np.asarray(image, np.uint8), size)[:, :, ::-1].transpose(2, 0, 1).copy())

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, range(len(paths))))
    return crops


def resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """To ``(H, W)``: averaging when it shrinks, linear when it grows."""
    height, width = size
    shrink = image.shape[0] > height
    method = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


class Augment:
    """Random views of a batch, drawn for each crop on its own and applied to the batch at once.

    Args:
        shift: largest move, as a share of each side (pad-crop).
        zoom: largest change of size, as a share.
        colour: largest change of brightness, contrast and saturation, as a share.
        erase: probability of a grey-noise rectangle (Zhong et al. 2020, random erasing).
        coarse: probability of a loss of resolution, as of a person far away.
        generator: where randomness comes from.
    """

    def __init__(
        self,
        *,
        shift: float = 0.08,
        zoom: float = 0.1,
        colour: float = 0.25,
        erase: float = 0.5,
        coarse: float = 0.3,
        generator: torch.Generator | None = None,
    ) -> None:
        self.shift, self.zoom, self.colour = shift, zoom, colour
        self.erase, self.coarse, self.generator = erase, coarse, generator

    def _uniform(self, n: int, low: float, high: float, *trailing: int) -> Tensor:
        return torch.rand((n, *trailing), generator=self.generator) * (high - low) + low

    def __call__(self, batch: Tensor) -> Tensor:
        """``(N, 3, H, W)`` float in 0–1, to the same."""
        return self._erased(self._coloured(self._coarsened(self._moved(batch)))).clamp_(0, 1)

    def _moved(self, x: Tensor) -> Tensor:
        n = len(x)
        scale = 1 + self._uniform(n, -self.zoom, self.zoom)
        flip = torch.where(self._uniform(n, 0, 1) < 0.5, -1.0, 1.0)
        theta = torch.zeros(n, 2, 3)
        theta[:, 0, 0], theta[:, 1, 1] = scale * flip, scale
        theta[:, :, 2] = self._uniform(n, -2 * self.shift, 2 * self.shift, 2)
        grid = functional.affine_grid(theta.to(x.device), list(x.shape), align_corners=False)
        return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)

    def _coarsened(self, x: Tensor) -> Tensor:
        chosen = torch.nonzero(self._uniform(len(x), 0, 1) < self.coarse).flatten()
        if len(chosen):
            height, width = x.shape[2:]
            factor = float(self._uniform(1, 0.3, 0.8))
            small = functional.interpolate(
                x[chosen], size=(int(height * factor), int(width * factor)), mode="bilinear", antialias=True
            )
            x[chosen] = functional.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
        return x

    def _coloured(self, x: Tensor) -> Tensor:
        n = len(x)
        bright, contrast, saturation = (
            (1 + self._uniform(n, -self.colour, self.colour, 1, 1, 1)).to(x.device) for _ in range(3)
        )
        grey = x.mean(1, keepdim=True)
        x = grey + (x - grey) * saturation
        middle = x.mean((1, 2, 3), keepdim=True)
        return (middle + (x - middle) * contrast) * bright

    def _erased(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        area, ratio = self._uniform(n, 0.02, 0.3), torch.exp(self._uniform(n, -1.2, 1.2))
        h = (area * ratio * height * width).sqrt().clamp(1, height)
        w = (area / ratio * height * width).sqrt().clamp(1, width)
        top, left = self._uniform(n, 0, 1) * (height - h), self._uniform(n, 0, 1) * (width - w)
        rows, columns = torch.arange(height)[None], torch.arange(width)[None]
        inside = (
            ((rows >= top[:, None]) & (rows < (top + h)[:, None]))[:, :, None]
            & ((columns >= left[:, None]) & (columns < (left + w)[:, None]))[:, None]
            & (self._uniform(n, 0, 1) < self.erase)[:, None, None]
        )
        noise = torch.rand(x.shape, generator=self.generator).to(x.device)
        return torch.where(inside[:, None].to(x.device), noise, x)
