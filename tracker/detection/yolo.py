"""Any weights or export that Ultralytics can load, behind our protocol."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from reid.file_kind import Kind
from reid.onnx_check import MOST_NUMBERS
from reid.runtime import choose_device, sha256
from tracker.adapters import from_ultralytics
from tracker.detection.base import class_ids
from tracker.detection.ultralytics_settings import prepare
from tracker.errors import ConfigError, ReacquireError, WeightsError
from tracker.protocols import Detector
from tracker.types import Detections, Frame

DEFAULT_SCORE = 0.1
"""Low, because trackers make use of doubtful boxes."""


class UltralyticsDetector(Detector):
    """A YOLO of Ultralytics (AGPL-3.0). Masks and keypoints ride along in `Detections.data`.

    Args: see `tracker.detection.load_detector`.

    Raises:
        WeightsError: missing, damaged, of a task that finds no boxes, or it could run code and is not trusted.
        ConfigError: a class that it does not know, or a size that it does not take.
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
        prepare()
        from tracker.detection.ultralytics_export import Export, read_export, read_folder
        from tracker.detection.ultralytics_files import NamedLink, find, judge

        self._device = choose_device(device)
        self._path = find(weights)
        kind = judge(self._path, trust=trust)
        export: Export | None = None
        if kind == "onnx":
            export = read_export(self._path)
        elif kind in ("openvino", "ncnn"):
            export = read_folder(self._path)
        self.score = DEFAULT_SCORE if score is None else score
        self.nms_iou, self.image_size = nms_iou, image_size
        self.half = self._device != "cpu" if half is None else half
        self._batch = export.batch if export else None
        self._options = self._sizes(export)
        self._classes: list[int] | None = None
        self._link = NamedLink(self._path, kind, export.beside if export else ())
        with _errors(self._path):
            self._model = self._load(kind, export, trust)
            self.task = str(self._model.task)
            probe = self._predict([np.zeros((64, 64, 3), np.uint8)])[0]
            names = export.names if export else None
            self.class_names: dict[int, str] = names or {int(k): str(v) for k, v in self._model.names.items()}
        if kind in ("checkpoint", "onnx"):  # in memory now; OpenVINO reads its files again where shapes change
            self._link.close()
        if probe.boxes is None and probe.obb is None:
            raise WeightsError(
                f"{self._path}: a network for the task {self.task!r}, which finds no boxes; take one for detection, "
                "segmentation, pose or oriented boxes"
            )
        self._classes = class_ids(classes, self.class_names, self._path.name)

    def _load(self, kind: Kind, export: Any, trust: bool) -> Any:
        from ultralytics import YOLO

        from tracker.detection.ultralytics_files import data_only

        with data_only(trust=trust):
            model = YOLO(str(self._link.path), verbose=False, task=export.task if export else None)
        if kind == "checkpoint":
            self._check_checkpoint(model)
        return model

    def _check_checkpoint(self, model: Any) -> None:
        """What a checkpoint says of its use is data like the rest."""
        import torch

        from tracker.detection.ultralytics_export import MOST_STRIDE, SIDES, class_names

        usual = model.overrides.get("imgsz", SIDES[1])
        for side in usual if isinstance(usual, list | tuple) else [usual]:
            if not isinstance(side, int) or not SIDES[0] <= side <= SIDES[1]:
                raise WeightsError(f"{self._path}: was trained at size {usual!r}; expected {SIDES[0]} to {SIDES[1]}")
        model.overrides.pop("data", None)  # from where names would be read, over the network too
        try:
            named = class_names(model.model.names) is not None
        except (ValueError, TypeError, AttributeError):
            named = False
        if not named:
            raise WeightsError(f"{self._path}: damaged: does not name its classes, or not by words of usual length")
        stride = getattr(model.model, "stride", None)
        if stride is not None and not 1 <= float(torch.as_tensor(stride).max()) <= MOST_STRIDE:
            raise WeightsError(f"{self._path}: has a stride of {stride}; expected 1 to {MOST_STRIDE}")
        for name, tensor in model.model.state_dict().items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise WeightsError(f"{self._path}: damaged: {name} has NaN or infinity among its numbers")
        self._check_sizes_inside(model.model)

    def _check_sizes_inside(self, network: Any) -> None:
        """Refuse layers that would fill the memory, by shapes alone, on a picture of usual size."""
        import torch

        def look(layer: Any, _: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and output.numel() > MOST_NUMBERS:
                raise WeightsError(
                    f"{self._path}: its layer {type(layer).__name__} would make {output.numel():,} numbers of one "
                    "picture; damaged"
                )

        # Where torch cannot tell the shapes, or the network is of another make, running it tells more.
        with torch.inference_mode(), suppress(RuntimeError, TypeError, AttributeError, LookupError):
            shapes = copy.deepcopy(network).to("meta").eval()
            shapes.model[-1].train()  # the head gives what it has, without reckoning boxes of it
            for layer in shapes.modules():
                layer.register_forward_hook(look)
            shapes(torch.zeros(1, 3, 640, 640, device="meta"))

    def _sizes(self, export: Any) -> dict[str, Any]:
        """The size that Ultralytics is told; a file's fixed one cannot be changed."""
        if export is None or (export.size is None and self.image_size is not None):
            return {} if self.image_size is None else {"imgsz": self.image_size}
        if export.size is None:
            return {} if export.usual is None else {"imgsz": list(export.usual)}
        if self.image_size not in (None, max(export.size)):
            raise ConfigError(
                f"detector.image_size: {self._path.name} takes pictures of {export.size[1]}x{export.size[0]} alone, "
                f"got {self.image_size}; leave it out, or export the network anew with dynamic=True"
            )
        return {"imgsz": list(export.size), "rect": False}

    def describe(self) -> dict[str, Any]:
        """Weights, hash, size, device and thresholds."""
        return {
            "weights": self._path.name,
            "sha256": sha256(self._path) if self._path.is_file() else None,
            "task": self.task,
            "image_size": self.image_size or max(self._options.get("imgsz", [0])) or None,
            "backend": f"ultralytics {self._device}" + (" half" if self.half else ""),
            "score": self.score,
            "nms_iou": self.nms_iou,
        }

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Objects of frames, in one batch, or in as many as the file's fixed one needs."""
        images = [frame.image for frame in frames]
        with _errors(self._path):
            return [from_ultralytics(result) for result in self._predict(images)]

    def _predict(self, images: list[Any]) -> list[Any]:
        """Results of pictures; where a file takes a fixed number at once, the last are filled up with one of them."""
        at_once = self._batch or len(images)
        results: list[Any] = []
        half = {"half": True} if self.half else {}
        for start in range(0, len(images), max(at_once, 1)):
            part = images[start : start + at_once]
            found = self._model.predict(
                part + part[-1:] * (at_once - len(part)),
                conf=self.score,
                iou=self.nms_iou,
                classes=self._classes,
                device=self._device,
                verbose=False,
                **half,
                **self._options,
            )
            results += found[: len(part)]
        return results


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """What Ultralytics and the libraries below it raise inside, as an error of ours."""
    try:
        yield
    except ReacquireError:
        raise
    except Exception as error:  # of whatever library runs the file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise WeightsError(f"{path}: Ultralytics cannot run it: {reason}") from error
