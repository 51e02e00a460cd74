"""The look of surveillance video: colour, low light, grey, blur, noise, compression, low resolution; in batches."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from tools.training.person.compose import normal, uniform
from tools.training.person.device import constant, upload

SHARES = {"blur": 0.2, "resample": 0.2, "noise": 0.2, "compress": 0.3}
"""Share of the pictures that each befalls."""
_LUMA = (0.299, 0.587, 0.114)
# Quantisation tables of the JPEG standard (ITU-T T.81, annex K).
_QUANTA = (
    (
        (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
        (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
        (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
    ),
    (
        (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99), (24, 26, 56, 99, 99, 99, 99, 99),
        (47, 66, 99, 99, 99, 99, 99, 99), *((99,) * 8,) * 4,
    ),
)  # fmt: skip


def camera_look(image: Tensor, chance: np.random.Generator, generator: torch.Generator) -> Tensor:
    """``(B, 3, H, W)`` pictures in 0–255, each changed in its own way; sides are multiples of 16.

    ``chance`` decides on the CPU which pictures are blurred and so on, so that the others cost nothing.
    """
    image = colour(image, generator)
    for name, change in (("blur", blur), ("resample", resample), ("noise", noise), ("compress", compress)):
        rows = np.flatnonzero(chance.random(len(image)) < SHARES[name])
        if len(rows):
            index = upload(rows, image.device)
            image.index_copy_(0, index, change(image.index_select(0, index), chance, generator))
    return image.clamp_(0, 255)


def colour(image: Tensor, generator: torch.Generator) -> Tensor:
    """Hue, saturation, a cast, grey for some, brightness, contrast, gamma; low light for some."""
    batch, dtype = len(image), image.dtype
    turn = normal(generator, batch) * 0.06
    saturation = torch.exp(uniform(generator, -1.0, 0.5, batch))
    saturation = torch.where(uniform(generator, 0, 1, batch) < 0.15, torch.zeros_like(saturation), saturation)
    luma = constant(_LUMA, image.device)
    grey = luma.expand(3, 3)
    # Rotation about the grey axis turns the hue (Rodrigues' formula).
    third = 1 / math.sqrt(3)
    cross = constant(((0, -third, third), (third, 0, -third), (-third, third, 0)), image.device)
    axis = torch.full((3, 3), 1 / 3, device=image.device)
    cosine, sine = turn.cos()[:, None, None], turn.sin()[:, None, None]
    hue = cosine * torch.eye(3, device=image.device) + sine * cross + (1 - cosine) * axis
    mixed = grey + saturation[:, None, None] * (hue - grey)
    cast = torch.exp(normal(generator, batch, 3, 1) * 0.06)
    cast = torch.where((saturation == 0)[:, None, None], torch.ones_like(cast), cast)
    dark = uniform(generator, 0, 1, batch) < 0.12
    gain = torch.exp(uniform(generator, -0.45, 0.35, batch)) * torch.where(dark, 0.5, 1.0)
    gamma = torch.exp(uniform(generator, -0.3, 0.3, batch)) * torch.where(dark, 1.3, 1.0)
    contrast = torch.exp(uniform(generator, -0.35, 0.25, batch))
    mixed = mixed * cast * contrast[:, None, None]
    mean = image.float().mean((1, 2, 3))
    shift = mean * (1 - contrast)
    changed = torch.einsum("bij,bjhw->bihw", mixed.to(dtype), image) + shift.to(dtype)[:, None, None, None]
    changed = (changed / 255).clamp_(1e-3, 1).pow_(gamma.to(dtype)[:, None, None, None])
    return (changed * (255 * gain).to(dtype)[:, None, None, None]).clamp_(0, 255)


def blur(image: Tensor, chance: np.random.Generator, generator: torch.Generator) -> Tensor:
    """Gaussian, now and then along one direction only: out of focus or moving."""
    sigma = uniform(generator, 0.4, 1.6, len(image), 2)
    still = uniform(generator, 0, 1, len(image)) < 0.25
    sigma[:, 1] = torch.where(still, torch.full_like(sigma[:, 1], 0.2), sigma[:, 1])
    taps = torch.arange(-4, 5, device=image.device)
    kernel = torch.exp(-(taps**2) / (2 * sigma[..., None] ** 2))
    kernel = (kernel / kernel.sum(-1, keepdim=True)).to(image.dtype)
    height, width = image.shape[2:]
    wide = pad(image, (4, 4, 0, 0), mode="replicate")
    image = sum((wide[..., i : i + width] * kernel[:, 0, i, None, None, None] for i in range(9)), image.new_zeros(()))
    tall = pad(image, (0, 0, 4, 4), mode="replicate")
    return sum((tall[:, :, i : i + height] * kernel[:, 1, i, None, None, None] for i in range(9)), image.new_zeros(()))


def resample(image: Tensor, chance: np.random.Generator, generator: torch.Generator) -> Tensor:
    """Down and up again, by one factor for all of them."""
    size = [max(round(side * chance.uniform(0.4, 0.8)), 8) for side in (image.shape[2],)] * 2
    small = interpolate(image, size, mode="area" if chance.random() < 0.5 else "bilinear")
    return interpolate(small, image.shape[2:], mode="bilinear")


def noise(image: Tensor, chance: np.random.Generator, generator: torch.Generator) -> Tensor:
    """Grey or coloured grain."""
    batch, _, height, width = image.shape
    strength = uniform(generator, 2, 14, batch, 1, 1, 1).to(image.dtype)
    channels = 3 if chance.random() < 0.5 else 1
    grain = torch.randn((batch, channels, height, width), generator=generator, device=image.device, dtype=image.dtype)
    return (image + grain * strength).clamp_(0, 255)


def compress(image: Tensor, chance: np.random.Generator, generator: torch.Generator) -> Tensor:
    """What JPEG loses: quantised 8×8 cosine transforms, colours at half the resolution."""
    device, dtype = image.device, image.dtype
    quality = uniform(generator, 15, 75, len(image))
    factor = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    red, green, blue = image.float().unbind(1)
    y = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    colours = torch.stack([(blue - y) / 1.772, (red - y) / 1.402], 1)
    y = _quantised(y[:, None] - 128, factor, 0, device) + 128
    colours = interpolate(_quantised(avg_pool2d(colours, 2), factor, 1, device), scale_factor=2, mode="bilinear")
    cb, cr = colours.unbind(1)
    y = y[:, 0]
    red, blue = y + 1.402 * cr, y + 1.772 * cb
    green = (y - _LUMA[0] * red - _LUMA[2] * blue) / _LUMA[1]
    return torch.stack([red, green, blue], 1).clamp_(0, 255).to(dtype)


def _quantised(planes: Tensor, factor: Tensor, table: int, device: torch.device) -> Tensor:
    at = torch.arange(8, device=device, dtype=torch.float32)
    basis = torch.cos((2 * at[None, :] + 1) * at[:, None] * math.pi / 16) * 0.5
    basis[0] *= math.sqrt(0.5)
    blocks = planes.unflatten(2, (-1, 8)).unflatten(4, (-1, 8)).transpose(3, 4)
    step = (constant(_QUANTA[table], device) * factor[:, None, None]).clamp(min=1)[:, None, None, None]
    coefficients = basis @ blocks @ basis.T
    blocks = basis.T @ ((coefficients / step).round() * step) @ basis
    picture: Tensor = blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3)
    return picture
