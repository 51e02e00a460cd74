"""Cut-out people pasted into pictures on the fly (Dwibedi et al., ICCV 2017; Ghiasi et al., CVPR 2021).

Whoever is hidden by what is pasted loses the label. Now and then a silhouette is pasted upside down with no person in
it, so that a detector cannot take the edge of a paste for a person.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from tools.training.person.compose import normal, uniform
from tools.training.person.device import constant, upload
from tools.training.person.gallery import CELLS, CUTOUT, GREY, Cutouts

LEAST_VISIBLE = 0.35
"""Share of a person that must be seen, else the label goes."""
DECOYS = 0.1
"""Share of pastes whose silhouette, upside down, holds no person but a piece of the picture."""
PLACES = 8
"""Places tried for each; the one that covers the least of those in the picture, and lies in one, is taken."""
LEAST_HEIGHT = 14.0
"""Of a pasted person, pixels."""


@dataclass(frozen=True)
class Placed:
    """Pasted silhouettes, in the order of pasting: further away first.

    Attributes:
        number: ``(B, K)`` which cut-out.
        box: ``(B, K, 4)`` corners in the picture.
        flipped, decoy: ``(B, K)`` booleans.
        blend: ``(B, K)`` how far its brightness goes towards that of the place, 0–1.
    """

    number: Tensor
    box: Tensor
    flipped: Tensor
    decoy: Tensor
    blend: Tensor


def paste(
    image: Tensor,
    boxes: Tensor,
    known: Tensor,
    cutouts: Cutouts,
    counts: np.ndarray,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Paste ``counts[b]`` people into picture ``b``.

    Args:
        image: ``(B, 3, S, S)`` float32 in 0–255, changed in place.
        boxes: ``(B, N, 4)`` corners of those who are in it.
        known: ``(B, N)`` which of these count.
        cutouts: to choose from.
        counts: ``(B,)`` integers, on the CPU: they say how much there is to do.
        generator: of the randomness, on the image's device.

    Returns:
        The image, ``(B, N + K, 4)`` boxes and which of them count.
    """
    most = int(counts.max(initial=0))
    if not most:
        return image, boxes, known
    device = image.device
    active = upload(np.arange(most) < counts[:, None], device)
    placed = _place(image, boxes, known, cutouts, active, generator)
    points, weight = _points(boxes, placed, cutouts, image.shape[-1])
    hidden = torch.zeros_like(weight, dtype=torch.bool)
    for slot in range(most):
        rows = upload(np.flatnonzero(counts > slot), device)
        image.index_copy_(0, rows, _pasted(image.index_select(0, rows), placed, rows, slot, cutouts))
        covers = _covers(points, placed, slot, cutouts) & active[:, slot, None, None]
        covers[:, boxes.shape[1] + slot :] = False  # itself, and those pasted later
        hidden |= covers
    visible = (weight * ~hidden).sum(-1) / weight.sum(-1).clamp(min=1e-6)
    outside = (points < 0).any(-1) | (points > image.shape[-1]).any(-1)
    inside = 1 - (weight * outside).sum(-1) / weight.sum(-1).clamp(min=1e-6)
    first = torch.cat([known, active & ~placed.decoy], 1)
    everyone = torch.cat([boxes, placed.box], 1).clamp(0, image.shape[-1])
    return image, everyone, first & (visible + inside - 1 > LEAST_VISIBLE)


def _place(
    image: Tensor, boxes: Tensor, known: Tensor, cutouts: Cutouts, active: Tensor, generator: torch.Generator
) -> Placed:
    side = image.shape[-1]
    batch, most = active.shape
    number = torch.randint(len(cutouts), (batch, most), generator=generator, device=generator.device)
    typical = torch.exp(uniform(generator, math.log(0.035 * side), math.log(0.6 * side), batch, 1))
    height = (typical * torch.exp(0.25 * normal(generator, batch, most))).clamp(LEAST_HEIGHT, 0.85 * side)
    height = torch.where(active, height, torch.inf).sort(1).values
    height = torch.where(active, height, LEAST_HEIGHT)
    size = cutouts.size[number]
    width = height * size[..., 0] / size[..., 1] * torch.exp(uniform(generator, -0.1, 0.1, batch, most))
    extent = torch.stack([width, height], -1)[:, :, None]
    corner = uniform(generator, 0, 1, batch, most, PLACES, 2) * (side - 0.7 * extent) - 0.15 * extent
    places = torch.cat([corner, corner + extent], -1)
    low = torch.maximum(places[:, :, :, None, :2], boxes[:, None, None, :, :2])
    high = torch.minimum(places[:, :, :, None, 2:], boxes[:, None, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1).clamp(min=1)
    covered = (shared / area[:, None, None] * known[:, None, None]).sum(-1)
    covered += _beyond(image, (places[..., :2] + places[..., 2:]) / 2)
    best = covered.argmin(-1)[..., None, None].expand(-1, -1, 1, 4)
    return Placed(
        number,
        places.gather(2, best)[:, :, 0],
        uniform(generator, 0, 1, batch, most) < 0.5,
        uniform(generator, 0, 1, batch, most) < DECOYS,
        uniform(generator, 0, 0.8, batch, most),
    )


def _beyond(image: Tensor, points: Tensor) -> Tensor:
    """1 where a point lies in the even grey beyond the pictures, else 0: nobody should stand there."""
    at = points.long().clamp(0, image.shape[-1] - 1)
    index = (at[..., 1] * image.shape[-1] + at[..., 0]).flatten(1)
    colour = image.flatten(2).gather(2, index[:, None].expand(-1, 3, -1))
    return ((colour - GREY).abs() < 0.5).all(1).view(points.shape[:-1]).float()


def _pasted(image: Tensor, placed: Placed, rows: Tensor, slot: int, cutouts: Cutouts) -> Tensor:
    """These pictures with the slot's silhouettes blended in."""
    number, box = placed.number[rows, slot], placed.box[rows, slot]
    size = cutouts.size[number]
    per_pixel = (size / (box[:, 2:] - box[:, :2]))[..., None]
    small = per_pixel[:, 1, 0] > 1.6
    side = image.shape[-1]
    at = torch.arange(side, device=image.device) + 0.5
    source = (at - box[:, :2, None]) * per_pixel
    source[:, 0] = torch.where(placed.flipped[rows, slot, None], size[:, :1] - source[:, 0], source[:, 0])
    source[:, 1] = torch.where(placed.decoy[rows, slot, None], size[:, 1:] - source[:, 1], source[:, 1])
    source = torch.where(small[:, None, None], source / 2, source)
    canvas = constant((CUTOUT[1] - 1, CUTOUT[0] - 1), image.device)[:, None]
    unit = (source - 0.5) * 2 / canvas - 1
    grid = torch.stack([unit[:, 0, None, :].expand(-1, side, -1), unit[:, 1, :, None].expand(-1, -1, side)], dim=-1)
    stored = cutouts.pixels[number + small.long() * len(cutouts)].float()
    layer = grid_sample(stored, grid, align_corners=True)
    person, alpha = layer[:, :3], layer[:, 3:] / 255
    total = alpha.sum((1, 2, 3)).clamp(min=1)
    there = (image * alpha).sum((1, 2, 3)) / (3 * total)
    here = (person * alpha).sum((1, 2, 3)) / (3 * total)
    gain = ((there + 20) / (here + 20)) ** placed.blend[rows, slot]
    person = (person * gain[:, None, None, None]).clamp_(0, 255)
    person = torch.where(placed.decoy[rows, slot, None, None, None], image.flip(2), person)
    return torch.lerp(image, person, alpha)


def _points(boxes: Tensor, placed: Placed, cutouts: Cutouts, side: int) -> tuple[Tensor, Tensor]:
    """``(B, N + K, P, 2)`` points spread over everyone, and how much of the person each stands for.

    Of those who were in the picture the silhouette is unknown: an ellipse stands for it.
    """
    rows, columns = CELLS
    y = (torch.arange(rows, device=boxes.device) + 0.5) / rows
    x = (torch.arange(columns, device=boxes.device) + 0.5) / columns
    unit = torch.stack([x.repeat(rows), y.repeat_interleave(columns)], -1)
    everyone = torch.cat([boxes, placed.box], 1)[:, :, None]
    points = everyone[..., :2] + unit * (everyone[..., 2:] - everyone[..., :2])
    ellipse = (((unit - 0.5) ** 2).sum(-1) <= 0.25).float().expand(*boxes.shape[:2], -1)
    cells = cutouts.cells[placed.number]
    cells = torch.where(placed.flipped[..., None, None], cells.flip(-1), cells)
    return points, torch.cat([ellipse, cells.flatten(2)], 1)


def _covers(points: Tensor, placed: Placed, slot: int, cutouts: Cutouts) -> Tensor:
    """``(B, N + K, P)`` which points lie under the slot's silhouette."""
    box = placed.box[:, slot, None, None]
    unit = (points - box[..., :2]) / (box[..., 2:] - box[..., :2])
    x = torch.where(placed.flipped[:, slot, None, None], 1 - unit[..., 0], unit[..., 0])
    rows, columns = CELLS
    y = torch.where(placed.decoy[:, slot, None, None], 1 - unit[..., 1], unit[..., 1])
    row = (y * rows).floor().long().clamp(0, rows - 1)
    column = (x * columns).floor().long().clamp(0, columns - 1)
    cells = cutouts.cells[placed.number[:, slot]].flatten(1)
    filled = cells.gather(1, (row * columns + column).flatten(1)).view_as(x)
    return (unit >= 0).all(-1) & (unit <= 1).all(-1) & (filled > 0.5)
