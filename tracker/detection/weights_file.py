"""Weights files of detectors: plain tensors beside what is needed to use them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import safetensors

from reid.runtime import sha256
from tracker.errors import WeightsError

FORMAT = "reacquire-detector/1"


@dataclass(frozen=True, slots=True)
class DetectorFile:
    """What a weights file says of itself.

    Attributes:
        path: of the file.
        sha256: of its content.
        architecture: name of Ultralytics' architecture file.
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
    """What a `.safetensors` file of ours is, without its tensors; nothing in it can run.

    Raises:
        WeightsError: missing, damaged, or written for something else.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged, or not a safetensors file ({error})") from error
    if about.get("format") != FORMAT:
        raise WeightsError(f"{path}: expected weights of format {FORMAT!r}, got {about.get('format')!r}")
    return DetectorFile(
        path=path,
        sha256=sha256(path),
        architecture=about["architecture"],
        class_names={int(k): v for k, v in json.loads(about["class_names"]).items()},
        image_size=int(about["image_size"]),
        score=float(about["score"]),
    )
