"""The network and its loss (Ultralytics, AGPL-3.0), the moving average of its weights, the file they are kept in."""

from __future__ import annotations

import json
import math
import os
from copy import deepcopy
from pathlib import Path
from typing import Any

os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_OFFLINE", "true")

import torch
from safetensors.torch import save_file
from torch import Tensor
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel, yaml_model_load
from ultralytics.utils.loss import E2ELoss, v8DetectionLoss
from ultralytics.utils.ops import xywh2xyxy

FORMAT = "reacquire-detector/1"
"""As of `tracker.detection.weights_file`, which a machine that only trains need not be able to import."""
HALF_WIDTH = "yolo11n-half"


class PaddedLoss(v8DetectionLoss):  # type: ignore[misc]  # Ultralytics is not followed (pyproject.toml)
    """Ultralytics' loss of targets that come padded, so that the device need not be asked how many there are."""

    def preprocess(self, targets: Tensor, batch_size: int, scale_tensor: Tensor) -> Tensor:
        """``(B * N, 6)`` image, class, box in shares of the side; a box of zeros is none."""
        padded = targets.view(batch_size, -1, 6)[..., 1:].clone()
        padded[..., 1:] = xywh2xyxy(padded[..., 1:] * scale_tensor)
        return padded


def make_model(architecture: str) -> DetectionModel:
    """The one-class network, random weights."""
    cfg = yaml_model_load("yolo11n.yaml" if architecture == HALF_WIDTH else f"{architecture}.yaml")
    if architecture == HALF_WIDTH:
        depth, _, most = cfg["scales"]["n"]
        cfg["scales"]["n"] = [depth, 0.125, most]
    cfg["nc"] = 1
    model = DetectionModel(cfg, ch=3, nc=1, verbose=False)
    model.args = get_cfg(overrides={"box": 7.5, "cls": 0.5, "dfl": 1.5})
    model.names = {0: "person"}
    return model


def make_criterion(model: DetectionModel) -> Any:
    """The loss; of a network with two heads, of both."""
    if getattr(model.model[-1], "one2one_cv2", None) is not None:
        return E2ELoss(model, PaddedLoss)
    return PaddedLoss(model)


def share_heads(criterion: Any, progress: float) -> None:
    """How much the head of one box per person counts, growing with the training; of one head nothing changes."""
    if isinstance(criterion, E2ELoss):
        criterion.o2m = criterion.o2m_copy + progress * (criterion.final_o2m - criterion.o2m_copy)
        criterion.o2o = criterion.total - criterion.o2m


def targets(boxes: Tensor, known: Tensor, side: int, most: int) -> dict[str, Tensor]:
    """What the loss wants of ``(B, N, 4)`` corners in pixels; at most ``most`` per picture, the tallest."""
    # Asking the device how many there are costs no time here: the loss is about to wait for it as well.
    count = min(int(known.sum(1).max()), most)
    height = torch.where(known, boxes[..., 3] - boxes[..., 1], torch.zeros_like(boxes[..., 0]))
    kept = height.topk(max(count, 1), dim=1).indices
    boxes = boxes.gather(1, kept[..., None].expand(-1, -1, 4)) * known.gather(1, kept)[..., None] / side
    batch, count, _ = boxes.shape
    middle, extent = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    number = torch.arange(batch, device=boxes.device, dtype=torch.float32).repeat_interleave(count)
    return {
        "batch_idx": number,
        "cls": torch.zeros_like(number),
        "bboxes": torch.cat([middle, extent], -1).view(-1, 4),
    }


def as_float(value: Any) -> Any:
    """Every tensor in a nest of lists and mappings in float32."""
    if isinstance(value, Tensor):
        return value.float()
    if isinstance(value, dict):
        return {key: as_float(item) for key, item in value.items()}
    return type(value)(as_float(item) for item in value)


class Average:
    """Exponential moving average of the weights; young, it forgets faster, as Ultralytics' does."""

    def __init__(self, model: DetectionModel, decay: float, ramp: float) -> None:
        self.model = deepcopy(model).eval().requires_grad_(False)
        self.decay, self.ramp, self.updates = decay, ramp, 0
        self._own, self._source = [], []
        for (name, own), source in zip(self.model.state_dict().items(), model.state_dict().values(), strict=True):
            if own.is_floating_point() and "num_batches" not in name:
                self._own.append(own)
                self._source.append(source)

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        decay = self.decay * (1 - math.exp(-self.updates / self.ramp))
        torch._foreach_lerp_(self._own, self._source, 1 - decay)

    def finite(self) -> bool:
        """Whether every weight is a number."""
        return bool(torch.stack([own.isfinite().all() for own in self._own]).all())


def save_weights(path: Path, model: DetectionModel, architecture: str, side: int, trained: str) -> None:
    """Half-precision tensors beside what is needed to use them; all or nothing is written."""
    tensors = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in model.state_dict().items()
    }
    about = {
        "format": FORMAT,
        "architecture": f"{architecture}.yaml",
        "class_names": json.dumps({0: "person"}),
        "image_size": str(side),
        "score": "0.1",
        "trained": trained,
    }
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata=about)
    temporary.replace(path)
