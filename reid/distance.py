"""Distances between embeddings, computed once per batch as one matrix and shared by miner and loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Metric = Literal["euclidean", "squared", "cosine"]
"""`euclidean`: plain L2 (Hermans et al. 2017). `squared`: squared L2 (FaceNet, Schroff et al. 2015).
`cosine`: one minus the cosine, in 0–2."""


def pairwise(left: Tensor, right: Tensor | None = None, *, metric: Metric = "euclidean") -> Tensor:
    """``(N, D)`` against ``(M, D)`` as ``(N, M)``; against itself when `right` is None.

    The gradient is finite everywhere: the square root is taken away from 0, where its slope is infinite, and
    the distance of equal points is 0 with gradient 0.
    """
    right = left if right is None else right
    if metric == "cosine":
        left, right = torch.nn.functional.normalize(left), torch.nn.functional.normalize(right)
        return 1 - left @ right.T
    squared = left.square().sum(1)[:, None] + right.square().sum(1)[None] - 2 * (left @ right.T)
    if left is right:  # rounding must not leave anything between a point and itself
        squared = squared.masked_fill(torch.eye(len(left), dtype=torch.bool, device=left.device), 0.0)
    squared = squared.clamp_min(0)
    if metric == "squared":
        return squared
    near = squared <= 1e-12
    return squared.masked_fill(near, 1.0).sqrt().masked_fill(near, 0.0)
