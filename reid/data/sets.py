"""Readers of data sets, each to a `CropSet`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.errors import DataError

IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


@dataclass(frozen=True, slots=True, eq=False)
class CropSet:
    """Crops with their identities and cameras.

    Attributes:
        paths: N files.
        identity: ``(N,)`` int64; -1 is junk, 0 a distractor in Market-1501's convention.
        camera: ``(N,)`` int64, 0-based; -1 where unknown.
    """

    paths: tuple[Path, ...]
    identity: NDArray[np.int64]
    camera: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paths)


def images_in(folder: Path) -> list[Path]:
    """All images below a folder, sorted.

    Raises:
        DataError: no folder, or none in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGES)
    if not found:
        raise DataError(f"{folder}: no images in it (looked for {', '.join(sorted(IMAGES))})")
    return found


def _by_name(folder: Path, pattern: str, example: str) -> CropSet:
    paths = images_in(folder)
    identity, camera = [], []
    for path in paths:
        match = re.match(pattern, path.name)
        if match is None:
            raise DataError(f"{path}: expected a name like {example}")
        identity.append(int(match["identity"]))
        camera.append(int(match["camera"]) - 1)
    return CropSet(tuple(paths), np.array(identity, np.int64), np.array(camera, np.int64))


def market1501(folder: str | Path) -> CropSet:
    """Market-1501 names, ``0002_c1s1_000451_03.jpg``: identity, camera; -1 is junk, 0000 a distractor."""
    return _by_name(Path(folder), r"(?P<identity>-?\d+)_c(?P<camera>\d+)", "0002_c1s1_000451_03.jpg")


def folders(folder: str | Path) -> CropSet:
    """A plain folder of crops, ``identity/anything.jpg``; a camera is read from ``_c3`` in the name if there.

    An identity's number comes from its folder's name alone, so that query and gallery agree on it.
    """
    root = Path(folder)
    paths = images_in(root)
    names = [p.relative_to(root).parts[0] if p.parent != root else "" for p in paths]
    if "" in names:
        raise DataError(f"{paths[names.index('')]}: expected one folder an identity, as identity/crop.jpg")
    index = {name: _number(name) for name in set(names)}
    cameras = [re.search(r"_c(\d+)", p.name) for p in paths]
    return CropSet(
        tuple(paths),
        np.array([index[name] for name in names], np.int64),
        np.array([int(m[1]) - 1 if m else -1 for m in cameras], np.int64),
    )


def _number(name: str) -> int:
    """Above 0, and as good as never the same for two names."""
    return 1 + int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest(), "big")


READERS: dict[str, Callable[[str | Path], CropSet]] = {
    "market1501": market1501,
    "cuhk03": market1501,
    "folders": folders,
}


def together(sets: Sequence[CropSet]) -> CropSet:
    """Several sets as one for training: junk and distractors left out, identities kept apart, from 0 up."""
    paths: list[Path] = []
    identity: list[NDArray[np.int64]] = []
    camera: list[NDArray[np.int64]] = []
    identities = cameras = 0
    for crops in sets:
        known = np.flatnonzero(crops.identity >= 0)
        names, numbers = np.unique(crops.identity[known], return_inverse=True)
        paths += [crops.paths[i] for i in known]
        identity.append(numbers + identities)
        camera.append(crops.camera[known] + cameras)
        identities += len(names)
        cameras += int(crops.camera.max(initial=0)) + 1
    return CropSet(tuple(paths), np.concatenate(identity), np.concatenate(camera))
