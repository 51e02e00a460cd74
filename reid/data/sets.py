"""Readers of data sets by name, each to a `CropSet`; several sets as one."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.data.cropset import IMAGES, CropSet, Split, images_in
from reid.data.mot import mot
from reid.data.published import cuhk03, dukemtmc, market1501, msmt17, veri776
from reid.errors import ConfigError, DataError

__all__ = ["IMAGES", "READERS", "CropSet", "Split", "concat", "folders", "images_in", "market1501", "read_set"]


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


READERS: dict[str, Callable[..., CropSet]] = {
    "market1501": market1501,
    "dukemtmc": dukemtmc,
    "msmt17": msmt17,
    "cuhk03": cuhk03,
    "veri776": veri776,
    "folders": folders,
    "mot": mot,
}
"""By the name of the format; each takes a folder, and what its signature says besides. The command line puts in its own
reader of MOT sequences, for this package reads no files of tracks."""


def read_set(data_format: str, folder: str | Path, role: Split | None = None, **options: Any) -> CropSet:
    """A data set by the name of its format.

    Args:
        data_format: one of `READERS`.
        folder: where.
        role: the split to take where the folder is the top of a published archive and the options name none.
        options: of the format's reader: split, every, visibility.

    Raises:
        ConfigError: no such format, or an option that it does not have.
        DataError: the folder does not hold what the format says; names what was expected.
    """
    if data_format not in READERS:
        raise ConfigError(f"data format {data_format!r} is unknown; there are: {', '.join(READERS)}")
    reader = READERS[data_format]
    able = inspect.signature(reader).parameters
    for name in options.keys() - able.keys():
        raise ConfigError(f"data format {data_format!r} has no setting {name!r}")
    if role and "split" in able:
        options.setdefault("split", role)
    return reader(folder, **options)


def concat(sets: Sequence[CropSet]) -> CropSet:
    """Several sets as one for training: junk and distractors left out, identities and cameras kept apart, from 0 up.

    An unknown camera stays unknown (-1).
    """
    paths: list[Path] = []
    identity: list[NDArray[np.int64]] = []
    camera: list[NDArray[np.int64]] = []
    identities = cameras = 0
    for crops in sets:
        known = np.flatnonzero(crops.identity > 0)
        names, numbers = np.unique(crops.identity[known], return_inverse=True)
        paths += [crops.paths[i] for i in known]
        identity.append(numbers + identities)
        seen = crops.camera[known]
        camera.append(np.where(seen < 0, -1, seen + cameras))
        identities += len(names)
        cameras += int(crops.camera.max(initial=-1)) + 1
    return CropSet(tuple(paths), np.concatenate(identity), np.concatenate(camera))
