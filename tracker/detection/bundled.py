"""The detector that comes with the package: plain tensors, any CPU or GPU, no network needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.runtime import cache_folder, cached, choose_device, onnx_errors, onnx_session
from tracker.detection.base import class_ids
from tracker.detection.merging import MOST_CANDIDATES, merge
from tracker.detection.weights_file import DetectorFile, read_about
from tracker.errors import WeightsError, WriteError
from tracker.protocols import Detector
from tracker.types import Detections, Frame

STRIDES = (8, 16, 32)
GREY = 114
"""Of the border around a picture whose sides are no multiples of the largest stride."""


EXPORT = 1
"""Counts changes of the exported graph, so that an older one in the cache is not taken for it."""
BINS = 16
"""Of the distribution that stands for each side of a box (Li et al., NeurIPS 2020, section 3)."""


class Backend(Protocol):
    """Runs the network: ``(B, H, W, 3)`` uint8 BGR to ``(B, A, 4 * BINS)`` and ``(B, A, C)`` logits."""

    name: str

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...


class OnnxBackend:
    """The network in ONNX Runtime, on the CPU."""

    name = "onnxruntime cpu"

    def __init__(self, path: Path) -> None:
        with onnx_errors(str(path)):
            self._session = onnx_session(path)
        self._path = path

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        with onnx_errors(str(self._path)):
            sides, classes = self._session.run(None, {"images": images})
        return sides, classes


class BundledDetector(Detector):
    """Runs weights of our own format.

    On a CPU through ONNX Runtime, which is faster there than torch and needs less memory; the ONNX file is
    exported at first use into the user's cache, and torch runs where there is none to write. On a GPU through
    torch in half precision.

    Args: see `tracker.detection.load_detector`.
    """

    def __init__(
        self,
        path: Path,
        *,
        classes: Sequence[str] | None = None,
        score: float | None = None,
        nms_iou: float = 0.6,
        image_size: int | None = None,
        device: str = "auto",
        half: bool | None = None,
        backend: str = "auto",
    ) -> None:
        about = read_about(path)
        self.about, self.class_names = about, about.class_names
        self.score = about.score if score is None else score
        self.nms_iou = nms_iou
        self.image_size = image_size or about.image_size
        self._classes = class_ids(classes, self.class_names, path.name)
        device = choose_device(device)
        half = device != "cpu" if half is None else half
        self._run: Backend
        exported = _exported(about) if device == "cpu" and not half and backend != "torch" else None
        if exported is not None:
            self._run = exported
        else:
            from tracker.detection.network import TorchBackend, build

            self._run = TorchBackend(build(about), device, half)

    def describe(self) -> dict[str, Any]:
        """Weights, hash, architecture, size, backend and thresholds."""
        return {
            "weights": self.about.path.name,
            "sha256": self.about.sha256,
            "architecture": self.about.architecture,
            "image_size": self.image_size,
            "backend": self._run.name,
            "score": self.score,
            "nms_iou": self.nms_iou,
        }

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Objects of frames; frames of one size go through the network together."""
        if not frames:
            return []
        if len({frame.size for frame in frames}) > 1:
            return [found for frame in frames for found in self.detect([frame])]
        width, height = frames[0].size
        scale = self.image_size / max(width, height)
        inner = (max(round(width * scale), 1), max(round(height * scale), 1))
        padded = tuple(-(-side // STRIDES[-1]) * STRIDES[-1] for side in inner)
        batch = np.full((len(frames), padded[1], padded[0], 3), GREY, np.uint8)
        shrink = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
        for picture, frame in zip(batch, frames, strict=True):
            cv2.resize(frame.image, inner, dst=picture[: inner[1], : inner[0]], interpolation=shrink)
        sides, classes = self._run(batch)
        centres, strides = anchors(padded[0], padded[1])
        stretch = np.array([width / inner[0], height / inner[1]] * 2, np.float32)
        limit = np.array([width, height] * 2, np.float32)
        return [
            self._decode(frame_sides, frame_classes, centres, strides, stretch, limit)
            for frame_sides, frame_classes in zip(sides, classes, strict=True)
        ]

    def _decode(
        self,
        sides: NDArray[np.float32],
        classes: NDArray[np.float32],
        centres: NDArray[np.float32],
        strides: NDArray[np.float32],
        stretch: NDArray[np.float32],
        limit: NDArray[np.float32],
    ) -> Detections:
        """Boxes of the anchors whose score counts; one a object."""
        if self._classes is not None:
            allowed = np.full(classes.shape[1], -np.inf, np.float32)
            allowed[self._classes] = 0.0
            classes = classes + allowed
        best = classes.max(1)
        if np.isnan(best).any():
            raise WeightsError(f"{self.about.path}: gives scores that are no numbers; the weights are damaged")
        least = np.log(self.score / (1 - self.score)) if 0 < self.score < 1 else (-1e9 if self.score == 0 else 1e9)
        rows = np.flatnonzero(best >= least)
        if not len(rows):
            return Detections.empty()
        if len(rows) > MOST_CANDIDATES:
            rows = rows[np.argpartition(-best[rows], MOST_CANDIDATES)[:MOST_CANDIDATES]]
        logits = sides[rows].reshape(-1, 4, BINS)
        weight = np.exp(logits - logits.max(2, keepdims=True))
        distance = (weight @ np.arange(BINS, dtype=np.float32)) / weight.sum(2) * strides[rows, None]
        boxes = np.concatenate([centres[rows] - distance[:, :2], centres[rows] + distance[:, 2:]], axis=1)
        boxes = np.clip(boxes * stretch, 0, limit)
        score = 1 / (1 + np.exp(-best[rows]))
        class_id = classes[rows].argmax(1)
        kept = merge(boxes, score, class_id, self.nms_iou)
        return Detections(boxes[kept], score[kept], class_id[kept])


def _exported(about: DetectorFile) -> OnnxBackend | None:
    """ONNX Runtime on the export in the cache, made anew where it is missing or damaged; None where it cannot be."""
    folder = cache_folder()
    if folder is None:
        return None

    def write(path: Path) -> None:
        from tracker.detection.network import build, write_onnx

        write_onnx(build(about), path)

    try:
        return OnnxBackend(cached(folder, f"detector-v{EXPORT}-{about.sha256[:16]}", write))
    except WriteError:  # a full disk, say
        return None


def anchors(width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centres ``(A, 2)`` in pixels and strides ``(A,)`` of all anchors of a picture."""
    centres, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[0 : height // stride, 0 : width // stride].astype(np.float32)
        centres.append(np.stack([x.ravel() + 0.5, y.ravel() + 0.5], axis=1) * stride)
        strides.append(np.full(x.size, stride, np.float32))
    return np.concatenate(centres), np.concatenate(strides)
