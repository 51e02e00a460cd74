"""What all formats have in common: the boxes of one sequence, with ids, as columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid.files import replacing, writing
from tracker.errors import DataError
from tracker.formats.seqinfo import MOST_FRAMES

OBJECT = "object"
"""The label of what has none."""
UNKNOWN = -1
"""Stands for a visibility, a truncation or an occlusion that is not known."""
LARGEST = 2**53
"""Whole numbers below it are exact."""
FARTHEST = 10_000_000.0
"""Pixels from the picture's corner; beyond, a number is no place in it."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Boxes of one sequence, sorted by frame and id.

    Attributes:
        name: of the sequence.
        frame: ``(N,)`` from 0.
        id: ``(N,)`` at least 0, at most once in a frame; -1 for regions without identity (KITTI's DontCare).
        xyxy: ``(N, 4)`` pixels, with area.
        score: ``(N,)`` confidence, or ground truth's flag; 1 where a format has none.
        label: ``(N,)`` index into `labels`.
        visibility: ``(N,)`` visible share in 0–1, -1 where unknown.
        truncated: ``(N,)`` how much is cut off by the picture's border, as KITTI has it; -1 where unknown.
        occluded: ``(N,)`` 0 visible, 1 partly, 2 largely hidden, 3 unclear; -1 where unknown.
        time: ``(N,)`` seconds, NaN where unknown.
        predicted: ``(N,)`` whether nobody saw this box, and it is where somebody was expected.
        filled: ``(N,)`` whether nobody saw this box, and it was put into a gap.
        labels: names of classes.
        class_ids: numbers of the classes as the detector has them, -1 where unknown.
        length: frames of the sequence, 0 where unknown.
        size: width and height of the pictures, zeros where unknown.
        rate: frames a second, 0 where unknown.
    """

    name: str
    frame: NDArray[np.int64]
    id: NDArray[np.int64]
    xyxy: NDArray[np.float64]
    score: NDArray[np.float64]
    label: NDArray[np.int64]
    visibility: NDArray[np.float64]
    truncated: NDArray[np.int64]
    occluded: NDArray[np.int64]
    time: NDArray[np.float64]
    predicted: NDArray[np.bool_]
    filled: NDArray[np.bool_]
    labels: tuple[str, ...] = (OBJECT,)
    class_ids: tuple[int, ...] = (UNKNOWN,)
    length: int = 0
    size: tuple[int, int] = (0, 0)
    rate: float = 0.0

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def names(self) -> list[str]:
        """The class of each row."""
        return [self.labels[i] for i in self.label.tolist()]

    @property
    def ltwh(self) -> NDArray[np.float64]:
        """``(N, 4)`` left, top, width, height."""
        return np.concatenate([self.xyxy[:, :2], self.xyxy[:, 2:] - self.xyxy[:, :2]], axis=1)


@dataclass(slots=True)
class Notes:
    """What a conversion could not carry over, or left out; each said once."""

    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        """Say it, unless it has been said."""
        if line not in self.lines:
            self.lines.append(line)


def make_table(
    path: Path,
    name: str,
    *,
    frame: ArrayLike,
    id: ArrayLike,  # noqa: A002  # the column's name
    xyxy: ArrayLike,
    label: list[str] | None = None,
    labels: tuple[str, ...] = (),
    where: list[str] | Callable[[int], int] | None = None,
    per_class: bool = False,
    length: int = 0,
    size: tuple[int, int] = (0, 0),
    rate: float = 0.0,
    columns: Mapping[str, ArrayLike] | None = None,
    class_ids: Mapping[str, int] | None = None,
) -> Table:
    """A table of columns as a file had them, checked and sorted.

    Args:
        path: of the file, for messages.
        name: of the sequence.
        frame, id, xyxy: as in `Table`.
        label: the name of each row's class; all are "object" without it.
        labels: names of classes that stand first, also where no row has them.
        where: how a message names each row ("line 7"), or what gives its line; its number without it.
        per_class: whether two classes may have the same id in a frame, as in KITTI.
        length, size, rate: as in `Table`.
        columns: score, visibility, truncated, occluded, time, predicted and filled, where the format has them.
        class_ids: numbers of classes by their names, where the format has them.

    Raises:
        DataError: a value that cannot be; names file, row and reason.
    """
    frames, ids = np.asarray(frame, np.float64).reshape(-1), np.asarray(id, np.float64).reshape(-1)
    corners = np.asarray(xyxy, np.float64).reshape(-1, 4) + 0.0  # so that no zero is negative
    rest = {key: np.asarray(values, np.float64) for key, values in (columns or {}).items()}
    region = ids == -1

    def refuse(rows: ArrayLike, reason: str) -> None:
        bad = np.asarray(rows, bool)
        if bad.any():
            row = int(bad.argmax())
            place = f"row {row + 1}" if where is None else f"line {where(row)}" if callable(where) else where[row]
            raise DataError(f"{path}, {place}: {reason}")

    with np.errstate(invalid="ignore"):
        refuse(~((frames >= 0) & (frames < MOST_FRAMES) & (frames == np.floor(frames))), "the frame is no whole number")
        refuse(~((ids >= -1) & (ids < LARGEST) & (ids == np.floor(ids))), "the id is no whole number above -1")
        refuse(~np.isfinite(corners).all(1), "a corner of the box is NaN or infinite")
        refuse(~has_area(corners), "the box has no area")
        refuse((np.abs(corners) > FARTHEST).any(1), f"the box is more than {FARTHEST:,.0f} pixels away")
        for key, values in rest.items():
            refuse(~(np.abs(values) < LARGEST), f"{key} is no number that it can be")
    if not 0 <= length <= MOST_FRAMES:
        raise DataError(f"{path}: a sequence of {length:,} frames cannot be")
    if length:
        refuse(frames >= length, f"the sequence has only {length} frames")
    names = label if label is not None else [OBJECT] * len(frames)
    for word in {name, *names, *labels}:
        if not word.isprintable() or not word:
            raise DataError(f"{path}: {word[:40]!r} is no name for a class or a sequence")
    known = list(dict.fromkeys([*labels, *names])) or [OBJECT]
    index = {known_name: i for i, known_name in enumerate(known)}
    numbers = np.array([index[n] for n in names], np.int64)
    again = repeated(frames, ids, numbers) if per_class else repeated(frames, ids)
    refuse(again & ~region, "its id is in its frame twice")
    order = np.lexsort((ids, frames))

    def column(key: str, default: float, dtype: Any) -> Any:
        return rest.get(key, np.full(len(frames), default))[order].astype(dtype)

    return Table(
        name=name,
        frame=frames[order].astype(np.int64),
        id=ids[order].astype(np.int64),
        xyxy=corners[order],
        score=column("score", 1.0, np.float64),
        label=numbers[order],
        visibility=column("visibility", UNKNOWN, np.float64),
        truncated=column("truncated", UNKNOWN, np.int64),
        occluded=column("occluded", UNKNOWN, np.int64),
        time=column("time", np.nan, np.float64),
        predicted=column("predicted", 0, np.bool_),
        filled=column("filled", 0, np.bool_),
        labels=tuple(known),
        class_ids=tuple((class_ids or {}).get(name, UNKNOWN) for name in known),
        length=length,
        size=size,
        rate=rate,
    )


def has_area(corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """``(N,)`` whether boxes have any, also in single precision, in which they are tracked.

    Args:
        corners: ``(N, 4)``; one that is NaN or infinite has none.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        single = corners.astype(np.float32)
        return np.asarray((single[:, 2:] > single[:, :2]).all(1) & np.isfinite(single).all(1), np.bool_)


def repeated(*keys: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows whose keys an earlier row has had."""
    order = np.lexsort(keys[::-1])
    again = np.zeros(len(order), bool)
    if len(order):
        same = np.logical_and.reduce([np.diff(key[order]) == 0 for key in keys])
        again[order[1:][same]] = True
    return again


def file_name(table: Table) -> str:
    """The sequence's name, if it can be the name of a file.

    Raises:
        DataError: it would lead elsewhere.
    """
    if not table.name or table.name in (".", "..") or set(table.name) & set('/\\:\0\n"<>|?*'):
        raise DataError(f"sequence {table.name[:80]!r}: this name cannot be the name of a file; rename the sequence")
    return table.name


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """A file that appears under its name only when it is whole, in a folder that is made if need be.

    Raises:
        ReacquireError: it cannot be written; says why.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        write(partial)


def only_one(tables: list[Table], path: Path) -> Table:
    """The one table that a single file takes.

    Raises:
        DataError: there are several, or none.
    """
    if len(tables) != 1:
        raise DataError(f"{path}: one file takes one sequence, and there are {len(tables)}: give a folder")
    return tables[0]
