"""The tracklets that are learned from: crops in memory, with what is certain about who is who."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid.calibration.stream import Boxes, seen_together
from reid.data.crops import read_crops, resize
from reid.data.cropset import images_in
from reid.errors import DataError

MOST_CROPS = 16
"""Of a tracklet, spread over its time: neighbouring pictures teach little."""
FEWEST_CROPS = 2
"""A tracklet of one crop says nothing of what stays the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracklets:
    """T tracklets with N crops.

    Attributes:
        crops: ``(N, 3, H, W)`` uint8 RGB.
        tracklet: ``(N,)`` int64, rising, whose each is; those of one in the order of time.
        camera: ``(T,)`` int64.
        apart: ``(T, T)`` which are two people: seen at once by one camera.
        certain: whether that is known from what was seen; else it is taken for granted of all tracklets of a camera.
        name: ``(T,)`` for people.
        span: ``(T, 2)`` seconds on the clock of the cameras, NaN where unknown.
    """

    crops: Tensor
    tracklet: NDArray[np.int64]
    camera: NDArray[np.int64]
    apart: NDArray[np.bool_]
    certain: bool
    name: tuple[str, ...]
    span: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.camera)

    @property
    def groups(self) -> list[NDArray[np.int64]]:
        """Rows of the crops of each."""
        return np.split(np.arange(len(self.tracklet)), np.flatnonzero(np.diff(self.tracklet)) + 1)

    def take(self, chosen: NDArray[np.int64]) -> Tracklets:
        """Some of them, by their numbers."""
        groups = self.groups
        rows = np.concatenate([groups[i] for i in chosen.tolist()]) if len(chosen) else np.empty(0, np.int64)
        return Tracklets(
            self.crops[torch.from_numpy(rows)],
            np.repeat(np.arange(len(chosen)), [len(groups[i]) for i in chosen.tolist()]),
            self.camera[chosen],
            self.apart[np.ix_(chosen, chosen)],
            self.certain,
            tuple(self.name[i] for i in chosen.tolist()),
            self.span[chosen],
        )


def read_folder(folder: Path, size: tuple[int, int]) -> Tracklets:
    """Tracklets as folders of crops, ``CAMERA/TRACKLET/anything.jpg``, the names in the order of time.

    Two tracklets of one camera are taken for two people, since a folder does not say who was seen at once; a person
    whom a camera sees twice is then pushed apart from himself, which is why a run knows better.

    Raises:
        DataError: no such folder, or laid out otherwise.
    """
    found: dict[tuple[str, str], list[Path]] = {}
    for path in images_in(folder):
        parts = path.relative_to(folder).parts
        if len(parts) != 3:
            raise DataError(f"{path}: expected CAMERA/TRACKLET/crop.jpg below {folder}")
        found.setdefault((parts[0], parts[1]), []).append(path)
    kept = {key: spread(paths) for key, paths in found.items() if len(paths) >= FEWEST_CROPS}
    if not kept:
        raise DataError(f"{folder}: no tracklet of at least {FEWEST_CROPS} crops")
    cameras = sorted({camera for camera, _ in kept})
    camera = np.array([cameras.index(c) for c, _ in kept], np.int64)
    apart = camera[:, None] == camera[None]
    np.fill_diagonal(apart, False)
    return Tracklets(
        crops=read_crops([path for paths in kept.values() for path in paths], size),
        tracklet=np.repeat(np.arange(len(kept)), [len(paths) for paths in kept.values()]),
        camera=camera,
        apart=apart,
        certain=False,
        name=tuple(f"{c}/{t}" for c, t in kept),
        span=np.full((len(kept), 2), np.nan),
    )


def spread(things: list[Path]) -> list[Path]:
    """At most `MOST_CROPS`, evenly."""
    if len(things) <= MOST_CROPS:
        return things
    return [things[i] for i in np.linspace(0, len(things) - 1, MOST_CROPS).round().astype(int)]


def of_boxes(
    boxes: Boxes,
    rows: NDArray[np.int64],
    pictures: Iterable[tuple[NDArray[np.uint8], NDArray[np.int64]]],
    size: tuple[int, int],
    *,
    name: str,
) -> Tracklets:
    """Tracklets of one camera, cut from its pictures.

    Args:
        boxes: of its tracks.
        rows: which are taken, `reid.calibration.stream.worth_looking`.
        pictures: BGR images, each with the places of its boxes among `rows`.
        size: height and width of the crops.
        name: of the camera.

    Raises:
        DataError: no track of at least two boxes.
    """
    cut = torch.zeros((len(rows), 3, *size), dtype=torch.uint8)
    for image, places in pictures:
        limit = np.array([image.shape[1], image.shape[0]] * 2)
        for place, box in zip(places, np.clip(boxes.xyxy[rows[places]], 0, limit).round().astype(int), strict=True):
            left, top, right, bottom = box.tolist()
            crop = image[top : max(bottom, top + 1), left : max(right, left + 1)]
            if crop.size:
                cut[place] = torch.from_numpy(resize(crop, size)[:, :, ::-1].transpose(2, 0, 1).copy())
    tracks, together = seen_together(boxes)
    order = np.lexsort((boxes.time[rows], boxes.track[rows]))
    of = np.searchsorted(tracks, boxes.track[rows][order])
    kept = np.flatnonzero(np.bincount(of, minlength=len(tracks)) >= FEWEST_CROPS)
    if not len(kept):
        raise DataError(f"{name}: no track of at least {FEWEST_CROPS} boxes")
    some = np.isin(of, kept)
    begin, end = (np.array([f(boxes.time[boxes.track == t]) for t in tracks[kept]]) for f in (np.min, np.max))
    return Tracklets(
        crops=cut[torch.from_numpy(order[some])],
        tracklet=np.searchsorted(kept, of[some]),
        camera=np.zeros(len(kept), np.int64),
        apart=together[np.ix_(kept, kept)],
        certain=True,
        name=tuple(f"{name}/{track}" for track in tracks[kept].tolist()),
        span=np.stack([begin, end], 1),
    )


def joined(parts: Sequence[Tracklets]) -> Tracklets:
    """Of several sources, whose cameras are different ones."""
    cameras = np.cumsum([0, *(int(part.camera.max(initial=-1)) + 1 for part in parts)])
    before = np.cumsum([0, *map(len, parts)])
    apart = np.zeros((before[-1], before[-1]), bool)
    for part, first in zip(parts, before[:-1].tolist(), strict=True):
        apart[first : first + len(part), first : first + len(part)] = part.apart
    return Tracklets(
        torch.cat([part.crops for part in parts]),
        np.concatenate([part.tracklet + first for part, first in zip(parts, before[:-1].tolist(), strict=True)]),
        np.concatenate([part.camera + first for part, first in zip(parts, cameras[:-1].tolist(), strict=True)]),
        apart,
        all(part.certain for part in parts),
        tuple(name for part in parts for name in part.name),
        np.concatenate([part.span for part in parts]),
    )
