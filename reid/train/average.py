"""The moving average of a network's weights, which is what trainings judge and write."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class _Tensors(NamedTuple):
    """Of a network: what is averaged, and what is counted."""

    numbers: list[Tensor]
    counts: list[Tensor]


def _tensors(network: nn.Module) -> _Tensors:
    state = network.state_dict().values()
    return _Tensors([t for t in state if t.is_floating_point()], [t for t in state if not t.is_floating_point()])


class MovingAverage:
    """Lets one network follow another, quicker at first.

    Args:
        average: the network that follows; its tensors are changed in place.
        network: that learns, of the same kind.
        decay: how much of the average stays at an update, 0–1.
    """

    def __init__(self, average: nn.Module, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self._average, self._network = _tensors(average), _tensors(network)

    @property
    def finite(self) -> bool:
        """Whether all numbers of the average are."""
        return all(bool(torch.isfinite(t).all()) for t in self._average.numbers)

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Follow once; `updates` counts them from 1."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(self._average.numbers, self._network.numbers, 1 - decay)
        torch._foreach_copy_(self._average.counts, self._network.counts)
