"""Which layout a network has: by the names and shapes of its outputs, and by what it says of a picture of noise."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from tracker.detection.onnx.layouts import (
    FOUR_STRIDES,
    LAYOUTS,
    NANODET_BINS,
    STRIDES,
    Float32,
    Layout,
    Outputs,
    cells,
    only,
    queries,
)

SIZES_INPUT = "orig_target_sizes"
"""Second input of RT-DETR's own exports: width and height that boxes are told in."""
GRIDS = (STRIDES, FOUR_STRIDES, (4, *STRIDES))
"""Strides of the usual networks, of those for large pictures, and of those for small objects."""


def recognised(outputs: Outputs, size: tuple[int, int], others: Collection[str] = ()) -> Layout | None:
    """The layout of a network; None where it is none that is known.

    Args:
        outputs: by name, of a batch of noise.
        size: width and height of the pictures.
        others: names of its inputs besides the pictures.
    """
    names = outputs.keys()
    ndims = {name: table.ndim for name, table in outputs.items()}
    name = None
    if {"boxes", "scores", "labels"} <= names:
        name = "rtdetr" if SIZES_INPUT in others else "plain"
    elif {"pred_boxes", "logits"} <= names and ndims["pred_boxes"] == ndims["logits"] == 3:
        name = "rtdetr-transformers"
    elif {"dets", "labels"} <= names and ndims["dets"] == ndims["labels"] == 3 and outputs["dets"].shape[2] == 4:
        name = "rfdetr"
    elif len(outputs) == 1 and only(outputs).ndim == 3:
        name = _by_table(only(outputs), size)
    return LAYOUTS[name] if name else None


def _by_table(table: Float32, size: tuple[int, int]) -> str | None:
    """Of a network with one table, ``(B, rows, columns)``."""
    rows, columns = table.shape[1:]
    places = [cells(size, strides) for strides in GRIDS]
    if columns in places and rows > 4:
        return "yolov8"
    if columns == 6 and (table[..., 5] == np.round(table[..., 5])).all():
        return "end-to-end"
    if rows in [3 * count for count in places] and columns > 5:
        return "yolov5"
    if rows in places and columns > 5:
        return _one_a_place(table, size)
    if rows == 300 and columns > 4 and _between(table, -0.5, 1.5):
        return "rtdetr-ultralytics"
    return None


def _one_a_place(table: Float32, size: tuple[int, int]) -> str:
    """Of tables with a row for each place of the grids."""
    rows, columns = table.shape[1:]
    if (table[..., 4] == 1).all():
        return "yolov6"
    if rows == cells(size, FOUR_STRIDES) != cells(size) and columns > 4 * NANODET_BINS:
        return "nanodet"
    # Centres in pixels lie all over the picture, offsets near zero.
    return "yolox-decoded" if table[..., 0].max() > size[0] / 2 else "yolox"


def classes_in(layout: Layout, outputs: Outputs) -> int | None:
    """How many classes a network tells apart, by the shape of its outputs; None where that does not say."""
    if layout.name in ("rtdetr-transformers", "rfdetr"):
        return int(queries(outputs)[1].shape[2])
    if layout.name in ("end-to-end", "rtdetr", "plain"):
        return None
    table = only(outputs)
    before = {"yolov8": 4, "rtdetr-ultralytics": 4, "nanodet": 4 * NANODET_BINS}.get(layout.name, 5)
    return int(table.shape[1 if layout.name == "yolov8" else 2]) - before


def fits(layout: Layout, outputs: Outputs, size: tuple[int, int]) -> bool:
    """Whether outputs can be read by a layout at all; for one that a user named."""
    if layout.name in ("rtdetr", "plain"):
        return {"boxes", "scores", "labels"} <= outputs.keys()
    if layout.name in ("rtdetr-transformers", "rfdetr"):
        return {"pred_boxes", "logits"} <= outputs.keys() or {"dets", "labels"} <= outputs.keys()
    if len(outputs) != 1 or only(outputs).ndim != 3:
        return False
    rows, columns = only(outputs).shape[1:]
    grids = {"yolox": STRIDES, "nanodet": FOUR_STRIDES}
    if layout.name in grids and rows != cells(size, grids[layout.name]):
        return False
    count = classes_in(layout, outputs)
    return columns == 6 if count is None else count > 0


def _between(table: Float32, low: float, high: float) -> bool:
    return bool((table >= low).all() and (table <= high).all())
