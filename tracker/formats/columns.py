"""Tables in named columns, as Parquet, CSV and JSON Lines have them: the same columns, in other containers.

`frame` (from 0), `id`, `x1`, `y1`, `x2`, `y2` (pixels) must be there. `sequence` (the file's name where it is missing),
`timestamp` (seconds), `score`, `class_id`, `class`, `predicted`, `filled`, `visibility`, `truncated` and `occluded` are
read where they are there, and written where something is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracker.errors import DataError
from tracker.formats.table import COLUMNS, OBJECT, UNKNOWN, Table, make_table
from tracker.formats.text import NUMBER, SHOWN

BOX = ("x1", "y1", "x2", "y2")
SIZED_BOX = ("left", "top", "width", "height")
NUMBERS = {"score": "score", "visibility": "visibility", "truncated": "truncated", "occluded": "occluded"}
TIME, TIME_COLUMN = "timestamp", "time"
"""What a file calls the times, and what a table does."""
MARKS = ("predicted", "filled")
READ = ("sequence", "frame", TIME, "id", *BOX, *SIZED_BOX, "score", "class_id", "class", *MARKS, *list(NUMBERS)[1:])
"""Columns that are looked at; others are passed over."""
MOST_ROWS = 100_000_000
CARRIES = frozenset({*COLUMNS, "regions"})
"""What files with these columns have a place for, see `registry.lost`."""
TRUE, FALSE = ("true", "1", "1.0"), ("false", "0", "0.0", "")


def from_columns(
    path: Path,
    columns: pa.Table,
    *,
    known: Mapping[str, Mapping[str, Any]] | None = None,
    line: Callable[[int], int] | None = None,
) -> list[Table]:
    """The sequences of a table in columns.

    Args:
        path: of the file, for messages.
        columns: numbers as numbers or as text.
        known: what else is known of sequences, by name: labels, length, size and rate, in the file's order.
        line: the line of a row in the file, where it is a text.

    Raises:
        DataError: a column missing, twice or of the wrong kind, an empty place, or a value that cannot be.
    """
    names = columns.column_names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: column {twice[:SHOWN]!r} is there twice")
    box = BOX if any(name in names for name in BOX) else SIZED_BOX if "left" in names else BOX
    missing = [name for name in ("frame", "id", *box) if name not in names]
    if missing:
        there = ", ".join(name[:SHOWN] for name in names[:20])
        raise DataError(f"{path}: columns {', '.join(missing)} are missing; there are {there or 'none'}")
    reader = _Reader(path, columns, line)
    known = known or {}
    if "sequence" not in names:
        return [reader.table(path.stem, np.arange(len(columns)), box, known.get(path.stem, {}))]
    sequence = np.array(reader.texts("sequence"), object)
    order = list(dict.fromkeys([*known, *sequence.tolist()]))
    return [reader.table(name, np.flatnonzero(sequence == name), box, known.get(name, {})) for name in order]


class _Reader:
    """The columns of a file, each checked when it is asked for."""

    def __init__(self, path: Path, columns: pa.Table, line: Callable[[int], int] | None) -> None:
        self._path, self._columns, self._line = path, columns, line
        # Every sequence asks for all columns; they are converted once.
        self.texts, self.numbers, self.marks = cache(self._texts), cache(self._numbers), cache(self._marks)

    def _fail(self, name: str, row: int, reason: str) -> DataError:
        place = f"row {row + 1}" if self._line is None else f"line {self._line(row)}"
        return DataError(f"{self._path}, {place}: column {name} {reason}")

    def _texts(self, name: str) -> list[str]:
        """A column of words, or of numbers as words."""
        column = self._columns[name]
        if column.null_count:
            raise self._fail(name, int(np.argmax(np.asarray(column.is_null()))), "has an empty place")
        try:
            return [str(value) for value in column.to_pylist()]
        except UnicodeDecodeError:
            raise DataError(f"{self._path}: column {name} holds what is no text") from None

    def _numbers(self, name: str) -> np.ndarray[Any, Any]:
        """``(N,)`` a column of numbers, written as numbers or as text."""
        column = self._columns[name]
        if column.null_count:
            raise self._fail(name, int(np.argmax(np.asarray(column.is_null()))), "has an empty place")
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            bare = pc.utf8_trim_whitespace(column)
            right = np.asarray(pc.match_substring_regex(bare, f"^(?:{NUMBER.pattern})$", ignore_case=True), bool)
            if not right.all():
                row = int(np.argmin(right))
                raise self._fail(name, row, f"must hold numbers, got {str(column[row])[:SHOWN]!r}")
            return np.array([float(value) for value in bare.to_pylist()], np.float64)
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise DataError(f"{self._path}: column {name} must hold numbers, it holds {column.type}")
        return np.asarray(column.to_numpy(), np.float64)

    def _marks(self, name: str) -> np.ndarray[Any, Any]:
        """``(N,)`` a column of yes and no; an empty place is a no."""
        column = self._columns[name]
        if pa.types.is_boolean(column.type):
            return np.asarray(column.fill_null(False).to_numpy(), np.float64)
        words = [str(value).strip().lower() if value is not None else "" for value in column.to_pylist()]
        wrong = next((row for row, word in enumerate(words) if word not in TRUE + FALSE), None)
        if wrong is not None:
            raise self._fail(name, wrong, f"must hold true or false, got {words[wrong][:SHOWN]!r}")
        return np.array([word in TRUE for word in words], np.float64)

    def table(self, name: str, rows: np.ndarray[Any, Any], box: tuple[str, ...], known: Mapping[str, Any]) -> Table:
        """The rows of one sequence."""
        there = self._columns.column_names
        corners = np.stack([self.numbers(side)[rows] for side in box], axis=1)
        if box == SIZED_BOX:
            with np.errstate(over="ignore", invalid="ignore"):
                corners = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
        columns = {key: self.numbers(column)[rows] for column, key in NUMBERS.items() if column in there}
        columns |= {mark: self.marks(mark)[rows] for mark in MARKS if mark in there}
        if TIME in there:
            columns[TIME_COLUMN] = self.numbers(TIME)[rows]
        label, class_ids = self._labels(rows)
        line = self._line
        return make_table(
            self._path,
            name,
            frame=self.numbers("frame")[rows],
            id=self.numbers("id")[rows],
            xyxy=corners,
            label=label,
            labels=tuple(known.get("labels", ())),
            where=(lambda row: line(int(rows[row]))) if line else None,
            length=known.get("length", 0),
            size=known.get("size", (0, 0)),
            rate=known.get("rate", 0.0),
            columns=columns,
            class_ids=class_ids,
        )

    def _labels(self, rows: np.ndarray[Any, Any]) -> tuple[list[str] | None, dict[str, int]]:
        """The class of each row by name, and what number each has."""
        there = self._columns.column_names
        numbers = None
        if "class_id" in there:
            written = self.numbers("class_id")[rows]
            if not ((written == np.floor(written)) & (np.abs(written) < 2**31)).all():
                raise DataError(f"{self._path}: column class_id must hold whole numbers")
            numbers = written.astype(np.int64).tolist()
        if "class" in there:
            words = self.texts("class")
            label = [words[row] for row in rows.tolist()]
            return label, dict(reversed(list(zip(label, numbers, strict=True)))) if numbers else {}
        if numbers is None:
            return None, {}
        label = [OBJECT if number == UNKNOWN else str(number) for number in numbers]
        return label, dict(zip(label, numbers, strict=True))


def to_columns(tables: list[Table], path: Path) -> pa.Table:
    """Tables in one, with the columns of which something is known.

    Args:
        tables: of sequences.
        path: of the file that they go to; a single sequence that is called as it needs no column of its name.
    """
    arrays: dict[str, Any] = {}
    if len(tables) != 1 or tables[0].name != path.stem:
        arrays["sequence"] = pa.array([t.name for t in tables for _ in range(len(t))], pa.string())

    def joined(name: str, kind: type) -> np.ndarray[Any, Any]:
        values = ((getattr(t, name), len(t)) for t in tables)
        return np.concatenate(
            [np.empty(0, kind), *(np.full(n, UNKNOWN) if v is None else v for v, n in values)]
        ).astype(kind)

    def known(name: str) -> bool:
        return any(len(t) and getattr(t, name) is not None for t in tables)

    arrays["frame"] = joined("frame", np.int64)
    if known(TIME_COLUMN) and all(t.time is not None for t in tables):
        arrays[TIME] = joined(TIME_COLUMN, np.float64)
    arrays["id"] = joined("id", np.int64)
    corners = np.concatenate([np.empty((0, 4)), *(t.xyxy for t in tables)])
    arrays |= {name: corners[:, i] for i, name in enumerate(BOX)}
    arrays["score"] = joined("score", np.float64)
    class_id = np.concatenate([np.empty(0, np.int64), *(np.array(t.class_ids, np.int64)[t.label] for t in tables)])
    if (class_id != UNKNOWN).any():
        arrays["class_id"] = class_id
    arrays["class"] = pa.array([name for t in tables for name in t.names], pa.string())
    arrays |= {mark: values for mark in MARKS if (values := joined(mark, np.bool_)).any() or TIME in arrays}
    for name in ("visibility", "truncated", "occluded"):
        if known(name):
            arrays[name] = joined(name, np.float64 if name == "visibility" else np.int64)
    return pa.table(arrays)
