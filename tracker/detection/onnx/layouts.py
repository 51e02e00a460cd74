"""The families of detectors, each by what its outputs mean.

A layout reads boxes, scores and classes out of a network's outputs; nothing of it depends on files or frames.
Formulas are those of the families' own code: YOLOv5 to v12 and v26 (Ultralytics), YOLOv6 (Meituan), YOLOv7 and YOLOX
(Ge et al., 2021, section 2), RT-DETR (Zhao et al., CVPR 2024), D-FINE (Peng et al., ICLR 2025), RF-DETR (Roboflow),
NanoDet-Plus (RangiLyu) with the distributions of generalised focal loss (Li et al., NeurIPS 2020, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tracker.detection.onnx.pictures import Pictures

Float32 = NDArray[np.float32]
Outputs = Mapping[str, Float32]

STRIDES = (8, 16, 32)
FOUR_STRIDES = (8, 16, 32, 64)
NANODET_BINS = 8
"""Of the distribution of each side of a box."""
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a network says of one picture.

    Attributes:
        boxes: ``(N, 4)`` corners in pixels of the network's picture.
        score: ``(N,)`` of the best class, 0-1.
        class_id: ``(N,)``.
    """

    boxes: Float32
    score: Float32
    class_id: NDArray[np.int64]

    def at_least(self, score: float, classes: Sequence[int] | None) -> Candidates:
        """Those of a score and, where said, of some classes."""
        keep = self.score >= score
        if classes is not None:
            keep &= np.isin(self.class_id, classes)
        return self[np.flatnonzero(keep)]

    def __getitem__(self, rows: NDArray[np.intp]) -> Candidates:
        return Candidates(self.boxes[rows], self.score[rows], self.class_id[rows])


Decode = Callable[[Outputs, tuple[int, int]], list[Candidates]]
"""From outputs of a batch and the picture's width and height."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A family.

    Attributes:
        name: as users say it in a description.
        decode: reads its outputs.
        outputs: what they look like, in words.
        pictures: what it was trained on, where nobody says otherwise.
        merged: whether its boxes are one an object already.
    """

    name: str
    decode: Decode
    outputs: str
    pictures: Pictures = field(default_factory=Pictures)
    merged: bool = False


def corners(centers: Float32) -> Float32:
    """Centre and size as corners, ``(…, 4)``."""
    half = centers[..., 2:] / 2
    return np.concatenate([centers[..., :2] - half, centers[..., :2] + half], axis=-1)


def best_classes(boxes: Float32, scores: Float32) -> Candidates:
    """The best class of each of ``(N, 4)`` boxes with ``(N, C)`` scores."""
    class_id = scores.argmax(1)
    return Candidates(boxes, scores[np.arange(len(scores)), class_id], class_id)


def only(outputs: Outputs) -> Float32:
    """The one output."""
    (table,) = outputs.values()
    return table


def cells(size: tuple[int, int], strides: Sequence[int] = STRIDES) -> int:
    """How many places all grids of a picture have together."""
    return sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in strides)


def grid(size: tuple[int, int], strides: Sequence[int]) -> tuple[Float32, Float32]:
    """``(N, 2)`` column and row of every place, rows first, grid by grid; and ``(N, 1)`` its stride."""
    places, steps = [], []
    for stride in strides:
        row, column = np.mgrid[0 : -(-size[1] // stride), 0 : -(-size[0] // stride)]
        places.append(np.stack([column.ravel(), row.ravel()], axis=1))
        steps.append(np.full((row.size, 1), stride))
    return np.concatenate(places).astype(np.float32), np.concatenate(steps).astype(np.float32)


def decode_yolov8(outputs: Outputs, size: tuple[int, int]) -> list[Candidates]:
    """``(B, 4 + C, N)``: centre and size in pixels, then scores."""
    return [best_classes(corners(rows[:, :4]), rows[:, 4:]) for rows in only(outputs).transpose(0, 2, 1)]


def decode_objectness(outputs: Outputs, size: tuple[int, int]) -> list[Candidates]:
    """``(B, N, 5 + C)``: centre and size in pixels, whether something is there, then scores of what."""
    return [best_classes(corners(rows[:, :4]), rows[:, 4:5] * rows[:, 5:]) for rows in only(outputs)]


def decode_yolox(outputs: Outputs, size: tuple[int, int]) -> list[Candidates]:
    """As with objectness, but centres are offsets from the place in its grid, and sizes logarithms, in strides."""
    places, stride = grid(size, STRIDES)
    table = only(outputs).copy()
    table[:, :, :2] = (table[:, :, :2] + places) * stride
    table[:, :, 2:4] = np.exp(table[:, :, 2:4]) * stride
    return decode_objectness({"": table}, size)


def decode_end_to_end(outputs: Outputs, size: tuple[int, int]) -> list[Candidates]:
    """``(B, N, 6)``: corners in pixels, score, class; rows of no score are empty places."""
    return [Candidates(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64)) for rows in only(outputs)]


def decode_shares(outputs: Outputs, size: tuple[int, int]) -> list[Candidates]:
    """``(B, N, 4 + C)``: centre and size as shares of the picture's sides, then scores."""
    sides = np.tile(np.array(size, np.float32), 2)
    return [best_classes(corners(rows[:, :4]) * sides, rows[:, 4:]) for rows in only(outputs)]


def decode_queries(outputs: Outputs, size: tuple[int, int]) -> list[Candidates]:
    """``(B, Q, 4)`` centre and size as shares of the picture's sides, and ``(B, Q, C)`` logits of classes."""
    sides = np.tile(np.array(size, np.float32), 2)
    boxes, logits = queries(outputs)
    return [
        best_classes(corners(rows) * sides, 1 / (1 + np.exp(-said))) for rows, said in zip(boxes, logits, strict=True)
    ]


def queries(outputs: Outputs) -> tuple[Float32, Float32]:
    """Boxes and logits by the names that RF-DETR or Transformers give them."""
    if "pred_boxes" in outputs:
        return outputs["pred_boxes"], outputs["logits"]
    return outputs["dets"], outputs["labels"]


def decode_named(outputs: Outputs, size: tuple[int, int]) -> list[Candidates]:
    """`boxes`, `scores`, `labels`: corners in pixels, of one picture or of a batch."""
    boxes, scores, labels = (outputs[name] for name in ("boxes", "scores", "labels"))
    if boxes.ndim == 2:
        boxes, scores, labels = boxes[None], scores[None], labels[None]
    parts = zip(boxes, scores, labels, strict=True)
    return [Candidates(box, score.ravel(), label.ravel().astype(np.int64)) for box, score, label in parts]


def decode_nanodet(outputs: Outputs, size: tuple[int, int]) -> list[Candidates]:
    """``(B, N, C + 4 * bins)``: scores, then a distribution of the distance to each side, in strides."""
    places, stride = grid(size, FOUR_STRIDES)
    found = []
    for rows in only(outputs):
        scores, logits = np.split(rows, [rows.shape[1] - 4 * NANODET_BINS], axis=1)
        weight = np.exp((sides := logits.reshape(-1, 4, NANODET_BINS)) - sides.max(2, keepdims=True))
        distance = (weight @ np.arange(NANODET_BINS, dtype=np.float32)) / weight.sum(2) * stride
        center = places * stride
        found.append(best_classes(np.concatenate([center - distance[:, :2], center + distance[:, 2:]], 1), scores))
    return found


STRETCHED = Pictures(fit="stretch")
LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("yolov8", decode_yolov8, "one (N, 4 + classes, boxes): YOLOv8, v9, v11, v12"),
        Layout("yolov5", decode_objectness, "one (N, 3 * places, 5 + classes): YOLOv5, v7"),
        Layout("yolov6", decode_objectness, "one (N, places, 5 + classes) whose fifth number is 1: YOLOv6"),
        Layout(
            "yolox",
            decode_yolox,
            "one (N, places, 5 + classes): YOLOX",
            Pictures(fit="corner", color="bgr", scale=1.0),
        ),
        Layout(
            "yolox-decoded",
            decode_objectness,
            "the same in pixels: YOLOX with decode_in_inference",
            Pictures(fit="corner", color="bgr", scale=1.0),
        ),
        Layout(
            "end-to-end",
            decode_end_to_end,
            "one (N, boxes, 6): YOLOv10, v26, exports that merge boxes",
            merged=True,
        ),
        Layout(
            "rtdetr-ultralytics",
            decode_shares,
            "one (N, 300, 4 + classes): RT-DETR of Ultralytics",
            STRETCHED,
            merged=True,
        ),
        Layout(
            "rtdetr",
            decode_named,
            "labels, boxes, scores, with orig_target_sizes as second input: RT-DETR, D-FINE, DEIM",
            STRETCHED,
            merged=True,
        ),
        Layout(
            "rtdetr-transformers",
            decode_queries,
            "logits, pred_boxes: RT-DETR and D-FINE of Transformers",
            STRETCHED,
            merged=True,
        ),
        Layout(
            "rfdetr",
            decode_queries,
            "dets, labels: RF-DETR",
            Pictures(fit="stretch", **IMAGENET),  # type: ignore[arg-type]
            merged=True,
        ),
        Layout(
            "nanodet",
            decode_nanodet,
            "one (N, places of four grids, classes + 32): NanoDet-Plus",
            Pictures("stretch", "bgr", 1.0, (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)),
        ),
        Layout("plain", decode_named, "boxes, scores, labels: TorchVision and others", merged=True),
    )
}
