"""Weights of backbones that others trained, from their library's hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.hub import load_state_dict_from_url

from reid.errors import ConfigError, WeightsError
from reid.models.timm_backbone import PREFIX, TimmBackbone

IBN_URL = "https://github.com/XingangPan/IBN-Net/releases/download/v1.0/resnet50_ibn_a-d9d0bb7b.pth"
"""Published by the authors of IBN-Net."""


def load_pretrained(backbone: nn.Module, name: str) -> None:
    """Give a backbone the ImageNet weights that its library offers for it; needs the network once, then its cache.

    Args:
        backbone: just made.
        name: as `create_model` takes it.

    Raises:
        ConfigError: there are none for this backbone.
        WeightsError: they cannot be fetched; says how to go on without.
    """
    if isinstance(backbone, TimmBackbone):
        state = _fetched(name, lambda: _from_timm(backbone.name))
        backbone.body.load_state_dict(state, strict=False)
    elif name in ("resnet50", "resnet50_ibn_a"):
        state = _fetched(name, _from_torchvision if name == "resnet50" else _from_ibn_net)
        body: nn.Module = backbone.body  # type: ignore[assignment]
        body.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc.")})
    else:
        raise ConfigError(
            f"init: there are no pretrained weights for {name}; take resnet50, resnet50_ibn_a or a {PREFIX}… backbone, "
            "give a .safetensors file, or leave init out"
        )


def _fetched(name: str, fetch: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    try:
        return fetch()
    except Exception as error:  # hubs raise whatever their libraries for the network do
        raise WeightsError(
            f"init: the pretrained weights of {name} cannot be fetched ({type(error).__name__}: {error}); without a "
            "network give a .safetensors file as init, or leave it out: random weights work too"
        ) from error


def _from_torchvision() -> dict[str, Tensor]:
    from torchvision.models import ResNet50_Weights

    return dict(ResNet50_Weights.IMAGENET1K_V2.get_state_dict(progress=False, check_hash=True))


def _from_ibn_net() -> dict[str, Tensor]:
    state = load_state_dict_from_url(IBN_URL, progress=False, check_hash=True, map_location="cpu", weights_only=True)
    return {name.removeprefix("module."): value for name, value in state.items()}


def _from_timm(name: str) -> dict[str, Any]:
    import timm

    return timm.create_model(name, pretrained=True, num_classes=0).state_dict()
