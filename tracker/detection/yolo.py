"""Any weights or export that Ultralytics can load, behind our protocol."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reid.runtime import choose_device, sha256
from tracker.adapters import from_ultralytics
from tracker.detection.base import class_ids
from tracker.errors import WeightsError
from tracker.types import Detections, Frame

DEFAULT_SCORE = 0.1
"""Low, because trackers make use of doubtful boxes."""


class UltralyticsDetector:
    """A YOLO of Ultralytics (AGPL-3.0). Masks and keypoints ride along in `Detections.data`.

    Args: see `tracker.detection.load_detector`.
    """

    def __init__(
        self,
        weights: str,
        *,
        classes: Sequence[str] | None = None,
        score: float | None = None,
        nms_iou: float = 0.6,
        image_size: int | None = None,
        device: str = "auto",
        half: bool | None = None,
        trust: bool = False,
    ) -> None:
        os.environ.setdefault("YOLO_AUTOINSTALL", "false")
        os.environ.setdefault("YOLO_VERBOSE", "false")
        self._device = choose_device(device)
        self._path = _find(weights)
        if self._path.suffix == ".pt" and not trust:
            _refuse_code(self._path)
        from ultralytics import YOLO

        try:
            self._model = YOLO(str(self._path), verbose=False, task=None if self._path.suffix == ".pt" else "detect")
            self.class_names: dict[int, str] = dict(self._model.names)
        except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
            raise WeightsError(f"{self._path}: Ultralytics cannot load it: {error}") from error
        self.score = DEFAULT_SCORE if score is None else score
        self.nms_iou, self.image_size = nms_iou, image_size
        self.half = self._device != "cpu" if half is None else half
        self._classes = class_ids(classes, self.class_names, self._path.name)

    def describe(self) -> dict[str, Any]:
        """Weights, hash, size, device and thresholds."""
        return {
            "weights": self._path.name,
            "sha256": sha256(self._path) if self._path.is_file() else None,
            "image_size": self.image_size,
            "backend": f"ultralytics {self._device}" + (" half" if self.half else ""),
            "score": self.score,
            "nms_iou": self.nms_iou,
        }

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Objects of frames, in one batch."""
        if not frames:
            return []
        options = {} if self.image_size is None else {"imgsz": self.image_size}
        results = self._model.predict(
            [frame.image for frame in frames],
            conf=self.score,
            iou=self.nms_iou,
            classes=self._classes,
            device=self._device,
            half=self.half,
            verbose=False,
            **options,
        )
        return [from_ultralytics(result) for result in results]


def _find(weights: str) -> Path:
    """The weights' path; a bare name that Ultralytics knows is downloaded, where there is a network."""
    path = Path(weights)
    if path.exists():
        return path
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    if path.name != weights or weights not in GITHUB_ASSETS_NAMES:
        raise WeightsError(f"{weights}: no such weights; `person` is the name of the bundled ones")
    try:
        path = Path(attempt_download_asset(weights))
    except (OSError, RuntimeError) as error:
        raise WeightsError(_offline(weights)) from error
    if not path.exists():
        raise WeightsError(_offline(weights))
    return path


def _offline(weights: str) -> str:
    return (
        f"{weights}: not on this machine, and it cannot be downloaded (no network?); bring the file, "
        "or leave --detector out for the bundled `person`, which needs none"
    )


def _refuse_code(path: Path) -> None:
    """Refuse a pickle that holds anything but tensors and Ultralytics' own layers.

    Raises:
        WeightsError: says so, and how to load it all the same.
    """
    import pickle

    from ultralytics.nn.tasks import torch_safe_load

    try:
        torch_safe_load(str(path), safe_only=True)
    except (pickle.UnpicklingError, TypeError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path}: refused, because it is damaged or could run code when it is loaded ({_first_line(error)}); "
            "if you trust where it comes from, add --trust-weights"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
