"""The training data in one file: encoded pictures and cut-out people, boxes, where each comes from; data only."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]


@dataclass(frozen=True)
class Picture:
    """A picture as stored.

    Attributes:
        encoded: bytes of a JPEG or WebP file.
        boxes: ``(N, 4)`` corners in pixels.
        name: file stem.
        source: data set it is of; "video" for frames that only the teacher has labelled, added by us.
        validation: held out.
        true: labels drawn by people, not by a teacher.
    """

    encoded: bytes
    boxes: Boxes
    name: str
    source: str
    validation: bool
    true: bool


def write(path: Path, pictures: Sequence[Picture], cutouts: Sequence[bytes]) -> None:
    """One `.npz` without compression (its content is compressed) and without pickles."""
    np.savez(
        path,
        picture_bytes=_joined([p.encoded for p in pictures]),
        picture_ends=_ends([len(p.encoded) for p in pictures]),
        boxes=np.concatenate([p.boxes for p in pictures]).astype(np.float32),
        box_ends=_ends([len(p.boxes) for p in pictures]),
        name=np.array([p.name for p in pictures]),
        source=np.array([p.source for p in pictures]),
        validation=np.array([p.validation for p in pictures]),
        true=np.array([p.true for p in pictures]),
        cutout_bytes=_joined(cutouts),
        cutout_ends=_ends([len(c) for c in cutouts]),
    )


def read(path: Path) -> tuple[list[Picture], list[bytes]]:
    """Pictures and cut-outs of a file that :func:`write` made."""
    with np.load(path, allow_pickle=False) as file:
        pictures = [
            Picture(encoded.tobytes(), boxes, str(name), str(source), bool(validation), bool(true))
            for encoded, boxes, name, source, validation, true in zip(
                np.split(file["picture_bytes"], file["picture_ends"][:-1]),
                np.split(file["boxes"], file["box_ends"][:-1]),
                *(file[key] for key in ("name", "source", "validation", "true")),
                strict=True,
            )
        ]
        ends = file["cutout_ends"]
        cutouts = [part.tobytes() for part in np.split(file["cutout_bytes"], ends[:-1])] if len(ends) else []
    return pictures, cutouts


def decode(encoded: Sequence[bytes]) -> list[Image]:
    """Pixels of each, RGB or, where there is transparency, RGBA."""

    def one(data: bytes) -> Image:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise ValueError("a picture of the pack cannot be decoded: make the pack again")
        order = cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGB
        return np.asarray(cv2.cvtColor(image, order), np.uint8)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, encoded))


def _joined(parts: Sequence[bytes]) -> Image:
    return np.frombuffer(b"".join(parts), np.uint8)


def _ends(lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.cumsum(lengths, dtype=np.int64)
