"""Runs a detector in an ONNX file, of any family, without the library that it was trained with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.onnx_check import inputs, metadata, read_model, shape
from reid.runtime import onnx_device, onnx_errors, onnx_session, sha256
from tracker.detection.base import class_ids
from tracker.detection.coco import COCO_BY_CATEGORY, COCO_CATEGORIES, COCO_NAMES
from tracker.detection.merging import MOST_CANDIDATES, MOST_DETECTIONS, merge
from tracker.detection.onnx.description import description_of
from tracker.detection.onnx.layouts import LAYOUTS, Candidates, Layout, Outputs
from tracker.detection.onnx.pictures import GREY, Placement, draw, place
from tracker.detection.onnx.recognition import SIZES_INPUT, classes_in, fits, recognised
from tracker.detection.ultralytics_export import Facts, check_channels, check_size, facts_of
from tracker.errors import ConfigError, WeightsError
from tracker.protocols import Detector
from tracker.types import Detections, Frame

DEFAULT_SCORE = 0.1
"""Low, because trackers make use of doubtful boxes."""
DEFAULT_SIZE = 640
"""Long side of pictures, where a network takes any and does not say at which it was trained."""
DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(uint8)": np.dtype(np.uint8),
}


class Network:
    """An ONNX file, its inputs known.

    Attributes:
        size: width and height that it takes alone; None where it takes any.
        batch: pictures that it takes at once, always; None where it takes any number.
        others: names of its inputs besides the pictures.
        facts: what stands in its metadata.

    Raises:
        WeightsError: damaged, or it does not take pictures.
    """

    def __init__(self, path: Path, device: str) -> None:
        model = read_model(path)
        self.path, self.device = path, onnx_device(device)
        self.facts: Facts = facts_of(path, metadata(model))
        if self.facts.task not in (None, "detect"):
            raise WeightsError(f"{path}: a network for the task {self.facts.task!r}, which finds no boxes")
        pictures = [value for value in inputs(model) if len(shape(value)) == 4]
        self.others = [value.name for value in inputs(model) if len(shape(value)) != 4]
        words = ", ".join(f"{value.name} {shape(value)}" for value in inputs(model)) or "none"
        if len(pictures) != 1 or self.others not in ([], [SIZES_INPUT]):
            raise WeightsError(f"{path}: expected one input of pictures (N, 3, H, W), got {words}: no detector")
        batch, channels, height, width = shape(pictures[0])
        if isinstance(channels, int) and channels not in (3, -1):
            raise WeightsError(f"{path}: expected one input of pictures (N, 3, H, W), got {words}: no detector")
        self.size = (width, height) if isinstance(width, int) and isinstance(height, int) and width > 0 else None
        self.batch = batch if isinstance(batch, int) and batch > 0 else None
        check_size(path, self.size and self.size[::-1], self.batch)
        with onnx_errors(str(path)):
            self._session = onnx_session(path, self.device)
        given = {value.name: value.type for value in self._session.get_inputs()}
        self._input = pictures[0].name
        if given[self._input] not in DTYPES:
            raise WeightsError(f"{path}: takes pictures as {given[self._input]}; expected one of {', '.join(DTYPES)}")
        self.dtype = DTYPES[given[self._input]]

    def __call__(self, pictures: NDArray[np.generic]) -> Outputs:
        """All outputs by name, of ``(B, 3, H, W)``, as many as it takes at once."""
        feed = {self._input: pictures}
        if self.others:
            feed[SIZES_INPUT] = np.tile(np.array(pictures.shape[:1:-1]), (len(pictures), 1))
        with onnx_errors(str(self.path)):
            tables = self._session.run(None, feed)
        names = (output.name for output in self._session.get_outputs())
        return {name: np.asarray(table, np.float32) for name, table in zip(names, tables, strict=True)}


class OnnxDetector(Detector):
    """Finds objects with a detector in an ONNX file, by ONNX Runtime alone.

    The family is told by the names and shapes of its outputs, or said in a file beside it (`description_of`).

    Args: see `tracker.detection.load_detector`.

    Raises:
        WeightsError: damaged, or of a layout that is not known; says what was seen, and what is known.
        ConfigError: a class that it does not know, a size that it does not take, or a wrong description.
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
    ) -> None:
        self.path, self.nms_iou = path, nms_iou
        self.score = DEFAULT_SCORE if score is None else score
        self._network = Network(path, device)
        self._check_settings(image_size, half)
        usual = self._network.facts.usual
        self.image_size = image_size or max(self._network.size or usual or (DEFAULT_SIZE,))
        about = description_of(path)
        outputs, size = self._probe()
        self.layout = self._layout(about.family, outputs, size)
        if self.layout.name == "plain" and outputs["boxes"].ndim == 2:
            self._network.batch = 1
        self.pictures = about.pictures.over(self.layout.pictures)
        count = classes_in(self.layout, outputs)
        self.class_names = self._names(about.names, count)
        self._classes = class_ids(classes, self.class_names, path.name)

    def describe(self) -> dict[str, Any]:
        """Weights, hash, layout, size, backend and thresholds."""
        return {
            "weights": self.path.name,
            "sha256": sha256(self.path),
            "task": "detect",
            "layout": self.layout.name,
            "image_size": self.image_size,
            "backend": f"onnxruntime {self._network.device}",
            "score": self.score,
            "nms_iou": self.nms_iou,
        }

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Objects of frames; those whose pictures have one size go through the network together."""
        placed = [
            (frame, place(frame.size, self.pictures.fit, fixed=self._network.size, longest=self.image_size))
            for frame in frames
        ]
        groups = (list(group) for _, group in groupby(placed, key=lambda pair: pair[1].outer))
        return [found for group in groups for found in self._detect(group)]

    def _detect(self, group: list[tuple[Frame, Placement]]) -> Iterator[Detections]:
        width, height = group[0][1].outer
        canvases = np.full((len(group), height, width, 3), GREY, np.uint8)
        for canvas, (frame, placement) in zip(canvases, group, strict=True):
            draw(frame.image, placement, canvas)
        pictures = self.pictures.to_input(canvases, self._network.dtype)
        at_once = self._network.batch or len(group)
        for start in range(0, len(group), at_once):
            part = pictures[start : start + at_once]
            missing = at_once - len(part)  # a fixed batch is filled up with the last picture
            filled = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
            found = self.layout.decode(self._network(filled), (width, height))
            for candidates, (_, placement) in zip(found, group[start : start + at_once], strict=False):
                yield self._chosen(candidates, placement)

    def _chosen(self, candidates: Candidates, placement: Placement) -> Detections:
        """One box an object, in the frame's pixels."""
        if np.isnan(candidates.score).any():
            raise WeightsError(f"{self.path}: gives scores that are no numbers; the weights are damaged")
        found = candidates.at_least(self.score, self._classes)
        found = found[np.argsort(-found.score, kind="stable")[:MOST_CANDIDATES]]
        boxes = placement.back(found.boxes)
        seen = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
        found, boxes = found[seen], boxes[seen]
        if self.layout.merged:
            kept = np.arange(min(len(seen), MOST_DETECTIONS))
        else:
            kept = merge(boxes, found.score, found.class_id, self.nms_iou)
        return Detections(boxes[kept], np.minimum(found.score[kept], 1), found.class_id[kept])

    def _check_settings(self, image_size: int | None, half: bool | None) -> None:
        fixed = self._network.size
        if fixed is not None and image_size not in (None, max(fixed)):
            raise ConfigError(
                f"detector.image_size: {self.path.name} takes pictures of {fixed[0]}x{fixed[1]} alone, got "
                f"{image_size}; leave it out, or export the network anew with dynamic=True"
            )
        if half is not None and half != (self._network.dtype == np.float16):
            raise ConfigError(
                f"detector.half: {self.path.name} takes {self._network.dtype} numbers, and an ONNX file cannot be run "
                "in others; leave it out, or export the network anew"
            )

    def _probe(self) -> tuple[Outputs, tuple[int, int]]:
        """What it says of noise, and the size of that picture."""
        width, height = self._network.size or (self.image_size, self.image_size)
        noise = np.random.default_rng(0).random((self._network.batch or 1, 3, height, width), np.float32)
        if self._network.dtype == np.uint8:
            noise *= 255
        return self._network(noise.astype(self._network.dtype)), (width, height)

    def _layout(self, said: str | None, outputs: Outputs, size: tuple[int, int]) -> Layout:
        """The layout that the user said, or that it seems to have; refused if it does not give scores then."""
        shapes = ", ".join(f"{name} {list(table.shape)}" for name, table in outputs.items())
        seen = f"its outputs for a picture of {size[0]}x{size[1]} are {shapes}"
        layout = LAYOUTS[said] if said else recognised(outputs, size, self._network.others)
        known = "; ".join(f"{each.name}: {each.outputs}" for each in LAYOUTS.values())
        beside = f"say its family and how it sees pictures in {self.path.name}.yaml (known: {known})"
        facts = self._network.facts
        words = "" if facts.task else "does not say its task (there is no metadata in it), and "
        if facts.task and facts.names and not facts.merged and layout in (None, LAYOUTS["yolov8"]):
            check_channels(self.path, facts, "detect", [list(table.shape) for table in outputs.values()])
        if layout is None:
            raise WeightsError(f"{self.path}: {words}{seen}, which is no detector's layout that is known; {beside}")
        if not fits(layout, outputs, size):
            raise WeightsError(f"{self.path}: {seen}, not those of {layout.name}: {layout.outputs}")
        for candidates in layout.decode(outputs, size):
            if not ((candidates.score >= 0) & (candidates.score <= 1.001)).all():
                raise WeightsError(
                    f"{self.path}: {words}{seen}: read as {layout.name}, what follows each box are no scores; {beside}"
                )
        return layout

    def _names(self, said: Sequence[str] | None, count: int | None) -> dict[int, str]:
        """Of the classes: those of the description, of the file, of COCO where there are as many, or numbers."""
        names = dict(enumerate(said)) if said else self._network.facts.names
        if names is not None:
            if count is not None and len(names) != count:
                raise WeightsError(f"{self.path}: names {len(names)} classes, but tells {count} apart")
            return names
        if self.layout.name == "rfdetr" and count == COCO_CATEGORIES:
            return {number: COCO_BY_CATEGORY.get(number, f"class{number}") for number in range(count)}
        if count is None or count == len(COCO_NAMES):
            return dict(enumerate(COCO_NAMES))
        return {number: f"class{number}" for number in range(count)}
