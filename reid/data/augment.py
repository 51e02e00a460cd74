"""Random views of crops, drawn for each on its own and applied to the batch at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Views(NamedTuple):
    """What chance decided for N crops; every field has N rows."""

    move: Tensor
    """``(N, 2, 3)`` affine map: mirror image, zoom, shift."""
    coarse: Tensor
    """``(N,)`` share of the resolution that is left; 1 for all of it."""
    colour: Tensor
    """``(N, 3)`` factors of brightness, contrast and saturation."""
    erased: Tensor
    """``(N, H, W)`` where noise goes."""
    noise: Tensor
    """``(N, 3, H, W)`` in 0–1."""

    def part(self, rows: slice) -> Views:
        """Of some of the crops."""
        return Views(*(field[rows] for field in self))


class Augment:
    """Draws views, and applies them.

    Args:
        flip: probability of a mirror image.
        shift: largest move, as a share of each side (pad-crop; the border's pixels fill in).
        zoom: largest change of size, as a share.
        colour: largest change of brightness, contrast and saturation, as a share.
        erase: probability of a rectangle of noise (Zhong et al., AAAI 2020, random erasing).
        coarse: probability of a loss of resolution, as of somebody far away.
        generator: where randomness comes from.
    """

    def __init__(
        self,
        *,
        flip: float = 0.5,
        shift: float = 0.08,
        zoom: float = 0.1,
        colour: float = 0.25,
        erase: float = 0.5,
        coarse: float = 0.3,
        generator: torch.Generator | None = None,
    ) -> None:
        self.flip, self.shift, self.zoom, self.colour = flip, shift, zoom, colour
        self.erase, self.coarse, self.generator = erase, coarse, generator

    def __call__(self, batch: Tensor) -> Tensor:
        """``(N, 3, H, W)`` float in 0–1, to the same."""
        height, width = batch.shape[2:]
        return apply(batch, self.draw(len(batch), (height, width)))

    def draw(self, n: int, size: tuple[int, int]) -> Views:
        """What happens to n crops of a height and width."""
        flip = torch.where(self._uniform(n) < self.flip, -1.0, 1.0)
        scale = 1 + self.zoom * (2 * self._uniform(n) - 1)
        move = torch.zeros(n, 2, 3)
        move[:, 0, 0], move[:, 1, 1] = scale * flip, scale
        move[:, :, 2] = 2 * self.shift * (2 * self._uniform(n, 2) - 1)
        # One loss of resolution a batch, so that its crops are scaled together.
        left = 0.3 + 0.5 * self._uniform(1)
        coarse = torch.where(self._uniform(n) < self.coarse, left, 1.0)
        colour = 1 + self.colour * (2 * self._uniform(n, 3) - 1)
        noise = self._uniform(n, 3, *size) if self.erase else torch.zeros(n, 1, 1, 1).expand(n, 3, *size)
        return Views(move, coarse, colour, self._rectangles(n, size), noise)

    def _rectangles(self, n: int, size: tuple[int, int]) -> Tensor:
        """``(N, H, W)``: a rectangle of 2 to 30 % of the area in some crops."""
        height, width = size
        area, ratio = 0.02 + 0.28 * self._uniform(n), torch.exp(1.2 * (2 * self._uniform(n) - 1))
        h = (area * ratio * height * width).sqrt().clamp(1, height)
        w = (area / ratio * height * width).sqrt().clamp(1, width)
        top, left = self._uniform(n) * (height - h), self._uniform(n) * (width - w)
        rows, columns = torch.arange(height)[None], torch.arange(width)[None]
        return (
            ((rows >= top[:, None]) & (rows < (top + h)[:, None]))[:, :, None]
            & ((columns >= left[:, None]) & (columns < (left + w)[:, None]))[:, None]
            & (self._uniform(n) < self.erase)[:, None, None]
        )

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator)


def apply(batch: Tensor, views: Views) -> Tensor:
    """``(N, 3, H, W)`` float in 0–1, seen so."""
    move, coarse, colour, erased, noise = (field.to(batch.device) for field in views)
    grid = functional.affine_grid(move, list(batch.shape), align_corners=False)
    x = functional.grid_sample(batch, grid, padding_mode="border", align_corners=False)
    x = _coloured(_coarsened(x, views.coarse, coarse), colour)
    return torch.where(erased[:, None], noise, x).clamp_(0, 1)


def _coarsened(x: Tensor, on_cpu: Tensor, coarse: Tensor) -> Tensor:
    for factor in on_cpu[on_cpu < 1].unique().tolist():
        chosen = torch.nonzero(coarse == factor).flatten()
        height, width = x.shape[2:]
        small = functional.interpolate(
            x[chosen],
            size=(max(int(height * factor), 1), max(int(width * factor), 1)),
            mode="bilinear",
            antialias=True,
        )
        x[chosen] = functional.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
    return x


def _coloured(x: Tensor, colour: Tensor) -> Tensor:
    bright, contrast, saturation = colour[:, :, None, None, None].unbind(1)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * saturation
    middle = x.mean((1, 2, 3), keepdim=True)
    return (middle + (x - middle) * contrast) * bright
