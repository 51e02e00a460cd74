"""Which triplets of a batch to learn from.

A miner takes the distance matrix and the labels and returns index triplets ``(anchor, positive, negative)``,
each ``(T,)`` int64. It never sees gradients. A batch without a positive or without a negative has no triplet.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Triplets(NamedTuple):
    """Rows of the batch, three of equal length."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


class Miner(Protocol):
    """Chooses triplets of a batch."""

    def __call__(self, distance: Tensor, labels: Tensor) -> Triplets: ...


def relations(labels: Tensor) -> tuple[Tensor, Tensor]:
    """``(N, N)`` masks: same identity (without oneself), and other identity."""
    same = labels[:, None] == labels[None]
    other = ~same
    same.fill_diagonal_(False)
    return same, other


@torch.no_grad()
def batch_hard(distance: Tensor, labels: Tensor) -> Triplets:
    """For every anchor its farthest positive and its **closest** negative (Hermans et al. 2017, equation 5)."""
    same, other = relations(labels)
    anchor = torch.nonzero(same.any(1) & other.any(1)).flatten()
    positive = distance.masked_fill(~same, -torch.inf).argmax(1)[anchor]
    negative = distance.masked_fill(~other, torch.inf).argmin(1)[anchor]
    return Triplets(anchor, positive, negative)
