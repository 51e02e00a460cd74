"""Crops of a picture to vectors: load weights once, embed any number of boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from reid.errors import DataError, ExportError, WeightsError, WriteError
from reid.load import read_about
from reid.runtime import cache_folder, cached, choose_device
from reid.weights_file import EmbedderFile

BUNDLED = {"default": "default.safetensors"}
CROPS_AT_ONCE = 256
FILES_AT_ONCE = 64
EXPORT = 2
"""Counts changes of the exported graph, so that an older one in the cache is not taken for it."""
Backend = Literal["auto", "torch", "onnx"]
Images = Sequence[NDArray[np.uint8]]
Boxes = Sequence[NDArray[np.float32]]


class Runner(Protocol):
    """Runs the network on boxes of pictures, none of them empty."""

    name: str

    def __call__(self, images: Images, boxes: Boxes) -> NDArray[np.float32]: ...


class Embedder:
    """Turns boxes of pictures into vectors.

    On a CPU the network runs in ONNX Runtime, which is faster there than torch and needs less memory
    (`tools/benchmarks/bench_embedder.py` measures both); the file is exported at first use into the user's cache, and
    torch runs where there is none to write. On a GPU it runs in torch, in half precision. Weights that are ONNX run in
    ONNX Runtime.

    Args:
        about: of the weights file.
        device: cpu, cuda:0, …
        backend: what runs it.

    Raises:
        WeightsError: the weights cannot run so.
    """

    def __init__(self, about: EmbedderFile, *, device: str = "cpu", backend: Backend = "auto") -> None:
        self.about, self.device = about, device
        self.dimension = about.dimension
        self._run = _runner(about, device, backend)

    def describe(self) -> dict[str, Any]:
        """Architecture, hash, size, distance, threshold, backend and device."""
        return {
            "weights": self.about.path.name,
            "sha256": self.about.sha256,
            "architecture": self.about.backbone,
            "size": list(self.about.preprocessing.size),
            "dimension": self.dimension,
            "distance": "cosine",
            "threshold": self.about.threshold,
            "backend": self._run.name,
            "device": self.device,
        }

    def embed(self, image: NDArray[np.uint8], xyxy: NDArray[np.floating]) -> NDArray[np.float32]:
        """Vectors of the boxes of one picture.

        Args:
            image: ``(H, W, 3)`` uint8 BGR.
            xyxy: ``(N, 4)`` pixels; clipped to the picture, and a side shorter than a pixel counts as one.

        Returns:
            ``(N, D)`` float32 of unit length; ``(0, D)`` for no boxes.

        Raises:
            DataError: a wrong shape, or NaN.
            WeightsError: the network gives no finite numbers.
        """
        return self.embed_batch([image], [xyxy])[0]

    def embed_files(
        self, paths: Sequence[Path], *, progress: Callable[[int], None] = lambda _: None
    ) -> NDArray[np.float32]:
        """Vectors of whole pictures, each a crop already.

        Args:
            paths: N files.
            progress: told how many more are done.

        Returns:
            ``(N, D)`` float32 of unit length.

        Raises:
            DataError: names the file that is no image.
        """
        parts = [np.empty((0, self.dimension), np.float32)]
        with ThreadPoolExecutor(2) as pool:
            for start in range(0, len(paths), FILES_AT_ONCE):
                images = list(pool.map(read_image, paths[start : start + FILES_AT_ONCE]))
                whole = [np.array([[0, 0, i.shape[1], i.shape[0]]], np.float32) for i in images]
                parts += self.embed_batch(images, whole)
                progress(len(images))
        return np.concatenate(parts)

    def embed_batch(self, images: Images, boxes: Sequence[NDArray[np.floating]]) -> list[NDArray[np.float32]]:
        """Vectors of the boxes of several pictures, through the network together; see `embed`."""
        if len(images) != len(boxes):
            raise DataError(f"embed_batch: {len(images)} images, but boxes of {len(boxes)}")
        checked = [_checked(image, xyxy) for image, xyxy in zip(images, boxes, strict=True)]
        parts: list[NDArray[np.uint8]] = []
        inside: list[NDArray[np.float32]] = []
        for image, xyxy in zip(images, checked, strict=True):
            for some in np.split(xyxy, range(CROPS_AT_ONCE, len(xyxy), CROPS_AT_ONCE)):
                if len(some):
                    part, moved = _spanned(image, some)
                    parts.append(part)
                    inside.append(moved)
        if not parts:
            return [np.empty((0, self.dimension), np.float32) for _ in boxes]
        vectors = self._run(parts, inside)
        bad = len(vectors) - np.count_nonzero(np.isfinite(vectors).all(axis=1))
        if bad or not vectors.any():  # numbers that are too large to be squared become 0
            raise WeightsError(
                f"{self.about.path}: gives vectors that are {'not finite' if bad else '0'}, for "
                f"{bad or len(vectors)} of {len(vectors)} crops; the weights are damaged, or do not fit half precision"
            )
        ends = np.cumsum([len(b) for b in checked])
        return [np.ascontiguousarray(part) for part in np.split(vectors, ends[:-1])]


def read_image(path: Path) -> NDArray[np.uint8]:
    """``(H, W, 3)`` BGR.

    Raises:
        DataError: not an image.
    """
    import cv2

    content = np.fromfile(path, np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if image is None:
        raise DataError(f"{path}: not a readable image")
    return np.asarray(image, np.uint8)


def _runner(about: EmbedderFile, device: str, backend: Backend) -> Runner:
    """What runs the network."""
    is_onnx = about.kind.startswith("onnx")
    if is_onnx and (backend == "torch" or device != "cpu"):
        raise WeightsError(f"{about.path}: an ONNX file runs in ONNX Runtime on the CPU only; take --device cpu")
    if is_onnx:
        from reid.onnx_file import OnnxRunner

        return OnnxRunner(about.path, about.preprocessing if about.kind == "onnx" else None)
    if device == "cpu" and backend != "torch":
        try:
            exported = _exported(about)
        except ExportError:
            if backend == "onnx":
                raise
            exported = None
        if exported is not None:
            return exported
        if backend == "onnx":
            raise WeightsError(
                f"{about.path}: ONNX Runtime needs a file, and its folder cannot be written; set REACQUIRE_CACHE to one"
            )
    from reid.crop_network import TorchRunner

    return TorchRunner(about, device)


def _exported(about: EmbedderFile) -> Runner | None:
    """ONNX Runtime on the export in the cache, made anew where it is missing or damaged; None where it cannot be."""
    from reid.onnx_file import OnnxRunner

    folder = cache_folder()
    if folder is None:
        return None

    def write(path: Path) -> None:
        from reid.crop_network import write_onnx

        write_onnx(about, path, inputs="crops")

    try:
        path = cached(folder, f"embedder-v{EXPORT}-{about.sha256[:16]}", write)
    except WriteError:  # a full disk, say
        return None
    return OnnxRunner(path, about.preprocessing)


def _spanned(image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The part of a picture that boxes span, with a pixel around it to blend with; the boxes in it."""
    height, width = image.shape[:2]
    low = np.floor(boxes[:, :2].min(0) - 1).astype(int).clip(0)
    high = np.ceil(boxes[:, 2:].max(0) + 1).astype(int).clip(max=[width, height])
    part = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
    return part, boxes - np.tile(low, 2).astype(np.float32)


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


def weights_path(weights: str | Path) -> Path:
    """The file of a bundled name, or the path itself."""
    text = str(weights)
    return Path(__file__).parent / "weights" / BUNDLED[text] if text in BUNDLED else Path(text)


def load_embedder(
    weights: str | Path = "default",
    *,
    device: str = "auto",
    backend: Backend = "auto",
    size: tuple[int, int] | None = None,
) -> Embedder:
    """An embedder by its weights.

    Args:
        weights: "default" (bundled), a safetensors file of ours, an ONNX file of anybody, or a checkpoint of
            torchreid's OSNet. What a file is, its content decides.
        device: auto, cpu, cuda:0, mps.
        backend: what runs it; the faster one when auto.
        size: height and width of the crops, for files of others that do not say it.

    Raises:
        WeightsError: missing, damaged, of another format, not fitting its architecture; or no such device.
    """
    about = read_about(weights_path(weights), size=size)
    # ONNX Runtime is on the CPU, whatever else this machine has.
    chosen = "cpu" if device == "auto" and about.kind.startswith("onnx") else choose_device(device)
    return Embedder(about, device=chosen, backend=backend)
