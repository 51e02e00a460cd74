"""A query and a gallery: what is looked for, and where."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.data.sets import CropSet, read_set
from reid.errors import DataError


def read_pair(data_format: str, query: Path, galleries: Sequence[Path]) -> tuple[CropSet, CropSet]:
    """Read both; several galleries are searched as one.

    In all of them the same number, or the same folder's name, is the same identity, and the same number the same
    camera.

    Args:
        data_format: one of `READERS`.
        query: folder of what is looked for.
        galleries: folders among which.

    Raises:
        ConfigError: no such format.
        DataError: a folder is missing or not as its format wants it; names it.
    """
    if not galleries:
        raise DataError("no gallery: give at least one folder")
    found = read_set(data_format, _real(query), "query")
    return found, joined([read_set(data_format, _real(folder), "gallery") for folder in galleries])


def _real(folder: Path) -> Path:
    """Without symbolic links; unlike `Path.resolve`, no error where they run in a circle."""
    return Path(os.path.realpath(folder))


def joined(sets: Sequence[CropSet]) -> CropSet:
    """Several sets as one, labels as they are."""
    return CropSet(
        tuple(path for crops in sets for path in crops.paths),
        np.concatenate([crops.identity for crops in sets]),
        np.concatenate([crops.camera for crops in sets]),
    )


def subset(crops: CropSet, rows: NDArray[np.int64]) -> CropSet:
    """Some of the crops."""
    return CropSet(tuple(crops.paths[i] for i in rows), crops.identity[rows], crops.camera[rows])


def that_are_looked_for(crops: CropSet) -> CropSet:
    """Without junk and distractors."""
    return subset(crops, np.flatnonzero(crops.identity > 0))


def that_may_be_found(crops: CropSet) -> CropSet:
    """Without junk; distractors stay."""
    return subset(crops, np.flatnonzero(crops.identity != -1))
