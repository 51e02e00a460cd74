"""A slim residual network of plain convolutions: what a CPU both trains and runs fastest for its accuracy.

Basic blocks (He et al., CVPR 2016, figure 5 left) at small widths, the last stage keeps its resolution (Luo et
al., CVPRW 2019, "Bag of Tricks", section 3.5), and every block may end in squeeze-and-excitation (Hu et al.,
CVPR 2018). Depthwise convolutions need fewer operations on paper but run far from a CPU's peak.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reid.models.osnet import conv_norm
from reid.models.resnet import InstanceBatchNorm


class SqueezeExcite(nn.Module):
    """A weight per channel from the whole picture (Hu et al., section 3)."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, channels // reduction, 1)
        self.up = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True)))))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, ibn: bool = False) -> None:
        super().__init__()
        self.first = conv_norm(inputs, outputs, 3, stride)
        if ibn:
            self.first[1] = InstanceBatchNorm(outputs)
        self.second = conv_norm(outputs, outputs, 3, relu=False)
        self.attend = SqueezeExcite(outputs)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else conv_norm(inputs, outputs, 1, stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.attend(self.second(self.first(x))) + self.shortcut(x))


class SlimNet(nn.Module):
    """``(N, 3, H, W)`` to ``(N, C, H/16, W/16)``.

    Args:
        widths: channels of the four stages.
        depths: blocks of each.
        ibn: half of the channels of every block's first convolution, but for the last stage, are normalised by
            instance: what tells cameras apart, light and colour, is taken out early (Pan et al., ECCV 2018, IBN-a).
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 192),
        depths: Sequence[int] = (1, 2, 2, 2),
        *,
        ibn: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_norm(3, widths[0], 3, 2)]
        inputs = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            stride = 2 if stage < 3 else 1
            for block in range(depth):
                layers.append(BasicBlock(inputs, width, stride if block == 0 else 1, ibn=ibn and stage < 3))
                inputs = width
        self.layers = nn.Sequential(*layers)
        self.channels = inputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out
