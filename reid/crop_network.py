"""Cutting, normalisation and network as one module: what torch runs, and what is exported to ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import roi_align

from reid.load import read_network
from reid.runtime import export_onnx
from reid.weights_file import EmbedderFile, Preprocessing, facts


class CropNetwork(nn.Module):
    """``(H, W, 3)`` uint8 BGR and ``(N, 4)`` boxes to ``(N, D)`` of unit length.

    All crops are cut and scaled by one `roi_align`. Each output pixel averages as many samples as the box has
    pixels there, so that large crops shrink without aliasing, as in training.
    """

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network, self.size = network, preprocessing.size
        self.dtype = torch.float32
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", 255 * torch.tensor(preprocessing.mean)[:, None, None])
        self.register_buffer("std", 255 * torch.tensor(preprocessing.std)[:, None, None])

    def cut(self, image: Tensor, boxes: Tensor) -> Tensor:
        """``(N, 3, h, w)`` crops, BGR in 0–255."""
        picture = image.permute(2, 0, 1).unsqueeze(0).to(self.mean.dtype)
        rois = torch.cat([torch.zeros_like(boxes[:, :1]), boxes], dim=1)
        crops: Tensor = roi_align(picture, rois, self.size, spatial_scale=1.0, sampling_ratio=-1, aligned=True)
        return crops

    def embed(self, crops: Tensor) -> Tensor:
        """Vectors of crops; the network alone may be in half precision, in which pixels' places would be rounded."""
        vectors: Tensor = self.network(((crops.flip(1) - self.mean) / self.std).to(self.dtype))
        return vectors

    def forward(self, image: Tensor, boxes: Tensor) -> Tensor:
        return self.embed(self.cut(image, boxes))


class TorchRunner:
    """The network in torch, on any device. Crops of all pictures go through together.

    Args:
        about: of the weights file.
        device: of torch.
        half: run the network in half precision; on a CUDA GPU when None.
    """

    def __init__(self, about: EmbedderFile, device: str, *, half: bool | None = None) -> None:
        self.half = device.startswith("cuda") if half is None else half
        self.name = "torch"
        self._device = torch.device(device)
        self._network = CropNetwork(read_network(about), about.preprocessing).eval()
        self._network.to(self._device).to(memory_format=torch.channels_last)
        if self.half:
            self._network.network.half()
            self._network.dtype = torch.float16

    @torch.inference_mode()
    def __call__(
        self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        crops = [
            self._network.cut(
                torch.from_numpy(image).to(self._device),
                torch.from_numpy(xyxy).to(self._device, self._network.mean.dtype),
            )
            for image, xyxy in zip(images, boxes, strict=True)
        ]
        batch = torch.cat(crops).contiguous(memory_format=torch.channels_last)
        # Half precision knows unit length to three digits only.
        vectors = nn.functional.normalize(self._network.embed(batch).float())
        return np.asarray(vectors.cpu().numpy(), np.float32)


def write_onnx(about: EmbedderFile, path: Path, *, inputs: Literal["boxes", "crops"] = "boxes") -> None:
    """Export, with what `reid.weights_file.described` reads inside.

    Args:
        about: the weights.
        path: of the file.
        inputs: "boxes" for a picture of any size and any number of boxes, cutting and normalising inside the graph;
            "crops" for any number of normalised RGB crops ``(N, 3, h, w)``, as most other programs want it.

    Raises:
        WeightsError: the weights are an ONNX file already.
    """
    network = read_network(about)
    if inputs == "crops":
        example: tuple[Tensor, ...] = (torch.zeros(2, 3, *about.preprocessing.size),)
        dynamic = {"crops": {0: "crops"}, "vectors": {0: "crops"}}
    else:
        network = CropNetwork(network, about.preprocessing).eval()
        example = (torch.zeros(80, 60, 3, dtype=torch.uint8), torch.tensor([[5.0, 5, 30, 70], [9, 9, 40, 60]]))
        dynamic = {"image": {0: "height", 1: "width"}, "boxes": {0: "boxes"}, "vectors": {0: "boxes"}}
    export_onnx(
        network,
        path,
        example=example,
        inputs=[name for name in dynamic if name != "vectors"],
        outputs=["vectors"],
        dynamic=dynamic,
        metadata=facts(about),
    )
