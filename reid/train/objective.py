"""The weighted sum of losses that the settings name, on one distance matrix a batch."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from reid.distance import pairwise
from reid.errors import ConfigError
from reid.losses import CenterLoss, all_triplets_loss, contrastive_loss, identity_loss, triplet_loss
from reid.miners import (
    Triplets,
    batch_hard,
    distance_weighted,
    random_triplets,
    semi_hard,
    shares,
    shares_of_all,
)
from reid.train.settings import TrainSettings


class Features(NamedTuple):
    """What the losses see: ``(N, D)`` before and after the neck, and ``(N, identities)`` or None."""

    raw: Tensor
    normal: Tensor
    logits: Tensor | None


def mined(settings: TrainSettings, distance: Tensor, labels: Tensor) -> Triplets:
    """The triplets that the settings' strategy takes from a batch.

    Args:
        settings: `mining`, `margin`, `negative` and `dimension` count.
        distance: ``(N, N)`` without gradient.
        labels: ``(N,)``.
    """
    if settings.mining == "batch_hard":
        return batch_hard(distance, labels)
    if settings.mining == "semi_hard":
        return semi_hard(distance, labels, margin=settings.width, choose=settings.negative)
    if settings.mining == "distance_weighted":
        return distance_weighted(distance, labels, dimension=settings.dimension)
    if settings.mining == "random":
        return random_triplets(distance, labels)
    raise ConfigError(f"mining {settings.mining} does not choose triplets within a batch")


def metric_loss(
    settings: TrainSettings, distance: Tensor, labels: Tensor, triplets: Triplets | None = None
) -> tuple[Tensor, dict[str, float]]:
    """The triplet loss that the settings name, and the shares of the kinds of triplets that it saw.

    Args:
        settings: the fields about mining count.
        distance: ``(N, N)`` with gradient.
        labels: ``(N,)``.
        triplets: chosen beforehand; by the settings' strategy when None.
    """
    fixed = distance.detach()
    if triplets is None and settings.mining in ("batch_all", "semi_hard_all"):
        only: Literal["all", "semi-hard"] = "all" if settings.mining == "batch_all" else "semi-hard"
        summed = all_triplets_loss(
            distance, labels, margin=settings.width, only=only, reduction=settings.reduction or "nonzero"
        )
        if only == "semi-hard":
            return summed.loss, {"easy": 0.0, "semi_hard": float(summed.triplets > 0), "hard": 0.0}
        return summed.loss, shares_of_all(fixed, labels, margin=settings.width)._asdict()
    if triplets is None:
        triplets = mined(settings, fixed, labels)
    loss = triplet_loss(distance, triplets, margin=settings.margin, reduction=settings.reduction or "mean")
    return loss, shares(fixed, triplets, margin=settings.width)._asdict()


class Objective(nn.Module):
    """The loss of a batch, and its parts.

    Args:
        settings: weights and kinds of the losses.
        identities: classes of the center loss.
    """

    def __init__(self, settings: TrainSettings, identities: int) -> None:
        super().__init__()
        self.settings = settings
        self.center = CenterLoss(identities, settings.dimension) if settings.center_weight else None

    def forward(
        self, features: Features, labels: Tensor, triplets: Triplets | None = None
    ) -> tuple[Tensor, dict[str, float]]:
        """Weighted sum, with gradient; every loss, the shares of triplets and the spread of the embeddings as numbers.

        `easy`, `semi_hard` and `hard` are of the triplets learnt from, `all_…` of all that the batch holds.
        """
        s, parts = self.settings, dict[str, float | Tensor]()
        compared = features.raw if s.triplet_feature == "raw" else nn.functional.normalize(features.normal)
        distance = pairwise(compared, metric=s.distance)
        loss = distance.sum() * 0.0
        if s.triplet_weight:
            triplet, kinds = metric_loss(s, distance, labels, triplets)
            loss = loss + s.triplet_weight * triplet
            parts |= {"triplet": triplet, **kinds}
        if s.contrastive_weight:
            contrastive = contrastive_loss(distance, labels, margin=s.contrastive_margin)
            loss = loss + s.contrastive_weight * contrastive
            parts["contrastive"] = contrastive
        if features.logits is not None:
            identity = identity_loss(features.logits, labels, smoothing=s.smoothing)
            loss = loss + s.identity_weight * identity
            parts["identity"] = identity
        if self.center is not None:
            center = self.center(features.raw, labels)
            loss = loss + s.center_weight * center
            parts["center"] = center
        fixed = distance.detach()
        parts |= {f"all_{kind}": v for kind, v in shares_of_all(fixed, labels, margin=s.width)._asdict().items()}
        parts["spread"] = nn.functional.normalize(compared.detach()).std(0).mean()
        return loss, _numbers({"loss": loss, **parts})


def _numbers(parts: dict[str, float | Tensor]) -> dict[str, float]:
    """All tensors read together: each time a value is asked for, the program waits for the GPU."""
    tensors = {name: value.detach() for name, value in parts.items() if isinstance(value, Tensor)}
    read = dict(zip(tensors, torch.stack(list(tensors.values())).tolist(), strict=True))
    return {name: read[name] if name in read else float(value) for name, value in parts.items()}


def precision(amp: str, device: str) -> torch.dtype | None:
    """The half-precision type that `amp` means on a device; None for full precision.

    "auto" is bfloat16 where the processor has instructions for it, on a GPU without them float16; on a CPU without
    them it would be many times slower, and stays off.
    """
    if amp != "auto":
        return {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}[amp]
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    capable = device == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    return torch.bfloat16 if capable else None
