"""All pictures and cut-out people as tensors on one device, each at full and at half size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

from tools.training.person.pack import Picture, decode

GREY = 114.0
CUTOUT = (256, 160)
"""Height and width of the canvas of a cut-out."""
CELLS = (16, 8)
"""Rows and columns of the coarse silhouette of a cut-out."""


@dataclass(frozen=True)
class Pictures:
    """Pictures in the upper left of equal canvases; number ``n + i`` is picture ``i`` at half size.

    Attributes:
        pixels: ``(2n, 3, S, S)`` uint8, grey beyond the picture.
        size: ``(n, 2)`` width and height at full size.
        boxes: ``(n, M, 4)`` corners at full size.
        known: ``(n, M)`` which of these are boxes.
    """

    pixels: Tensor
    size: Tensor
    boxes: Tensor
    known: Tensor

    def __len__(self) -> int:
        return len(self.size)


@dataclass(frozen=True)
class Cutouts:
    """People with transparency, cropped to their silhouettes; numbers as of pictures.

    Attributes:
        pixels: ``(2n, 4, H, W)`` uint8, transparent beyond the person.
        size: ``(n, 2)`` width and height at full size.
        cells: ``(n, 16, 8)`` share of each cell of the cut-out that the person fills.
    """

    pixels: Tensor
    size: Tensor
    cells: Tensor

    def __len__(self) -> int:
        return len(self.size)


def load_pictures(pictures: Sequence[Picture], device: torch.device) -> Pictures:
    """Decode and put on the device."""
    images = decode([p.encoded for p in pictures])
    side = -(-max(max(i.shape[:2]) for i in images) // 2) * 2
    most = max(max(len(p.boxes) for p in pictures), 1)
    boxes = np.zeros((len(pictures), most, 4), np.float32)
    known = np.zeros((len(pictures), most), bool)
    for row, picture in enumerate(pictures):
        boxes[row, : len(picture.boxes)] = picture.boxes
        known[row, : len(picture.boxes)] = True
    pixels, size = _stack(images, (side, side), GREY, device)
    return Pictures(pixels, size, torch.from_numpy(boxes).to(device), torch.from_numpy(known).to(device))


def load_cutouts(encoded: Sequence[bytes], device: torch.device) -> Cutouts:
    """Decode and put on the device."""
    images = decode(encoded)
    cells = torch.stack(
        [adaptive_avg_pool2d(torch.from_numpy(i[..., 3].astype(np.float32))[None], CELLS)[0] for i in images]
    )
    pixels, size = _stack(images, CUTOUT, 0.0, device)
    return Cutouts(pixels, size, (cells / 255).to(device))


def _stack(
    images: Sequence[np.ndarray], canvas: tuple[int, int], fill: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Full-size canvases followed by half-size ones, and the sizes."""
    channels, count = images[0].shape[2], len(images)
    pixels = torch.full((2 * count, channels, *canvas), int(fill), dtype=torch.uint8)
    for row, image in enumerate(images):
        height, width = image.shape[:2]
        pixels[row, :, :height, :width] = torch.from_numpy(image).permute(2, 0, 1)
    pixels = pixels.to(device)
    rows, columns = canvas[0] // 2, canvas[1] // 2
    for first in range(0, count, 256):
        part = slice(first, min(first + 256, count))
        half = avg_pool2d(pixels[part].float(), 2).round_().to(torch.uint8)
        pixels[count + part.start : count + part.stop, :, :rows, :columns] = half
    size = torch.tensor([image.shape[1::-1] for image in images], dtype=torch.float32, device=device)
    return pixels, size
