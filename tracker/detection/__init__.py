"""Detectors: the bundled one, any that Ultralytics can load, detections from a file, and the protocol for others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reid.file_kind import kind_of
from tracker.detection.base import class_ids
from tracker.protocols import Detector

__all__ = ["BUNDLED", "Detector", "load_detector"]


BUNDLED = {"person": "person.safetensors", "default": "person.safetensors"}
"""Names of the weights that come with the package."""


def load_detector(
    weights: str | Path = "person",
    *,
    classes: Sequence[str] | None = None,
    score: float | None = None,
    nms_iou: float = 0.6,
    image_size: int | None = None,
    device: str = "auto",
    half: bool | None = None,
    trust: bool = False,
) -> Detector:
    """A detector by its weights.

    Args:
        weights: "person" (bundled); a file of ours (safetensors); ONNX of any family; anything else that Ultralytics
            loads (a checkpoint, a TensorRT engine, an OpenVINO folder, …); or "public:DET.txt", detections in
            MOTChallenge's format. What a file is, its content decides.
        classes: names to keep; all when None.
        score: lowest score in 0–1; the weights' own when None. To feed a tracker ask for 0.1, as the pipeline does:
            trackers use weak boxes too.
        nms_iou: boxes that overlap more than this are one object, 0–1.
        image_size: long side in pixels that pictures are scaled to; the weights' own when None.
        device: auto, cpu, cuda:0, mps.
        half: half precision; on a GPU when None.
        trust: load the file even if it may run code: a pickle, TorchScript, an engine, and whatever is not known to be
            data only.

    Raises:
        WeightsError: missing, damaged, of a wrong architecture or task, not safe to load, to be downloaded offline, or
            no such device.
        ConfigError: a class that the weights do not know.
    """
    text = str(weights)
    if text.startswith("public:"):
        from tracker.detection.public import PublicDetections

        public = PublicDetections(Path(text.removeprefix("public:")), least_score=score)
        class_ids(classes, public.class_names, text)  # all are of its one class
        return public
    settings: dict[str, Any] = {
        "classes": classes,
        "score": score,
        "nms_iou": nms_iou,
        "image_size": image_size,
        "device": device,
        "half": half,
    }
    path = Path(__file__).parent / "weights" / BUNDLED[text] if text in BUNDLED else Path(text)
    if text in BUNDLED or _is_ours(path):
        from tracker.detection.bundled import BundledDetector

        return BundledDetector(path, **settings)
    if _is_plain_onnx(path):
        from tracker.detection.onnx.detector import OnnxDetector

        return OnnxDetector(path, **settings)
    from tracker.detection.yolo import UltralyticsDetector

    return UltralyticsDetector(text, trust=trust, **settings)


def _is_plain_onnx(path: Path) -> bool:
    """Whether it finds plain boxes, for all it says; masks, keypoints and angles are Ultralytics' to read."""
    try:
        if not path.is_file() or kind_of(path) != "onnx":
            return False
    except (OSError, ValueError):
        return False
    from reid.onnx_check import metadata, read_model

    return metadata(read_model(path)).get("task", "detect") not in ("segment", "pose", "obb")


def _is_ours(path: Path) -> bool:
    """Whether it holds plain tensors; a file that is not there goes by its name, and an error says so."""
    try:
        there = path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False
    return kind_of(path) == "safetensors" if there else path.suffix == ".safetensors"
