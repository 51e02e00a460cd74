"""OSNet: omni-scale feature learning (Zhou et al., ICCV 2019, "Omni-Scale Feature Learning for Person
Re-Identification", sections 3.1–3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, *, relu: bool = True) -> nn.Sequential:
    """Convolution, batch normalisation and, unless told otherwise, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class LightConv(nn.Sequential):
    """Lite 3×3 (section 3.1): a linear 1×1, then a depthwise 3×3 with normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class AggregationGate(nn.Module):
    """Unified aggregation gate (section 3.2): a weight per channel from the stream itself, shared by all streams."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.down = nn.Conv2d(channels, hidden, 1)
        self.up = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(weight)


class OmniScaleBlock(nn.Module):
    """Residual block of four streams whose receptive fields are 3, 5, 7 and 9 (figure 4)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = outputs // 4
        self.reduce = conv_norm(inputs, middle, 1)
        self.streams = nn.ModuleList(
            nn.Sequential(*(LightConv(middle, middle) for _ in range(depth))) for depth in (1, 2, 3, 4)
        )
        self.gate = AggregationGate(middle)
        self.expand = conv_norm(middle, outputs, 1, relu=False)
        self.shortcut = nn.Identity() if inputs == outputs else conv_norm(inputs, outputs, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.reduce(x)
        mixed = torch.stack([self.gate(stream(reduced)) for stream in self.streams]).sum(0)
        return torch.relu(self.expand(mixed) + self.shortcut(x))


class OSNet(nn.Module):
    """The network of table 1, without its classifier: ``(N, 3, H, W)`` to ``(N, C, H/16, W/16)``."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        c1, c2, c3, c4 = (int(c * width) for c in (64, 256, 384, 512))
        self.stem = nn.Sequential(conv_norm(3, c1, 7, 2), nn.MaxPool2d(3, 2, 1))
        self.stage2 = self._stage(c1, c2, shrink=True)
        self.stage3 = self._stage(c2, c3, shrink=True)
        self.stage4 = nn.Sequential(self._stage(c3, c4, shrink=False), conv_norm(c4, c4, 1))
        self.channels = c4

    @staticmethod
    def _stage(inputs: int, outputs: int, *, shrink: bool) -> nn.Sequential:
        blocks = [OmniScaleBlock(inputs, outputs), OmniScaleBlock(outputs, outputs)]
        transition = [conv_norm(outputs, outputs, 1), nn.AvgPool2d(2)] if shrink else []
        return nn.Sequential(*blocks, *transition)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.stage4(self.stage3(self.stage2(self.stem(x))))
        return out
