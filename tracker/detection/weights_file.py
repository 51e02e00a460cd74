"""Weights files of detectors: plain tensors beside what is needed to use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reid.runtime import sha256
from reid.weights_file import cut, read_metadata
from tracker.errors import WeightsError

FORMAT = "reacquire-detector/1"
ARCHITECTURES = {
    f"{family}{scale}.yaml": (f"{folder}/{family}.yaml", scale)
    for family, folder in (("yolov8", "v8"), ("yolo11", "11"), ("yolo12", "12"))
    for scale in "nsmlx"
}
"""Names of architectures that the network can be of: Ultralytics' file, and the scale in it. A name that is not among
them is refused: it could be the path of a file, which is evaluated when the network is built."""
MOST_CLASSES = 10_000


@dataclass(frozen=True, slots=True)
class DetectorFile:
    """What a weights file says of itself.

    Attributes:
        path: of the file.
        sha256: of its content.
        architecture: one of `ARCHITECTURES`.
        class_names: by class id.
        image_size: long side in pixels that it was made for.
        score: from which a box counts, where nothing else is asked for.
    """

    path: Path
    sha256: str
    architecture: str
    class_names: dict[int, str]
    image_size: int
    score: float


def read_about(path: Path) -> DetectorFile:
    """What a safetensors file of ours is, without its tensors; nothing in it can run.

    Raises:
        WeightsError: missing, damaged, or written for something else; names the fact that is not understood.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    about = read_metadata(path)
    if about.get("format") != FORMAT:
        raise WeightsError(f"{path}: expected weights of format {FORMAT!r}, got {cut(about.get('format'))!r}")
    name = ""
    try:
        values: dict[str, Any] = {}
        for name, read in _FACTS.items():
            values[name] = read(about[name])
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path}: {name!r} is missing or not understood: {cut(about.get(name))!r}") from error
    return DetectorFile(path=path, sha256=sha256(path), **values)


def _architecture(text: str) -> str:
    if text not in ARCHITECTURES:
        raise ValueError(text)
    return text


def _class_names(text: str) -> dict[int, str]:
    names = {int(number): name for number, name in json.loads(text).items()}
    if not 0 < len(names) <= MOST_CLASSES or sorted(names) != list(range(len(names))):
        raise ValueError(text)
    if not all(isinstance(name, str) and 0 < len(name) <= 200 for name in names.values()):
        raise ValueError(text)
    return names


def _image_size(text: str) -> int:
    size = int(text)
    if not 32 <= size <= 8192:
        raise ValueError(text)
    return size


def _score(text: str) -> float:
    score = float(text)
    if not 0 <= score <= 1:
        raise ValueError(text)
    return score


_FACTS: dict[str, Callable[[str], Any]] = {
    "architecture": _architecture,
    "class_names": _class_names,
    "image_size": _image_size,
    "score": _score,
}
