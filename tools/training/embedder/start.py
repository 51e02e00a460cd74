"""Weights to begin with: those of a file, widened where the new network is wider, and a head fitted to the teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reid.load import read_about, read_network
from reid.models import EmbeddingNetwork
from reid.train.embedding import normalised
from tools.training.embedder.objective import centred
from tools.training.embedder.shards import Views

LOOKED_AT = 4096
"""Views by which the head is fitted."""


def take(network: EmbeddingNetwork, path: Path) -> None:
    """The tensors of a file, each in the leading corner of the network's own.

    What a wider network has more begins as it was drawn, but what reads of new channels into old ones is zero: the
    old channels say what they said.
    """
    given = read_network(read_about(path)).state_dict()
    state = network.state_dict()
    for name, value in given.items():
        own = state.get(name)
        if own is None or own.ndim != value.ndim or any(a < b for a, b in zip(own.shape, value.shape, strict=True)):
            continue
        corner = tuple(slice(side) for side in value.shape)
        if own.ndim > 1:
            own[corner[0]] = 0
        own[corner] = value
    network.load_state_dict(state)


@torch.no_grad()
def fit_head(network: EmbeddingNetwork, views: Views, *, ridge: float = 1e-2) -> None:
    """Projection and neck by least squares from the pooled features to the teacher's vectors, as they stand."""
    rows = np.random.default_rng(0).permutation(len(views))[:LOOKED_AT]
    network.eval()
    pooled = torch.cat([_pooled(network, views[part]) for part in np.array_split(rows, max(len(rows) // 128, 1))])
    wanted = centred(torch.from_numpy(views.teacher[rows].astype(np.float32)))
    spread = wanted.std(0).clamp_min(1e-6)
    features = pooled - pooled.mean(0)
    square = features.T @ features
    square += ridge * square.diagonal().mean() * torch.eye(len(square))
    weight = torch.linalg.solve(square, features.T @ (wanted / spread)).T
    network.project.weight.copy_(weight)
    said = pooled @ weight.T
    network.neck.running_mean.copy_(said.mean(0))  # type: ignore[union-attr]
    network.neck.running_var.copy_(said.var(0))  # type: ignore[union-attr]
    network.neck.weight.copy_(spread * said.std(0))
    network.train()


def _pooled(network: EmbeddingNetwork, pixels: np.ndarray) -> Tensor:
    crops = torch.from_numpy(pixels).flip(3).permute(0, 3, 1, 2).float() / 255
    with torch.autocast("cpu", torch.bfloat16):
        out: Tensor = network.pool(network.backbone(normalised(crops)))
    return out.float()
