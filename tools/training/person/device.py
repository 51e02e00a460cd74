"""From the CPU to the device without waiting for what the device is doing."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor


def upload(array: np.ndarray, device: torch.device) -> Tensor:
    """The array on the device; on a GPU the copy is queued behind the work before it."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


@cache
def constant(values: Any, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """A tensor of (nested) tuples that is made once per device; not to be changed."""
    return torch.tensor(values, device=device, dtype=dtype)
