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
    tint: Tensor
    """``(N, 3)`` a factor for red, green and blue."""
    gamma: Tensor
    """``(N,)`` exponents."""
    grey: Tensor
    """``(N, 4)`` top, bottom, left and right of what loses its colour, in pixels; nothing where bottom is top."""
    erased: Tensor
    """``(N, 4)`` top, bottom, left and right of where noise goes, in pixels; nothing where bottom is top."""
    noise: Tensor
    """``(N, 3, H, W)`` in 0–1, on the device of the crops."""

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
        tint: largest change of each of red, green and blue, as a share: cameras differ in their white balance.
        gamma: largest change of the exponent of brightness, as a share.
        grey: probability of a rectangle without colour (Gong et al. 2021, arXiv:2101.08533, local greyscale
            patches), which takes the whole crop one time in eight.
        generator: where randomness comes from, on the CPU.
        device: of the crops; the noise is drawn there, by a generator of its own, so that all else that is drawn is
            the same on every device.
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
        tint: float = 0.0,
        gamma: float = 0.0,
        grey: float = 0.0,
        generator: torch.Generator | None = None,
        device: str = "cpu",
    ) -> None:
        self.flip, self.shift, self.zoom, self.colour = flip, shift, zoom, colour
        self.erase, self.coarse, self.tint, self.gamma, self.grey = erase, coarse, tint, gamma, grey
        self.generator, self.device = generator, torch.device(device)
        self._noise: torch.Generator | None = None
        if generator is not None:
            seed = generator.initial_seed() + (1 << 40)  # with the same one it would repeat the other draws
            self._noise = torch.Generator(self.device).manual_seed(seed)

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
        # By far the most: it is drawn where it is needed.
        noise = (
            torch.rand(n, 3, *size, generator=self._noise, device=self.device)
            if self.erase
            else torch.zeros((), device=self.device).expand(n, 3, *size)
        )
        erased = self._rectangles(n, size, self.erase)
        # Drawn last, and only where they are wanted: what was drawn before them stays as it was.
        still = torch.ones(n)
        tint = 1 + self.tint * (2 * self._uniform(n, 3) - 1) if self.tint else still[:, None].expand(n, 3)
        gamma = torch.exp(self.gamma * (2 * self._uniform(n) - 1)) if self.gamma else still
        grey = self._grey(n, size) if self.grey else torch.zeros(n, 4)
        return Views(move, coarse, colour, tint, gamma, grey, erased, noise)

    def _rectangles(self, n: int, size: tuple[int, int], probability: float) -> Tensor:
        """``(N, 4)``: 2 to 30 % of the area in some crops, nothing in others."""
        height, width = size
        area, ratio = 0.02 + 0.28 * self._uniform(n), torch.exp(1.2 * (2 * self._uniform(n) - 1))
        h = (area * ratio * height * width).sqrt().clamp(1, height)
        w = (area / ratio * height * width).sqrt().clamp(1, width)
        top, left = self._uniform(n) * (height - h), self._uniform(n) * (width - w)
        there = self._uniform(n) < probability
        return torch.stack([top, torch.where(there, top + h, top), left, left + w], 1)

    def _grey(self, n: int, size: tuple[int, int]) -> Tensor:
        """``(N, 4)``: such a rectangle, or the whole crop."""
        patch = self._rectangles(n, size, self.grey)
        whole = (patch[:, 1] > patch[:, 0]) & (self._uniform(n) < 1 / 8)
        return torch.where(whole[:, None], torch.tensor([0.0, size[0], 0.0, size[1]]), patch)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator)


def apply(batch: Tensor, views: Views) -> Tensor:
    """``(N, 3, H, W)`` float in 0–1, seen so."""
    move, _, colour, tint, gamma, grey, erased, noise = (field.to(batch.device) for field in views)
    grid = functional.affine_grid(move, list(batch.shape), align_corners=False)
    x = functional.grid_sample(batch, grid, padding_mode="border", align_corners=False)
    x = _coloured(_coarsened(x, views.coarse), colour)
    # What was drawn is looked at where it lies, on the CPU: nobody waits for the device.
    if (views.tint != 1).any() or (views.gamma != 1).any():
        x = (x * tint[:, :, None, None]).clamp(1e-4, 1).pow(gamma[:, None, None, None])
    if (views.grey[:, 1] > views.grey[:, 0]).any():
        x = torch.where(_inside(grey, batch), x.mean(1, keepdim=True), x)
    return torch.where(_inside(erased, batch), noise, x).clamp_(0, 1)


def _inside(box: Tensor, batch: Tensor) -> Tensor:
    """``(N, 1, H, W)``: the pixels between top and bottom, left and right."""
    rows = torch.arange(batch.shape[2], device=batch.device)[None]
    columns = torch.arange(batch.shape[3], device=batch.device)[None]
    top, bottom, left, right = box[:, :, None].unbind(1)
    tall, wide = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    return tall[:, None, :, None] & wide[:, None, None, :]


def _coarsened(x: Tensor, coarse: Tensor) -> Tensor:
    for factor in coarse[coarse < 1].unique().tolist():
        chosen = torch.nonzero(coarse == factor).flatten().to(x.device)
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
