"""ResNet-50 as re-identification uses it: last stride 1, and the IBN-a variant; torchvision's network as the base."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.resnet import Bottleneck, ResNet


class InstanceBatchNorm(nn.Module):
    """Half of the channels by instance, the other half by batch (Pan et al., ECCV 2018, section 3.2, IBN-a)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = channels // 2
        self.IN = nn.InstanceNorm2d(self.split, affine=True)  # the names of the published weights
        self.BN = nn.BatchNorm2d(channels - self.split)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.IN(x[:, : self.split]), self.BN(x[:, self.split :])], 1)


class ResNet50(nn.Module):
    """``(N, 3, H, W)`` to ``(N, 2048, H/16, W/16)``.

    The last stage keeps its resolution (Luo et al., CVPRW 2019, "Bag of Tricks", section 3.5).

    Args:
        ibn: IBN-a normalisation in the first three stages.
    """

    channels = 2048

    def __init__(self, *, ibn: bool = False) -> None:
        super().__init__()
        self.body: ResNet = resnet50(weights=None)
        del self.body.fc, self.body.avgpool
        first = self.body.layer4[0]
        first.conv2.stride = first.downsample[0].stride = (1, 1)
        if ibn:
            for stage in (self.body.layer1, self.body.layer2, self.body.layer3):
                for block in stage:
                    assert isinstance(block, Bottleneck)
                    block.bn1 = InstanceBatchNorm(block.bn1.num_features)

    def forward(self, x: Tensor) -> Tensor:
        b = self.body
        x = b.maxpool(b.relu(b.bn1(b.conv1(x))))
        out: Tensor = b.layer4(b.layer3(b.layer2(b.layer1(x))))
        return out
