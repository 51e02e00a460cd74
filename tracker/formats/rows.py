"""Text files of numbers: read fast, and where something is wrong the line is named.

What people and their tools write is read: commas, spaces or tabs between the numbers, a byte-order mark, the line ends
of every system, blank lines, a header row, commas at the end of a row, `3.0` for 3. What would shift a column or guess
a value is refused: a missing number, a row of another length, a header whose columns are in another order, `1_000`,
digits that are not ASCII.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from pyarrow import csv

from tracker.errors import DataError
from tracker.formats.text import SHOWN, lines_of, number, read_bytes

MOST_COLUMNS = 100
BLANK = " \t"
WORD = re.compile(f"[^{BLANK}]+")
KNOWN_NAMES = {
    "frame": {"frame", "frameid", "frameno", "framenumber", "frameindex", "f"},
    "id": {"id", "trackid", "objectid", "targetid", "identity", "tid"},
    "left": {"left", "x", "x1", "xmin", "bbleft", "bbx", "bboxleft", "l"},
    "top": {"top", "y", "y1", "ymin", "bbtop", "bby", "bboxtop", "t"},
    "width": {"width", "w", "bbwidth", "bbw", "bboxwidth"},
    "height": {"height", "h", "bbheight", "bbh", "bboxheight"},
    "right": {"right", "x2", "xmax"},
    "bottom": {"bottom", "y2", "ymax"},
    "score": {"score", "conf", "confidence"},
    "class": {"class", "classid", "cls", "category"},
}
"""Names that headers give to columns, without case and punctuation."""
COLUMN_OF = {name: column for column, names in KNOWN_NAMES.items() for name in names}
NAMED = 7
"""Columns whose names in a header are looked at; those behind are called in too many ways."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """All rows of a file.

    Attributes:
        path: of the file.
        values: ``(N, K)``.
    """

    path: Path
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def refuse(self, rows: ArrayLike, reason: str) -> None:
        """Nothing if no row is bad.

        Args:
            rows: ``(N,)`` whether each is.
            reason: what is wrong with them.

        Raises:
            DataError: some are; names the first one's line in the file, shows it, and says how many there are.
        """
        bad = np.asarray(rows, bool)
        if not bad.any():
            return
        row, count = int(bad.argmax()), int(bad.sum())
        shown = ",".join(f"{value:g}" for value in self.values[row, :6])
        rest = f"; {count} such rows" if count > 1 else ""
        raise DataError(f"{self.path}, line {self.line(row)} ({shown}): {reason}{rest}")

    def line(self, row: int) -> int:
        """The line of a row in the file, from 1: blank lines and a header count too."""
        filled = [
            (n, fields) for n, line in enumerate(lines_of(self.path.read_bytes()), 1) if (fields := _fields(line))
        ]
        if filled and _is_header(filled[0][1]):
            del filled[0]
        return filled[row][0] if row < len(filled) else row + 1


def read_rows(path: Path, *, columns: tuple[str, ...], least: int) -> Rows:
    """All rows of a file of numbers, separated by commas or by white space.

    Args:
        path: of the file.
        columns: their names, in order; a header that has them in another order is refused.
        least: fewest columns.

    Raises:
        DataError: missing; a row of another length; something that is no number. Names the line.
    """
    data = read_bytes(path)
    values = _parsed(data)
    if values is None or values.shape[1] < least:
        values = _read_carefully(path, data, least, columns)
    return Rows(path, values)


def _parsed(data: bytes) -> NDArray[np.float64] | None:
    """A well-formed file with commas, in one go; None where it is not, to be read line by line."""
    width = data.lstrip()[:10_000].split(b"\n", 1)[0].count(b",") + 1
    if not 1 < width <= MOST_COLUMNS:
        return None
    names = [str(i) for i in range(width)]
    try:
        table = csv.read_csv(
            pa.py_buffer(data),
            read_options=csv.ReadOptions(column_names=names),
            parse_options=csv.ParseOptions(quote_char=False),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.float64()), null_values=[]),
        )
    except pa.ArrowInvalid:
        return None
    # Not `to_numpy`, which loads pandas.
    columns = [[np.from_dlpack(chunk) for chunk in column.chunks] for column in table.columns]
    return np.column_stack([np.concatenate([np.empty(0), *chunks]) for chunks in columns])


def _read_carefully(path: Path, data: bytes, least: int, columns: tuple[str, ...]) -> NDArray[np.float64]:
    """Line by line, for whatever is written in another way, and to say what is wrong where."""
    rows: list[list[float]] = []
    begun = 0
    header = False
    for place, line in enumerate(lines_of(data), 1):
        fields = _fields(line)
        if not fields:
            continue
        if not rows and not header and _is_header(fields):
            _check_header(path, place, fields, columns)
            header = True
            continue
        begun = begun or place
        width = len(rows[0]) if rows else len(fields)
        if len(fields) != width or width < least:
            like = f" as in line {begun}" if rows else ""
            raise DataError(
                f"{path}, line {place}: expected {','.join(columns)}{like} ({max(width, least)} values), "
                f"got {len(fields)}: {line[:SHOWN]!r}{_hint(line)}"
            )
        rows.append([_number(path, place, field) for field in fields])
    return np.array(rows, np.float64).reshape(len(rows), len(rows[0]) if rows else least)


def _fields(line: str) -> list[str]:
    """What stands between commas, or between white space where there are none; commas at the end of a row are none."""
    if "," not in line:
        return WORD.findall(line)
    fields = [field.strip(BLANK) for field in line.split(",")]
    while fields and not fields[-1]:
        del fields[-1]
    return fields


def _is_header(fields: list[str]) -> bool:
    """Whether a first row holds names alone, some of them known."""
    return all(number(field) is None for field in fields) and sum(_plain(field) in COLUMN_OF for field in fields) >= 2


def _plain(name: str) -> str:
    """A column's name without case and punctuation."""
    return "".join(c for c in name.lower() if c.isascii() and c.isalnum())


def _check_header(path: Path, place: int, fields: list[str], columns: tuple[str, ...]) -> None:
    """Refuse names that say that the columns are in another order, or others.

    Raises:
        DataError: names the column.
    """
    for index, (field, expected) in enumerate(zip(fields, columns[:NAMED], strict=False)):
        meant = COLUMN_OF.get(_plain(field))
        if meant is not None and meant != expected:
            raise DataError(
                f"{path}, line {place}: the header calls column {index + 1} {field[:SHOWN]!r}, but it must be "
                f"{expected}: the order is {','.join(columns)}"
            )


def _number(path: Path, place: int, field: str) -> float:
    value = number(field)
    if value is None:
        raise DataError(f"{path}, line {place}: expected a number, got {field[:SHOWN]!r}{_hint(field)}")
    return value


def _hint(text: str) -> str:
    return "; columns stand between commas, spaces or tabs" if ";" in text or "|" in text else ""
