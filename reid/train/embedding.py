"""Crops through a network, as it was trained."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalised(crops: Tensor) -> Tensor:
    """``(N, 3, H, W)`` RGB in 0–1, as the networks want it."""
    mean, std = _colours(crops.device)
    return ((crops - mean) / std).contiguous(memory_format=torch.channels_last)


@cache
def _colours(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, each ``(3, 1, 1)``; sent to a device once."""
    with torch.inference_mode(False):
        mean, std = torch.tensor([MEAN, STD], device=device)[:, :, None, None]
    return mean, std


@torch.inference_mode()
def embed_crops(network: nn.Module, crops: Tensor, *, batch: int = 256, device: str = "cpu") -> np.ndarray[Any, Any]:
    """``(N, 3, H, W)`` uint8 RGB to ``(N, D)`` float32 of unit length."""
    network.eval()
    parts = [network(normalised(part.to(device).float() / 255)).cpu() for part in crops.split(batch)]
    return torch.cat(parts).float().numpy()
