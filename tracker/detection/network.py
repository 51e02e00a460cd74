"""The bundled detector's network in torch: built from an architecture's name, run, exported."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from reid.runtime import export_onnx
from tracker.detection.weights_file import DetectorFile
from tracker.errors import WeightsError


class RawDetector(nn.Module):
    """Pictures in, the head's raw output at every anchor out.

    Takes ``(B, H, W, 3)`` uint8 BGR, H and W multiples of 32; returns ``(B, A, 4 * BINS)`` logits of the four
    sides and ``(B, A, C)`` logits of the classes, anchors in order of stride 8, 16, 32 and then of rows.
    Decoding is left to the caller, who does it for the few anchors that count.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.layers = model.model
        self.keep = set(model.save)  # type: ignore[arg-type]
        self.scale: Tensor
        self.register_buffer("scale", torch.tensor(1 / 255.0))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x: Any = images.permute(0, 3, 1, 2).flip(1).to(self.scale.dtype) * self.scale
        outputs: list[Any] = []
        layers: list[Any] = list(self.layers)  # type: ignore[arg-type]
        for layer in layers[:-1]:
            source = layer.f
            if source != -1:
                x = outputs[source] if isinstance(source, int) else [x if j == -1 else outputs[j] for j in source]
            x = layer(x)
            outputs.append(x if layer.i in self.keep else None)
        head = layers[-1]
        features = [outputs[j] for j in head.f]
        sides = [branch(f).flatten(2) for branch, f in zip(head.cv2, features, strict=True)]
        classes = [branch(f).flatten(2) for branch, f in zip(head.cv3, features, strict=True)]
        return torch.cat(sides, 2).transpose(1, 2), torch.cat(classes, 2).transpose(1, 2)


def build(about: DetectorFile) -> RawDetector:
    """The network of a weights file, convolutions and normalisations fused, for inference.

    Raises:
        WeightsError: the tensors are not those of the architecture; says which are missing or too many.
    """
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    config = yaml_model_load(about.architecture)
    config["nc"] = len(about.class_names)
    model = DetectionModel(config, ch=3, nc=config["nc"], verbose=False)
    tensors = load_file(about.path)
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    got = {name: tensor.shape for name, tensor in tensors.items()}
    wrong = sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name))
    if wrong:
        name = wrong[0]
        raise WeightsError(
            f"{about.path}: {len(wrong)} tensors do not fit {about.architecture}; {name}: "
            f"expected {_shape(expected.get(name))}, got {_shape(got.get(name))}"
        )
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return RawDetector(model.eval().fuse(verbose=False)).eval()


def _shape(shape: Sequence[int] | None) -> str:
    return "nothing" if shape is None else str(tuple(shape))


class TorchBackend:
    """The network in torch, on any device."""

    def __init__(self, network: RawDetector, device: str, half: bool) -> None:
        self.name = f"torch {device}" + (" half" if half else "")
        self._device = torch.device(device)
        self._network = network.to(self._device).to(memory_format=torch.channels_last)
        if half:
            self._network.half()

    @torch.inference_mode()
    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        batch = torch.from_numpy(images)
        if self._device.type == "cuda":
            batch = batch.pin_memory().to(self._device, non_blocking=True)
        sides, classes = self._network(batch.to(self._device))
        return sides.float().cpu().numpy(), classes.float().cpu().numpy()


def write_onnx(network: RawDetector, path: Path) -> None:
    """Write the network as ONNX, of any batch, height and width."""
    axes = {"images": {0: "batch", 1: "height", 2: "width"}}
    axes |= {name: {0: "batch", 1: "anchors"} for name in ("sides", "classes")}
    example = torch.zeros(1, 96, 64, 3, dtype=torch.uint8)
    export_onnx(network, path, example=(example,), inputs=["images"], outputs=["sides", "classes"], dynamic=axes)
