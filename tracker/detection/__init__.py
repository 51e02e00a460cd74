"""Detectors: the bundled one, any that Ultralytics can load, detections from a file, and the protocol for others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tracker.detection.base import Detector

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
        weights: "person" (bundled); a file of ours (`.safetensors`); anything Ultralytics loads (`.pt`, `.onnx`,
            `.engine`, an OpenVINO folder, …); or "public:DET.txt", detections in MOTChallenge's format.
        classes: names to keep; all when None.
        score: lowest score in 0–1; the weights' own when None. To feed a tracker ask for 0.1, as the pipeline does:
            trackers use weak boxes too.
        nms_iou: boxes that overlap more than this are one object, 0–1.
        image_size: long side in pixels that pictures are scaled to; the weights' own when None.
        device: auto, cpu, cuda:0, mps.
        half: half precision; on a GPU when None.
        trust: load a pickled checkpoint even if it may run code.

    Raises:
        WeightsError: missing, damaged, of a wrong architecture, not safe to load, or to be downloaded offline.
        ConfigError: a class that the weights do not know.
    """
    text = str(weights)
    if text.startswith("public:"):
        from tracker.detection.public import PublicDetections

        return PublicDetections(Path(text.removeprefix("public:")), least_score=score)
    if text in BUNDLED or text.endswith(".safetensors"):
        from tracker.detection.bundled import BundledDetector

        path = Path(__file__).parent / "weights" / BUNDLED[text] if text in BUNDLED else Path(text)
        return BundledDetector(
            path, classes=classes, score=score, nms_iou=nms_iou, image_size=image_size, device=device, half=half
        )
    from tracker.detection.yolo import UltralyticsDetector

    return UltralyticsDetector(
        text,
        classes=classes,
        score=score,
        nms_iou=nms_iou,
        image_size=image_size,
        device=device,
        half=half,
        trust=trust,
    )
