"""Pictures of several pictures: mosaic, scale, flip, small rotation; and the boxes of all who are in them.

Mosaic as of YOLOv4 (Bochkovskiy et al., 2020), by one sampling: for each pixel of the result the affine map of its
quadrant says where in which picture it lies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from tools.training.person.device import constant
from tools.training.person.gallery import GREY, Pictures

LEAST_VISIBLE = 0.25
"""Share of a person that a cut must leave for the label to stay."""
LEAST_HEIGHT = 5.0
"""In pixels of the result."""


@dataclass(frozen=True)
class Spread:
    """How far the geometry wanders.

    Attributes:
        scale: least and largest long side of a picture, in sides of the result.
        aspect: largest stretch of width against height, logarithm.
        degrees: standard deviation of the rotation.
    """

    scale: tuple[float, float]
    aspect: float = 0.1
    degrees: float = 2.0


MOSAIC = Spread((0.45, 1.4))
SINGLE = Spread((0.55, 1.7))
GENTLE = Spread((0.8, 1.2), aspect=0.05, degrees=0.5)


def uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Random numbers on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device) * (high - low) + low


def normal(generator: torch.Generator, *shape: int) -> Tensor:
    """Standard normal numbers on the generator's device."""
    return torch.randn(shape, generator=generator, device=generator.device)


def compose(
    pictures: Pictures, chosen: Tensor, side: int, spread: Spread, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Images of ``side`` pixels from the pictures chosen for each.

    Args:
        pictures: to take from.
        chosen: ``(B, 4)`` numbers for a mosaic, ``(B, 1)`` for one picture each.
        side: of the result, pixels.
        spread: of the geometry.
        generator: of the randomness, on the pictures' device.

    Returns:
        ``(B, 3, side, side)`` float32 in 0–255; ``(B, N, 4)`` corners in pixels; ``(B, N)`` which of these count.
    """
    batch, tiles = chosen.shape
    size = pictures.size[chosen]
    scale, corner, low, high = _layout(size, side, spread, generator)
    flipped = uniform(generator, 0, 1, batch, tiles) < 0.5
    angle = normal(generator, batch) * math.radians(spread.degrees)
    image = _sample(pictures, chosen, scale, corner, low[:, -1], flipped, angle, side)

    boxes = pictures.boxes[chosen]
    left = torch.where(flipped[..., None], size[..., :1] - boxes[..., 2], boxes[..., 0])
    right = torch.where(flipped[..., None], size[..., :1] - boxes[..., 0], boxes[..., 2])
    boxes = torch.stack([left, boxes[..., 1], right, boxes[..., 3]], -1)
    boxes = boxes * scale.repeat(1, 1, 2)[:, :, None] + corner.repeat(1, 1, 2)[:, :, None]
    whole = _area(boxes)
    boxes = torch.maximum(torch.minimum(boxes, high.repeat(1, 1, 2)[:, :, None]), low.repeat(1, 1, 2)[:, :, None])
    boxes = _rotated(boxes.flatten(1, 2), angle, side).clamp(0, side)
    visible = _area(boxes) > LEAST_VISIBLE * whole.flatten(1)
    tall = (boxes[..., 3] - boxes[..., 1] >= LEAST_HEIGHT) & (boxes[..., 2] - boxes[..., 0] >= 2)
    return image, boxes, pictures.known[chosen].flatten(1) & visible & tall


def _layout(
    size: Tensor, side: int, spread: Spread, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scale and upper left corner of each tile's picture, and the rectangle that it may fill; each ``(B, T, 2)``."""
    batch, tiles, _ = size.shape
    long = side * torch.exp(uniform(generator, math.log(spread.scale[0]), math.log(spread.scale[1]), batch, tiles))
    stretch = uniform(generator, -spread.aspect, spread.aspect, batch, tiles)
    scale = (long / size.amax(-1))[..., None] * torch.exp(torch.stack([stretch, -stretch], -1) / 2)
    where = uniform(generator, 0, 1, batch, tiles, 2)
    filled = size * scale
    if tiles == 1:
        low, high = torch.zeros_like(filled), torch.full_like(filled, side)
        near = where * (side - filled)  # inside where it is smaller, else a crop: the same formula
        return scale, near, low, high
    centre = uniform(generator, 0.3, 0.7, batch, 1, 2) * side
    after = constant(((0, 0), (1, 0), (0, 1), (1, 1)), size.device, torch.bool)
    low = torch.where(after, centre, torch.zeros_like(centre))
    high = torch.where(after, torch.full_like(centre, side), centre)
    # A picture that cannot fill its quarter lies against the centre; of a larger one a part at random is seen.
    against = torch.where(after, low, high - filled)
    crop = low + where * (high - low - filled)
    return scale, torch.where(filled < high - low, against, crop), low, high


def _sample(
    pictures: Pictures, chosen: Tensor, scale: Tensor, corner: Tensor, centre: Tensor, flipped: Tensor, angle: Tensor,
    side: int,
) -> Tensor:  # fmt: skip
    batch, tiles = chosen.shape
    device = chosen.device
    at = torch.arange(side, device=device) + 0.5 - side / 2
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    x = cosine * at[None, None, :] - sine * at[None, :, None] + side / 2
    y = sine * at[None, None, :] + cosine * at[None, :, None] + side / 2
    small = scale.amin(-1) < 0.6
    shrunk = torch.where(small, 0.5, 1.0)
    # picture pixel = slope * result + offset, mirrored where flipped; half as many at half size.
    sign = torch.where(flipped, -1.0, 1.0)
    slope_x, slope_y = sign * shrunk / scale[..., 0], shrunk / scale[..., 1]
    offset_x = torch.where(flipped, pictures.size[chosen][..., 0] * shrunk, 0.0) - slope_x * corner[..., 0]
    offset_y = -slope_y * corner[..., 1]
    if tiles == 1:
        source_x = slope_x[:, :, None] * x + offset_x[:, :, None]
        source_y = slope_y[:, :, None] * y + offset_y[:, :, None]
        depth = torch.zeros_like(x)
    else:
        tile = (x >= centre[:, 0, None, None]).long() + 2 * (y >= centre[:, 1, None, None]).long()
        flat = tile.flatten(1)

        def of(values: Tensor) -> Tensor:
            return values.gather(1, flat).view_as(x)

        source_x, source_y = of(slope_x) * x + of(offset_x), of(slope_y) * y + of(offset_y)
        depth = tile.float() * (2 / (tiles - 1)) - 1
    canvas = pictures.pixels.shape[-1]
    grid = torch.stack(
        [(source_x - 0.5) * (2 / (canvas - 1)) - 1, (source_y - 0.5) * (2 / (canvas - 1)) - 1, depth], -1
    )
    stored = pictures.pixels[(chosen + small.long() * len(pictures)).flatten()].float() - GREY
    volume = stored.unflatten(0, (batch, tiles)).transpose(1, 2)
    return grid_sample(volume, grid[:, None], align_corners=True)[:, :, 0] + GREY


def _rotated(boxes: Tensor, angle: Tensor, side: int) -> Tensor:
    """Boxes of the ellipses in the boxes, turned about the middle: people fill their boxes' corners as little."""
    cosine, sine = angle.cos()[:, None], angle.sin()[:, None]
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2 - side / 2
    half = (boxes[..., 2:] - boxes[..., :2]) / 2
    x = cosine * middle[..., 0] + sine * middle[..., 1] + side / 2
    y = -sine * middle[..., 0] + cosine * middle[..., 1] + side / 2
    width = ((cosine * half[..., 0]) ** 2 + (sine * half[..., 1]) ** 2).sqrt()
    height = ((sine * half[..., 0]) ** 2 + (cosine * half[..., 1]) ** 2).sqrt()
    return torch.stack([x - width, y - height, x + width, y + height], -1)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)
