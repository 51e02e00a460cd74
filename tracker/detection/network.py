"""The bundled detector's network in torch: built from an architecture's name, run, exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from reid.runtime import export_onnx
from reid.weights_file import fill, misfits, shapes_in
from tracker.detection.ultralytics_settings import prepare
from tracker.detection.weights_file import ARCHITECTURES, DetectorFile
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
        WeightsError: the tensors are not those of the architecture, says which are missing or too many; or they are
            damaged.
    """
    prepare()
    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils import ROOT, YAML

    file, scale = ARCHITECTURES[about.architecture]
    # From the package alone: Ultralytics would take a file of that name in the present folder first.
    config = YAML.load(ROOT / "cfg" / "models" / file) | {"scale": scale, "nc": len(about.class_names)}
    model = DetectionModel(config, ch=3, nc=config["nc"], verbose=False)
    wrong = misfits(model, shapes_in(about.path))
    if wrong:
        name, (expected, got) = next(iter(wrong.items()))
        raise WeightsError(
            f"{about.path}: {len(wrong)} tensors do not fit {about.architecture}; {name[:80]}: expected "
            f"{expected or 'nothing'}, got {got or 'nothing'}"
        )
    fill(model, load_file(about.path), f"{about.path}: ")
    return RawDetector(model.eval().fuse(verbose=False)).eval()


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
