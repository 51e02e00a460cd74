"""Crops of a data set with their labels, and what its readers share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reid.errors import DataError

IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
Split = Literal["train", "query", "gallery"]


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

    def first(self, identities: int) -> CropSet:
        """The crops of the so many smallest identities; junk and distractors, below 1, stay."""
        known = np.unique(self.identity[self.identity > 0])[:identities]
        return self._of(np.isin(self.identity, known) | (self.identity < 1))

    def without(self, identities: int) -> CropSet:
        """The crops of all but the so many smallest identities; junk and distractors, below 1, stay."""
        known = np.unique(self.identity[self.identity > 0])[identities:]
        return self._of(np.isin(self.identity, known) | (self.identity < 1))

    def per_camera(self, crops: int) -> CropSet:
        """The first so many crops of every identity by every camera: queries, where a data set has none of its own."""
        pairs = np.stack([self.identity, self.camera], 1)
        _, group = np.unique(pairs, axis=0, return_inverse=True)
        order = np.argsort(group, kind="stable")
        starts = np.searchsorted(group[order], np.arange(len(order)))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order)) - starts[group[order]]
        return self._of(place < crops)

    def _of(self, chosen: NDArray[np.bool_]) -> CropSet:
        rows = np.flatnonzero(chosen)
        return CropSet(tuple(self.paths[i] for i in rows), self.identity[rows], self.camera[rows])


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


def by_name(paths: Sequence[Path], pattern: str, example: str) -> CropSet:
    """Identity and camera, counted from 1, from the names of files.

    Args:
        paths: of the crops.
        pattern: matched from the name's beginning, with groups `identity` and `camera`.
        example: of a name that fits, for the error.

    Raises:
        DataError: names the file that does not fit.
    """
    identity, camera = [], []
    for path in paths:
        match = re.match(pattern, path.name)
        if match is None:
            raise DataError(f"{path}: expected a name like {example}")
        identity.append(int(match["identity"]))
        camera.append(int(match["camera"]) - 1)
    return CropSet(tuple(paths), np.array(identity, np.int64), np.array(camera, np.int64))


def contents(folder: Path) -> str:
    """What a folder holds, in a few words, for errors.

    Raises:
        DataError: no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    names = sorted(p.name + "/" * p.is_dir() for p in folder.iterdir())
    return ", ".join(names[:5] + ["…"] * (len(names) > 5)) or "nothing"
