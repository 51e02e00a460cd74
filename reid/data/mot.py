"""Crops from the ground truth of MOTChallenge sequences, cut once into a cache."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.data.cropset import CropSet, contents, images_in
from reid.errors import ConfigError, DataError
from reid.runtime import cache_folder

SMALLEST = 8
"""Pixels; narrower or lower boxes show nothing."""
CUT = 2
"""Of the way crops are cut; another one makes them anew."""


@dataclass(frozen=True, slots=True, eq=False)
class TrueBoxes:
    """The people in a sequence, as whoever reads its files gives them.

    Attributes:
        images: folder of the frames, whose names are numbers from 1.
        frame: ``(N,)`` int64, from 0.
        id: ``(N,)`` int64.
        xyxy: ``(N, 4)`` float64, pixels.
        visibility: ``(N,)`` visible share in 0–1, 1 where unknown.
    """

    images: Path
    frame: NDArray[np.int64]
    id: NDArray[np.int64]
    xyxy: NDArray[np.float64]
    visibility: NDArray[np.float64]


def mot(
    folder: str | Path,
    *,
    read: Callable[[Path], TrueBoxes] | None = None,
    every: int = 5,
    visibility: float = 0.3,
) -> CropSet:
    """Crops of the people in a MOT sequence, or in all sequences of a folder; ids are kept apart by sequence.

    One in `every` frames of each id, for neighbouring frames look alike. The camera is unknown (-1): an id lives in one
    sequence, and to ignore matches of one camera would leave none.

    Args:
        folder: of `gt/gt.txt` and the frames, or of several such folders.
        read: gives the people of a sequence's folder; this package reads no files of tracks.
        every: frames from one crop of an id to the next, at least.
        visibility: least visible share, in 0–1.

    Raises:
        ConfigError: nothing to read sequences with.
        DataError: what was expected on disk; frames that are not there.
    """
    if read is None:
        raise ConfigError("MOT sequences are read by the command line, `reacquire reid`; in Python give mot(…, read=…)")
    root = Path(folder)
    if (root / "gt" / "gt.txt").is_file():
        sequences = [root]
    else:
        expected = f"{root}: expected gt/gt.txt and img1/, or folders with them, found {contents(root)}"
        sequences = sorted(p.parent.parent for p in root.glob("*/gt/gt.txt"))
        if not sequences:
            raise DataError(expected)
    paths: list[Path] = []
    identity: list[int] = []
    for sequence in sequences:
        names: dict[str, int] = {}
        for crop in images_in(_cut(sequence, read, every, visibility)):
            paths.append(crop)
            identity.append(names.setdefault(crop.parent.name, max(identity, default=0) + 1))
    return CropSet(tuple(paths), np.array(identity, np.int64), np.full(len(paths), -1, np.int64))


def _cut(sequence: Path, read: Callable[[Path], TrueBoxes], every: int, visibility: float) -> Path:
    """The folder with the crops of a sequence, as ``id/frame.jpg``; made if it is not there yet."""
    truth = sequence / "gt" / "gt.txt"
    about = f"{sequence.resolve()} {every} {visibility} {CUT}"
    key = hashlib.sha256(truth.read_bytes() + about.encode()).hexdigest()
    cache = cache_folder() or Path(tempfile.gettempdir()) / "reacquire"
    whole = cache / "crops" / f"{sequence.name}-{key[:16]}"
    if whole.is_dir():
        return whole
    boxes = read(sequence)
    chosen = _chosen(boxes, every, visibility)
    if not len(chosen):
        raise DataError(f"{truth}: no box with flag 1 that is a visible person")
    whole.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=whole.parent))
    try:
        for frame, image in _frames(boxes.images, np.unique(boxes.frame[chosen])):
            _write_crops(partial, image, boxes, chosen[boxes.frame[chosen] == frame])
        images_in(partial)
        partial.replace(whole)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return whole


def _chosen(boxes: TrueBoxes, every: int, visibility: float) -> NDArray[np.int64]:
    """Rows to cut: of people large and visible enough, and per id one in so many frames."""
    large = (boxes.xyxy[:, 2:] - boxes.xyxy[:, :2] >= SMALLEST).all(1)
    usable = np.flatnonzero(large & (boxes.visibility >= visibility))
    last: dict[int, int] = {}
    kept = []
    for row in usable[np.lexsort((boxes.frame[usable], boxes.id[usable]))].tolist():
        frame, name = int(boxes.frame[row]), int(boxes.id[row])
        if name not in last or frame - last[name] >= every:
            kept.append(row)
            last[name] = frame
    return np.array(kept, np.int64)


def _frames(images: Path, wanted: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    pictures = {int(p.stem) - 1: p for p in images_in(images) if p.stem.isascii() and p.stem.isdigit()}
    for frame in wanted.tolist():
        if frame not in pictures:
            place = f"{images.name}/{frame + 1:06d}.jpg"
            raise DataError(f"{images.parent}: gt/gt.txt names frame {frame + 1}, but {place} is not there")
        image = cv2.imread(str(pictures[frame]))
        if image is None:
            raise DataError(f"{pictures[frame]}: not a readable image")
        yield frame, np.asarray(image, np.uint8)


def _write_crops(folder: Path, image: NDArray[np.uint8], boxes: TrueBoxes, rows: NDArray[np.int64]) -> None:
    height, width = image.shape[:2]
    for row in rows.tolist():
        x1, y1, x2, y2 = np.rint(boxes.xyxy[row]).astype(int).tolist()
        part = image[max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]
        if min(part.shape[:2]) >= SMALLEST:
            place = folder / f"{boxes.id[row]:06d}"
            place.mkdir(exist_ok=True)
            cv2.imwrite(str(place / f"{boxes.frame[row] + 1:06d}.jpg"), part, [cv2.IMWRITE_JPEG_QUALITY, 95])
