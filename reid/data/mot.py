"""Crops from the ground truth of MOTChallenge sequences, cut once into a cache."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.data.cropset import CropSet, contents, images_in
from reid.errors import DataError
from reid.runtime import cache_folder

COLUMNS = 7
"""Of a row that says enough: frame, id, left, top, width, height, flag."""
PEDESTRIAN = 1
SMALLEST = 8
"""Pixels; narrower or lower boxes show nothing."""


def mot(folder: str | Path, *, every: int = 5, visibility: float = 0.3) -> CropSet:
    """Crops of the people in a MOT sequence, or in all sequences of a folder; ids are kept apart by sequence.

    Boxes with flag 1 and, where the columns are there, of class 1 and visible enough; one in `every` frames of each
    id, for neighbouring frames look alike. The camera is unknown (-1): an id lives in one sequence, and to ignore
    matches of one camera would leave none.

    Args:
        folder: of `gt/gt.txt` and `img1/`, or of several such folders.
        every: frames from one crop of an id to the next, at least.
        visibility: least visible share, in 0–1.

    Raises:
        DataError: what was expected on disk; file and line of a row that is none.
    """
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
        for crop in images_in(_cut(sequence, every, visibility)):
            paths.append(crop)
            identity.append(names.setdefault(crop.parent.name, max(identity, default=0) + 1))
    return CropSet(tuple(paths), np.array(identity, np.int64), np.full(len(paths), -1, np.int64))


def _cut(sequence: Path, every: int, visibility: float) -> Path:
    """The folder with the crops of a sequence, as ``id/frame.jpg``; made if it is not there yet."""
    truth = sequence / "gt" / "gt.txt"
    key = hashlib.sha256(truth.read_bytes() + f"{sequence.resolve()} {every} {visibility}".encode()).hexdigest()
    cache = cache_folder() or Path(tempfile.gettempdir()) / "reacquire"
    whole = cache / "crops" / f"{sequence.name}-{key[:16]}"
    if whole.is_dir():
        return whole
    rows = _chosen(_rows(truth), every, visibility)
    if not len(rows):
        raise DataError(f"{truth}: no box with flag 1 that is a visible person")
    whole.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=whole.parent))
    try:
        for frame, image in _frames(sequence, np.unique(rows[:, 0]).astype(int)):
            _write_crops(partial, image, rows[rows[:, 0] == frame])
        images_in(partial)
        partial.replace(whole)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return whole


def _rows(truth: Path) -> NDArray[np.float64]:
    """``(N, 9)``: the columns of the file; class and visibility are -1 and 1 where it has none."""
    rows = []
    for number, line in enumerate(truth.read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = [float(v) for v in re.split(r"[,\s]+", line.strip().strip(","))]
        except ValueError:
            values = []
        if len(values) < COLUMNS:
            raise DataError(f"{truth}, line {number}: expected frame,id,left,top,width,height,flag,… got {line!r}")
        # MOT15 has world coordinates from column 8 on; nine columns are class and visibility.
        rows.append([*values[:COLUMNS], *(values[7:9] if len(values) == 9 else (-1.0, 1.0))])
    return np.array(rows, np.float64).reshape(-1, 9)


def _chosen(rows: NDArray[np.float64], every: int, visibility: float) -> NDArray[np.float64]:
    """Boxes to cut: of people, large and visible enough, and per id one in so many frames."""
    person = (rows[:, 7] == PEDESTRIAN) | (rows[:, 7] < 0)
    large = (rows[:, 4:6] >= SMALLEST).all(1)
    rows = rows[(rows[:, 6] == 1) & person & large & (rows[:, 8] >= visibility)]
    rows = rows[np.lexsort((rows[:, 0], rows[:, 1]))]
    last: dict[float, float] = {}
    kept = np.zeros(len(rows), bool)
    for i, (frame, name) in enumerate(rows[:, :2]):
        if frame - last.get(name, -np.inf) >= every:
            kept[i], last[name] = True, frame
    return rows[kept]


def _frames(sequence: Path, wanted: NDArray[np.int_]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    pictures = {int(p.stem): p for p in images_in(sequence / "img1") if p.stem.isdigit()}
    for frame in wanted.tolist():
        if frame not in pictures:
            raise DataError(f"{sequence}: gt/gt.txt names frame {frame}, but img1/{frame:06d}.jpg is not there")
        image = cv2.imread(str(pictures[frame]))
        if image is None:
            raise DataError(f"{pictures[frame]}: not a readable image")
        yield frame, np.asarray(image, np.uint8)


def _write_crops(folder: Path, image: NDArray[np.uint8], rows: NDArray[np.float64]) -> None:
    height, width = image.shape[:2]
    for frame, name, left, top, w, h in rows[:, :6]:
        # 1-based corners in the file.
        x, y = round(left - 1), round(top - 1)
        part = image[max(y, 0) : min(round(y + h), height), max(x, 0) : min(round(x + w), width)]
        if min(part.shape[:2]) >= SMALLEST:
            place = folder / f"{int(name):06d}"
            place.mkdir(exist_ok=True)
            cv2.imwrite(str(place / f"{int(frame):06d}.jpg"), part, [cv2.IMWRITE_JPEG_QUALITY, 95])
