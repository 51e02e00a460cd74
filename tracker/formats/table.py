"""What all formats have in common: the boxes of one sequence, with ids, as columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
class Origin:
    """The file that rows come from, for messages.

    Attributes:
        path: of the file.
        place: what a message calls a row of it, by its number from 0 in the file's order: "line 7".
    """

    path: Path
    place: Callable[[int], str]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Boxes with ids of one sequence, in columns, sorted by frame and id: what is read, scored, joined and written.

    Made by `make_table`, which checks it.

    Attributes:
        frame: ``(N,)`` from 0.
        id: ``(N,)`` at least 0, at most once in a frame; -1 for regions without identity (KITTI's DontCare).
        xyxy: ``(N, 4)`` pixels, with area.
        score: ``(N,)`` confidence, or ground truth's flag; 1 where a format has none.
        label: ``(N,)`` index into `labels`.
        predicted: ``(N,)`` whether nobody saw this box, and it is where somebody was expected.
        filled: ``(N,)`` whether nobody saw this box, and it was put into a gap.
        row: ``(N,)`` number of the row in the file's order, from 0.
        visibility: ``(N,)`` visible share in 0–1, -1 where unknown; None where no row's is known.
        truncated: ``(N,)`` how much is cut off by the picture's border, as KITTI has it; -1 where unknown,
            None where no row's is known.
        occluded: ``(N,)`` 0 visible, 1 partly, 2 largely hidden, 3 unclear; -1 where unknown, None where no row's
            is known.
        time: ``(N,)`` seconds; None where the format has none.
        name: of the sequence.
        labels: names of classes.
        class_ids: numbers of the classes as the detector has them, -1 where unknown.
        length: frames of the sequence, 0 where unknown.
        size: width and height of the pictures, zeros where unknown.
        rate: frames a second, 0 where unknown.
        origin: the file that the rows come from; None where they were made.
    """

    frame: NDArray[np.int64]
    id: NDArray[np.int64]
    xyxy: NDArray[np.float64]
    score: NDArray[np.float64]
    label: NDArray[np.int64]
    predicted: NDArray[np.bool_]
    filled: NDArray[np.bool_]
    row: NDArray[np.int64]
    visibility: NDArray[np.float64] | None = None
    truncated: NDArray[np.int64] | None = None
    occluded: NDArray[np.int64] | None = None
    time: NDArray[np.float64] | None = None
    name: str = ""
    labels: tuple[str, ...] = (OBJECT,)
    class_ids: tuple[int, ...] = (UNKNOWN,)
    length: int = 0
    size: tuple[int, int] = (0, 0)
    rate: float = 0.0
    origin: Origin | None = None

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

    @property
    def frames(self) -> int:
        """Frames of the sequence, up to the last box where its length is unknown."""
        return self.length or (int(self.frame.max()) + 1 if len(self) else 0)

    def take(self, rows: NDArray[Any]) -> Table:
        """Chosen rows, by number in the order given, or by a mask."""
        columns = {name: getattr(self, name) for name in COLUMNS}
        return replace(self, **{name: v[rows] for name, v in columns.items() if v is not None})

    def in_file_order(self) -> Table:
        """Sorted by frame, and in a frame as the rows came: that decides ties when they are scored."""
        return self.take(np.lexsort((self.row, self.frame)))

    def offsets(self, length: int) -> NDArray[np.int64]:
        """``(length + 1,)``: the rows of frame `f` are `offsets[f]` up to but without `offsets[f + 1]`."""
        return np.searchsorted(self.frame, np.arange(length + 1)).astype(np.int64)

    def is_labelled(self, wanted: Callable[[str], bool]) -> NDArray[np.bool_]:
        """``(N,)`` whether the name of each row's class is one that is wanted."""
        return np.array([wanted(label) for label in self.labels], np.bool_)[self.label]

    def refuse(self, rows: ArrayLike, reason: str) -> None:
        """Nothing if no row is bad.

        Raises:
            DataError: some are; names the file and the first one's place in it.
        """
        bad = np.asarray(rows, bool)
        if not bad.any():
            return
        row = int(self.row[bad].min())
        if self.origin is None:
            raise DataError(f"{self.name}, row {row + 1}: {reason}")
        raise DataError(f"{self.origin.path}, {self.origin.place(row)}: {reason}")


COLUMNS = (
    *("frame", "id", "xyxy", "score", "label", "predicted", "filled", "row"),
    *("visibility", "truncated", "occluded", "time"),
)
"""Attributes of a table that have a value a row; the last four may be None."""


def concatenated(first: Table, second: Table) -> Table:
    """The rows of both, and all else of the first; a column that one of them lacks is left out."""
    pairs = {name: (getattr(first, name), getattr(second, name)) for name in COLUMNS}
    joined: dict[str, Any] = {
        n: None if a is None or b is None else np.concatenate([a, b]) for n, (a, b) in pairs.items()
    }
    return in_order(replace(first, **joined))


def in_order(table: Table) -> Table:
    """Sorted by frame and id."""
    return table.take(np.lexsort((table.id, table.frame)))


@dataclass(slots=True)
class Notes:
    """What a conversion could not carry over, or left out; each said once."""

    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        """Say it, unless it has been said."""
        if line not in self.lines:
            self.lines.append(line)


def make_table(
    path: Path | None = None,
    name: str = "",
    *,
    frame: ArrayLike,
    id: ArrayLike,  # noqa: A002  # the column's name
    xyxy: ArrayLike,
    label: list[str] | NDArray[np.int64] | None = None,
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
        path: of the file, for messages; None where there is none.
        name: of the sequence; the file's where it is empty.
        frame, id, xyxy: as in `Table`.
        label: the name of each row's class, or its place in `labels`; all are "object" without it.
        labels: names of classes that stand first, also where no row has them.
        where: how a message names each row ("line 7"), or what gives its line; its number without it.
        per_class: whether two classes may have the same id in a frame, as in KITTI.
        length, size, rate: as in `Table`.
        columns: score, visibility, truncated, occluded, time, predicted and filled, where the format has them.
        class_ids: numbers of classes by their names, where the format has them.

    Raises:
        DataError: columns of other lengths, or a value that cannot be; names file, row and reason.
    """
    name = name or (path.stem if path else "tracks")
    what = str(path) if path else name
    frames, ids = np.asarray(frame, np.float64).reshape(-1), np.asarray(id, np.float64).reshape(-1)
    corners = np.asarray(xyxy, np.float64).reshape(-1, 4) + 0.0  # so that no zero is negative
    rest = {key: np.asarray(values, np.float64) for key, values in (columns or {}).items()}
    known, numbers = _classes(what, label, labels, len(frames))
    lengths = {"frame": len(frames), "id": len(ids), "xyxy": len(corners), "label": len(numbers)}
    lengths |= {key: len(values) for key, values in rest.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{what}: columns have different lengths: {lengths}")
    _check_names(what, {name, *known})
    table = Table(
        frame=frames,  # type: ignore[arg-type]  # made whole below, when it is known that they are
        id=ids,  # type: ignore[arg-type]
        xyxy=corners,
        score=rest.get("score", np.ones(len(frames))),
        label=numbers,
        predicted=rest.get("predicted", np.zeros(len(frames))).astype(np.bool_),
        filled=rest.get("filled", np.zeros(len(frames))).astype(np.bool_),
        row=np.arange(len(frames)),
        visibility=_known(rest, "visibility", np.float64),
        truncated=_known(rest, "truncated", np.int64),
        occluded=_known(rest, "occluded", np.int64),
        time=rest.get("time"),
        name=name,
        labels=known,
        class_ids=tuple((class_ids or {}).get(word, UNKNOWN) for word in known),
        length=length,
        size=size,
        rate=rate,
        origin=Origin(path, _place(where)) if path else None,
    )
    _check_rows(table, rest, per_class=per_class)
    return in_order(replace(table, frame=frames.astype(np.int64), id=ids.astype(np.int64)))


def _place(where: list[str] | Callable[[int], int] | None) -> Callable[[int], str]:
    if where is None:
        return lambda row: f"row {row + 1}"
    return (lambda row: f"line {where(row)}") if callable(where) else where.__getitem__


def _known(rest: Mapping[str, NDArray[np.float64]], key: str, kind: type) -> Any:
    """A column of which something is known."""
    values = rest.get(key)
    with np.errstate(invalid="ignore"):  # what is no number is refused later
        return None if values is None or (values == UNKNOWN).all() else values.astype(kind)


def _classes(
    what: str, label: list[str] | NDArray[np.int64] | None, labels: tuple[str, ...], rows: int
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names of the classes, and the place of each row's among them."""
    if isinstance(label, np.ndarray):
        return labels or (OBJECT,), label.astype(np.int64)
    names = label if label is not None else [OBJECT] * rows
    known = tuple(dict.fromkeys([*labels, *names])) or (OBJECT,)
    index = {known_name: i for i, known_name in enumerate(known)}
    return known, np.array([index[n] for n in names], np.int64)


def _check_names(what: str, words: set[str]) -> None:
    for word in words:
        # Names of files that are not Unicode keep their bytes so (PEP 383).
        if not re.sub("[\udc80-\udcff]", "?", word).isprintable() or not word:
            raise DataError(f"{what}: {word[:40]!r} is no name for a class or a sequence")


def _check_rows(table: Table, rest: Mapping[str, NDArray[np.float64]], *, per_class: bool) -> None:
    """Refuse values that cannot be.

    Raises:
        DataError: names file, row and reason.
    """
    frames, ids, corners = table.frame, table.id, table.xyxy
    with np.errstate(invalid="ignore"):
        table.refuse(
            ~((frames >= 0) & (frames < MOST_FRAMES) & (frames == np.floor(frames))), "the frame is no whole number"
        )
        table.refuse(~((ids >= -1) & (ids < LARGEST) & (ids == np.floor(ids))), "the id is no whole number above -1")
        table.refuse(~np.isfinite(corners).all(1), "a corner of the box is NaN or infinite")
        table.refuse(~has_area(corners), "the box has no area")
        table.refuse((np.abs(corners) > FARTHEST).any(1), f"the box is more than {FARTHEST:,.0f} pixels away")
        for key, values in rest.items():
            table.refuse(~(np.abs(values) < LARGEST), f"{key} is no number that it can be")
    if not 0 <= table.length <= MOST_FRAMES:
        what = table.origin.path if table.origin else table.name
        raise DataError(f"{what}: a sequence of {table.length:,} frames cannot be")
    if table.length:
        table.refuse(frames >= table.length, f"the sequence has only {table.length} frames")
    again = repeated(frames, ids, table.label) if per_class else repeated(frames, ids)
    table.refuse(again & (ids != -1), "its id is in its frame twice")


def rounded(table: Table) -> Table:
    """A run's table with as many digits as a run writes into text: hundredths of a pixel, microseconds."""
    time = None if table.time is None else table.time.round(6)
    return replace(table, xyxy=table.xyxy.round(2), score=table.score.round(4), time=time)


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


def write_text(path: Path, text: str) -> None:
    """A text file, as `write_whole` writes it; line ends are those of the text on every system.

    Raises:
        ReacquireError: it cannot be written; says why.
    """
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8", newline="\n"))


def only_one(tables: list[Table], path: Path) -> Table:
    """The one table that a single file takes.

    Raises:
        DataError: there are several, or none.
    """
    if len(tables) != 1:
        raise DataError(f"{path}: one file takes one sequence, and there are {len(tables)}: give a folder")
    return tables[0]
