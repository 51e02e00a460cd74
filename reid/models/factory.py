"""Backbone and head together: pictures in, embeddings out."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from reid.errors import ConfigError
from reid.models.osnet import OSNet
from reid.models.resnet import ResNet50
from reid.models.slimnet import SlimNet
from reid.models.timm_backbone import PREFIX, TimmBackbone

BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "osnet_x0_25": lambda: OSNet(0.25),
    "osnet_x0_5": lambda: OSNet(0.5),
    "osnet_x1_0": lambda: OSNet(1.0),
    "resnet50": ResNet50,
    "resnet50_ibn_a": lambda: ResNet50(ibn=True),
    "slimnet": SlimNet,
    "slimnet_ibn": lambda: SlimNet(ibn=True),
    "slimnet_ibn_wide": lambda: SlimNet((32, 64, 128, 256), ibn=True),
    "slimnet_x0_5": lambda: SlimNet((16, 32, 64, 96)),
}
Pooling = Literal["average", "gem"]


class GeneralizedMean(nn.Module):
    """GeM pooling (Radenović et al., TPAMI 2019, equation 3) with a learned power; 1 is the average."""

    def __init__(self, power: float = 3.0) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.tensor(power))

    def forward(self, x: Tensor) -> Tensor:
        power = self.power.float()
        return x.float().clamp_min(1e-6).pow(power).mean((2, 3)).pow(1 / power).to(x.dtype)


class Average(nn.Module):
    """Mean over the picture."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class EmbeddingNetwork(nn.Module):
    """Backbone, pooling, projection, BNNeck (Luo et al., CVPRW 2019, section 3.6).

    The triplet loss sees the feature before the neck's normalisation, the identity loss and every comparison
    see the one after it.

    Args:
        backbone: ``(N, 3, H, W)`` to ``(N, C, h, w)``; has an attribute `channels`, C.
        dimension: D of the embedding.
        identities: classes of the identity loss; 0 for none.
        pooling: over the picture.
    """

    def __init__(
        self, backbone: nn.Module, *, dimension: int = 256, identities: int = 0, pooling: Pooling = "gem"
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = GeneralizedMean() if pooling == "gem" else Average()
        self.project = nn.Linear(int(backbone.channels), dimension, bias=False)  # type: ignore[arg-type]
        self.neck = nn.BatchNorm1d(dimension)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(dimension, identities, bias=False) if identities else None
        if self.classifier is not None:
            nn.init.normal_(self.classifier.weight, std=0.001)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Before and after the neck, both ``(N, D)``."""
        raw = self.project(self.pool(self.backbone(x)))
        return raw, self.neck(raw)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, D)`` embeddings of unit length."""
        return nn.functional.normalize(self.features(x)[1])


def create_model(name: str, *, dimension: int = 256, identities: int = 0, pooling: Pooling = "gem") -> EmbeddingNetwork:
    """A network by its backbone's name, with random weights; `timm:NAME` is any model of the timm library.

    Raises:
        ConfigError: no such backbone; names the nearest.
    """
    if name.startswith(PREFIX):
        backbone: nn.Module = TimmBackbone(name.removeprefix(PREFIX))
    elif name in BACKBONES:
        backbone = BACKBONES[name]()
    else:
        near = difflib.get_close_matches(name, BACKBONES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(BACKBONES)}, {PREFIX}NAME"
        raise ConfigError(f"backbone {name!r} is unknown; {hint}")
    return EmbeddingNetwork(backbone, dimension=dimension, identities=identities, pooling=pooling)
