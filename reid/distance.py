"""Distances between embeddings, computed once per batch as one matrix and shared by miner and loss."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

Metric = Literal["euclidean", "squared", "cosine"]
"""`euclidean`: plain L2 (Hermans et al. 2017). `squared`: squared L2 (FaceNet, Schroff et al. 2015).
`cosine`: one minus the cosine, in 0–2."""
SAME = 1e-12
"""Squared distance up to which two points are the same one."""


def pairwise(left: Tensor, right: Tensor | None = None, *, metric: Metric = "euclidean") -> Tensor:
    """``(N, D)`` against ``(M, D)`` as ``(N, M)``; against itself when `right` is None.

    The gradient is finite everywhere: the distance of equal points is 0 with gradient 0, where the slope of the
    square root is infinite.
    """
    if metric == "cosine":
        left = torch.nn.functional.normalize(left)
        return 1 - left @ (left if right is None else torch.nn.functional.normalize(right)).T
    distance: Tensor = _Euclidean.apply(left, right, metric == "euclidean")
    return distance


class _Euclidean(torch.autograd.Function):
    """Plain or squared, with the gradient written out: one product of matrices instead of a dozen small steps."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor | None, root: bool) -> Tensor:
        other = left if right is None else right
        lengths = left.square().sum(1)
        others = lengths if right is None else other.square().sum(1)
        distance = torch.addmm(lengths[:, None] + others, left, other.T, alpha=-2)
        if right is None:
            distance.fill_diagonal_(0)  # rounding must not leave anything between a point and itself
        distance.clamp_min_(0)
        if root:
            distance.masked_fill_(distance <= SAME, 0).sqrt_()
        ctx.root = root
        ctx.save_for_backward(left, right, distance)
        return distance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None]:
        left, right, distance = ctx.saved_tensors
        # Each pair pulls its two points along their difference, by its gradient over the distance or by twice it.
        pull = (gradients[0] / distance).masked_fill_(distance == 0, 0) if ctx.root else 2 * gradients[0]
        if right is None:
            pull = pull + pull.T
            return pull.sum(1, keepdim=True) * left - pull @ left, None, None
        to_left = pull.sum(1, keepdim=True) * left - pull @ right
        to_right = pull.sum(0)[:, None] * right - pull.T @ left
        return to_left, to_right, None
