"""Crops of a picture to vectors: load weights once, embed any number of boxes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.ops import roi_align

from reid.errors import DataError, WeightsError
from reid.models import EmbeddingNetwork, create_model
from reid.runtime import cache_folder, choose_device, export_onnx, onnx_session, sha256

FORMAT = "reacquire-embedder/1"
BUNDLED = {"default": "default.safetensors"}
CROPS_AT_ONCE = 256
Backend = Literal["auto", "torch", "onnx"]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a crop becomes the network's input; travels with the weights, so that no caller can get it wrong.

    Attributes:
        size: height and width in pixels.
        mean: of each colour, RGB in 0–1.
        std: likewise.
    """

    size: tuple[int, int]
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class EmbedderWeights:
    """A weights file: the network, and what is needed to use it."""

    network: EmbeddingNetwork
    backbone: str
    preprocessing: Preprocessing
    threshold: float
    sha256: str = ""


def save_weights(
    path: Path,
    network: EmbeddingNetwork,
    *,
    backbone: str,
    pooling: str,
    preprocessing: Preprocessing,
    threshold: float,
    about: dict[str, str] | None = None,
) -> None:
    """Write a network as the package carries it: half-precision tensors, without the classifier.

    Args:
        path: of the `.safetensors` file.
        network: trained.
        backbone: its name.
        pooling: its name.
        preprocessing: of its input.
        threshold: cosine distance up to which two crops are recommended to be called the same identity.
        about: further facts: data, licence, recipe.
    """
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("classifier.")}
    tensors = {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in state.items()}
    metadata = {
        "format": FORMAT,
        "backbone": backbone,
        "pooling": pooling,
        "dimension": str(network.neck.num_features),
        "size": json.dumps(preprocessing.size),
        "mean": json.dumps(preprocessing.mean),
        "std": json.dumps(preprocessing.std),
        "colour": "rgb",
        "distance": "cosine",
        "threshold": str(threshold),
    }
    save_file(tensors, path, metadata={**(about or {}), **metadata})


def read_weights(path: Path) -> EmbedderWeights:
    """Read a `.safetensors` file of ours; data only, nothing in it can run.

    Raises:
        WeightsError: missing, damaged, of another format, or not fitting its architecture.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights; `default` is the name of the bundled ones")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118  # no mapping
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged, or not a safetensors file ({error})") from error
    if about.get("format") != FORMAT:
        raise WeightsError(f"{path}: expected weights of format {FORMAT!r}, got {about.get('format')!r}")
    pooling: Any = about["pooling"]
    network = create_model(about["backbone"], dimension=int(about["dimension"]), pooling=pooling)
    expected = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    got = {name: tuple(t.shape) for name, t in tensors.items()}
    wrong = sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name))
    if wrong:
        raise WeightsError(
            f"{path}: {len(wrong)} tensors do not fit {about['backbone']}; {wrong[0]}: "
            f"expected {expected.get(wrong[0])}, got {got.get(wrong[0])}"
        )
    network.load_state_dict(tensors)
    height, width = json.loads(about["size"])
    preprocessing = Preprocessing((height, width), tuple(json.loads(about["mean"])), tuple(json.loads(about["std"])))
    return EmbedderWeights(network.eval(), about["backbone"], preprocessing, float(about["threshold"]), sha256(path))


class CropNetwork(nn.Module):
    """Normalisation and network as one: ``(N, 3, H, W)`` BGR in 0–255 to ``(N, D)`` of unit length."""

    def __init__(self, network: EmbeddingNetwork, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", 255 * torch.tensor(preprocessing.mean)[:, None, None])
        self.register_buffer("std", 255 * torch.tensor(preprocessing.std)[:, None, None])

    def forward(self, crops: Tensor) -> Tensor:
        vectors: Tensor = self.network((crops.flip(1) - self.mean) / self.std)
        return vectors


class Embedder:
    """Turns boxes of pictures into vectors.

    On a CPU the network runs in ONNX Runtime, which is faster there than torch; the file is exported at first
    use into the user's cache, and torch runs where there is none to write. On a GPU it runs in torch, in half
    precision.

    Args:
        weights: read by `read_weights`.
        device: cpu, cuda:0, …
        backend: auto, torch or onnx.
    """

    def __init__(self, weights: EmbedderWeights, *, device: str = "cpu", backend: Backend = "auto") -> None:
        self.weights, self.device = weights, device
        self.size = weights.preprocessing.size
        self.dimension = int(weights.network.neck.num_features)
        self._half = device.startswith("cuda")
        network = CropNetwork(weights.network, weights.preprocessing).eval()
        folder = cache_folder() if device == "cpu" and backend != "torch" else None
        self._session = None
        if folder is not None:
            path = folder / f"embedder-{weights.sha256[:16] or 'unsaved'}.onnx"
            if not weights.sha256 or not path.exists():
                height, width = self.size
                export_onnx(
                    network,
                    path,
                    example=torch.zeros(2, 3, height, width),
                    inputs="crops",
                    outputs=["vectors"],
                    dynamic={"crops": {0: "crops"}, "vectors": {0: "crops"}},
                )
            self._session = onnx_session(path)
        else:
            self._network = network.to(device).to(memory_format=torch.channels_last)
            if self._half:
                self._network.half()

    def describe(self) -> dict[str, Any]:
        """Architecture, hash, size, distance, threshold, backend and device."""
        return {
            "architecture": self.weights.backbone,
            "sha256": self.weights.sha256,
            "size": list(self.size),
            "dimension": self.dimension,
            "distance": "cosine",
            "threshold": self.weights.threshold,
            "backend": "onnxruntime" if self._session is not None else "torch",
            "device": self.device + (" half" if self._half else ""),
        }

    def embed(self, image: NDArray[np.uint8], xyxy: NDArray[np.floating]) -> NDArray[np.float32]:
        """Vectors of the boxes of one picture.

        Args:
            image: ``(H, W, 3)`` uint8 BGR.
            xyxy: ``(N, 4)`` pixels; parts outside the picture are filled from its edge, a side shorter than a
                pixel counts as one.

        Returns:
            ``(N, D)`` float32 of unit length; ``(0, D)`` for no boxes.

        Raises:
            DataError: a wrong shape, or NaN.
        """
        return self.embed_batch([image], [xyxy])[0]

    def embed_batch(
        self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[np.floating]]
    ) -> list[NDArray[np.float32]]:
        """Vectors of the boxes of several pictures, through the network together; see `embed`."""
        if len(images) != len(boxes):
            raise DataError(f"embed_batch: {len(images)} images, but boxes of {len(boxes)}")
        checked = [_checked(image, xyxy) for image, xyxy in zip(images, boxes, strict=True)]
        with torch.inference_mode():
            crops = [self._cut(i, b) for i, b in zip(images, checked, strict=True) if len(b)]
            if not crops:
                return [np.empty((0, self.dimension), np.float32) for _ in boxes]
            vectors = np.concatenate([self._run(part) for part in torch.cat(crops).split(CROPS_AT_ONCE)])
        ends = np.cumsum([len(b) for b in checked])
        return [np.ascontiguousarray(part) for part in np.split(vectors, ends[:-1])]

    def _cut(self, image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> Tensor:
        """``(N, 3, H, W)`` float crops, cut and scaled in one operation on the device.

        Only the part of the picture that the boxes span is converted, with a pixel around it to blend with. Bins
        are averaged over as many samples as they have pixels, so that large crops shrink without aliasing.
        """
        height, width = image.shape[:2]
        low = np.floor(boxes[:, :2].min(0) - 1).astype(int).clip(0)
        high = np.ceil(boxes[:, 2:].max(0) + 1).astype(int).clip(max=[width, height])
        part = torch.from_numpy(image[low[1] : high[1], low[0] : high[0]]).to(self.device)
        part = part.permute(2, 0, 1)[None].to(torch.float16 if self._half else torch.float32).contiguous()
        moved = torch.from_numpy(boxes - np.tile(low, 2).astype(np.float32)).to(self.device, part.dtype)
        rois = torch.cat([torch.zeros_like(moved[:, :1]), moved], dim=1)
        cut: Tensor = roi_align(part, rois, self.size, spatial_scale=1.0, sampling_ratio=-1, aligned=True)
        return cut

    def _run(self, crops: Tensor) -> NDArray[np.float32]:
        if self._session is not None:
            return np.asarray(self._session.run(None, {"crops": crops.numpy()})[0], np.float32)
        crops = crops.contiguous(memory_format=torch.channels_last)
        return np.asarray(self._network(crops).float().cpu().numpy(), np.float32)


def _checked(image: NDArray[np.uint8], xyxy: NDArray[np.floating]) -> NDArray[np.float32]:
    """The boxes, usable; inside the picture by at least a pixel."""
    boxes = np.asarray(xyxy, np.float32)
    if boxes.size == 0:
        return np.empty((0, 4), np.float32)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise DataError(f"embed: expected an image (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise DataError(f"embed: expected boxes of shape (N, 4), got {boxes.shape}")
    bad = ~np.isfinite(boxes).all(1)
    if bad.any():
        raise DataError(f"embed: box {int(bad.argmax())} has NaN or infinity: {boxes[bad.argmax()].tolist()}")
    limit = np.array([image.shape[1], image.shape[0]] * 2, np.float32)
    boxes = np.clip(boxes, 0, limit)
    boxes[:, :2] = np.minimum(boxes[:, :2], limit[:2] - 1)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    return boxes


def load_embedder(weights: str | Path = "default", *, device: str = "auto", backend: Backend = "auto") -> Embedder:
    """An embedder by its weights.

    Args:
        weights: "default" (bundled) or a `.safetensors` file of ours.
        device: auto, cpu, cuda:0, mps.
        backend: what runs it; the faster one when auto.

    Raises:
        WeightsError: missing, damaged, of another format, not fitting its architecture; or no such device.
    """
    text = str(weights)
    path = Path(__file__).parent / "weights" / BUNDLED[text] if text in BUNDLED else Path(text)
    return Embedder(read_weights(path), device=choose_device(device), backend=backend)
