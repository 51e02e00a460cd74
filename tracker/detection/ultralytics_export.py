"""What an export of Ultralytics says of itself: task, classes, size and batch. The file decides, never its name."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reid.onnx_check import inputs, metadata, read_model, shape
from tracker.errors import ConfigError, WeightsError
from tracker.yaml_file import read_yaml

TASKS = ("detect", "segment", "pose", "obb")
"""That find boxes; oriented ones are tracked by the upright rectangle around them."""
MOST_WORDS = 1_000_000
"""Characters of a fact."""
MOST_CLASSES = 10_000
SIDES = (16, 8192)
"""Pixels of a picture's side, at least and at most."""
MOST_STRIDE = 512
MOST_PICTURES = 256
"""At once."""


@dataclass(frozen=True, slots=True)
class Export:
    """What is known of an export before it runs.

    Attributes:
        task: one of `TASKS`.
        names: of the classes by id; None where it does not say them.
        size: height and width in pixels that it takes alone; None where it takes any.
        usual: the size that it was exported with, where it takes any; None where it does not say.
        batch: pictures that it takes at once, always; None where it takes any number.
        beside: files that it needs in its own folder.
    """

    task: str
    names: dict[int, str] | None
    size: tuple[int, int] | None
    usual: tuple[int, int] | None
    batch: int | None
    beside: tuple[str, ...] = ()


def read_export(path: Path) -> Export:
    """What an ONNX file is.

    Raises:
        WeightsError: damaged; it finds no boxes; what it says does not fit its inputs and outputs.
    """
    model = read_model(path)
    facts = facts_of(path, metadata(model))
    given = inputs(model)
    sides = shape(given[0]) if given else []
    if len(given) != 1 or len(sides) != 4 or not (sides[1] in (3, None) or isinstance(sides[1], str)):
        words = ", ".join(f"{value.name} {shape(value)}" for value in given) or "none"
        raise WeightsError(f"{path}: expected one input of pictures (N, 3, H, W), got {words}: no detector")
    outputs = [shape(value) for value in model.graph.output]
    task = facts.task
    if task not in TASKS:
        raise WeightsError(f"{path}: a network for the task {task!r}, which finds no boxes; take one of {_list(TASKS)}")
    height, width = sides[2:]
    fixed = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    batch = sides[0] if isinstance(sides[0], int) and sides[0] > 0 else None
    check_size(path, fixed, batch)
    if facts.names is not None and not facts.merged:
        check_channels(path, facts, task, outputs)
    beside = {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
    return Export(task, facts.names, fixed, facts.usual, batch, tuple(sorted(beside)))


def read_folder(path: Path) -> Export:
    """What an export to a folder with `metadata.yaml` is.

    Raises:
        WeightsError: it does not say, or finds no boxes.
    """
    about = path / "metadata.yaml"
    if not about.is_file():
        raise WeightsError(f"{path}: there is no metadata.yaml in it, as exports of Ultralytics have")
    try:
        facts = facts_of(about, read_yaml(about))
    except ConfigError as error:
        raise WeightsError(f"{error}; damaged") from error
    if facts.task not in TASKS:
        raise WeightsError(f"{path}: a network for the task {facts.task!r}; expected one of {_list(TASKS)}")
    fixed = None if facts.dynamic else facts.usual
    return Export(facts.task, facts.names, fixed, facts.usual, None if facts.dynamic else facts.batch)


@dataclass(frozen=True, slots=True)
class Facts:
    """What stands in an export's metadata; None where nothing does."""

    task: str | None
    names: dict[int, str] | None
    usual: tuple[int, int] | None
    batch: int | None
    keypoints: int
    dynamic: bool
    merged: bool


def facts_of(path: Path, words: Mapping[str, Any]) -> Facts:
    name = ""
    try:
        values: dict[str, Any] = {}
        for name in ("names", "imgsz", "batch", "kpt_shape", "args", "end2end", "stride", "channels"):
            values[name] = _value(words.get(name))
        name = "names"
        names = class_names(values["names"])
        name = "imgsz"
        usual = _pair(values["imgsz"])
        name = "batch"
        batch = None if values["batch"] is None else _whole(values["batch"], 1, MOST_PICTURES)
        name = "stride"
        _whole(32 if values["stride"] is None else values["stride"], 1, MOST_STRIDE)
        name = "channels"
        _whole(3 if values["channels"] is None else values["channels"], 3, 3)
        name = "kpt_shape"
        keypoints = math.prod(_whole(n, 1, 1000) for n in values["kpt_shape"]) if values["kpt_shape"] else 0
        name = "args"
        arguments = dict(values["args"] or {})
    except (ValueError, TypeError, SyntaxError, LookupError, AttributeError, RecursionError, MemoryError) as error:
        raise WeightsError(
            f"{path}: what it says of {name!r} is not understood: {str(words.get(name))[:80]!r}"
        ) from error
    task = words.get("task")
    if task is not None and not isinstance(task, str):
        raise WeightsError(f"{path}: what it says of 'task' is not understood: {str(task)[:80]!r}")
    merged = bool(values["end2end"] or arguments.get("nms"))
    return Facts(task, names, usual, batch, keypoints, bool(arguments.get("dynamic")), merged)


def _value(word: Any) -> Any:
    """A fact: in ONNX all are words, in YAML they are values."""
    if not isinstance(word, str):
        return word
    if len(word) > MOST_WORDS:
        raise ValueError(word)
    return ast.literal_eval(word)


def _whole(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(value)
    return value


def class_names(value: Any) -> dict[int, str] | None:
    """Names by class, as files say them: a list, or by number; None for none.

    Raises:
        ValueError, AttributeError: anything else.
    """
    if value is None:
        return None
    names = dict(enumerate(value)) if isinstance(value, list) else {int(k): v for k, v in value.items()}
    if not 0 < len(names) <= MOST_CLASSES or sorted(names) != list(range(len(names))):
        raise ValueError(value)
    if not all(isinstance(word, str | int | float) and len(str(word)) <= 200 for word in names.values()):
        raise ValueError(value)
    return {number: str(names[number]) for number in range(len(names))}


def _pair(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    height, width = (value, value) if isinstance(value, int) else value
    return _whole(height, *SIDES), _whole(width, *SIDES)


def check_size(path: Path, size: tuple[int, int] | None, batch: int | None) -> None:
    if size is not None and not all(SIDES[0] <= side <= SIDES[1] for side in size):
        raise WeightsError(f"{path}: takes pictures of {size[1]}x{size[0]}; expected sides of {SIDES[0]} to {SIDES[1]}")
    if batch is not None and batch > MOST_PICTURES:
        raise WeightsError(f"{path}: takes {batch:,} pictures at once; expected {MOST_PICTURES} at most")


def check_channels(path: Path, facts: Facts, task: str, outputs: list[list[Any]]) -> None:
    """Each box has as many numbers as the file's own task and classes ask for."""
    table = next((sides for sides in outputs if len(sides) == 3), None)
    masks = next((sides[1] for sides in outputs if len(sides) == 4), 0)
    more = {"detect": 0, "segment": masks, "pose": facts.keypoints, "obb": 1}[task]
    if table is None:
        raise WeightsError(f"{path}: says that its task is {task!r}, but has no table of boxes among its outputs")
    classes = len(facts.names or ())
    if isinstance(table[1], int) and isinstance(more, int) and table[1] != 4 + classes + more:
        raise WeightsError(
            f"{path}: says that its task is {task!r} with {classes} classes, which takes {4 + classes + more} "
            f"numbers a box, but its output {table} has {table[1]}; damaged, or changed after its export"
        )


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(words)
