"""Any backbone of the timm library, by its name."""

from __future__ import annotations

import difflib

from torch import Tensor, nn

from reid.errors import ConfigError

PREFIX = "timm:"


class TimmBackbone(nn.Module):
    """``(N, 3, H, W)`` to ``(N, C, h, w)``; tokens of a transformer come as ``(N, C, tokens, 1)``.

    Args:
        name: of the model in timm, as ``resnet18`` or ``vit_small_patch16_224``.

    Raises:
        ConfigError: timm is not installed, or knows no such model; names the nearest.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        try:
            import timm
        except ImportError as error:
            raise ConfigError(f"backbone {PREFIX}{name} needs a package; pip install 'reacquire[train]'") from error
        if not timm.is_model(name):
            near = difflib.get_close_matches(name, timm.list_models(), n=3)
            raise ConfigError(f"backbone {PREFIX}{name}: timm has no such model; near it: {', '.join(near) or 'none'}")
        self.name = name
        self.body: nn.Module
        try:  # transformers with positions learnt for one size can mostly interpolate them for others
            self.body = timm.create_model(name, pretrained=False, num_classes=0, dynamic_img_size=True)
        except TypeError:
            self.body = timm.create_model(name, pretrained=False, num_classes=0)
        self.channels = int(self.body.num_features)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.body.forward_features(x)  # type: ignore[operator]
        if features.ndim == 3:
            kept = features[:, int(getattr(self.body, "num_prefix_tokens", 0)) :]
            return kept.transpose(1, 2).unsqueeze(3)
        if features.shape[1] != self.channels:  # channels last, as Swin has them
            features = features.permute(0, 3, 1, 2)
        return features
