"""Text files of numbers: read fast, and where something is wrong the line is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from pyarrow import csv

from tracker.errors import DataError

SHOWN = 40
"""Characters of a bad value that a message repeats."""
MOST_COLUMNS = 100


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
        """The line of a row in the file, from 1: blank lines count too."""
        lines = self.path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
        filled = (number for number, line in enumerate(lines, 1) if line.strip())
        return next((number for index, number in enumerate(filled) if index == row), row + 1)


def read_rows(path: Path, *, least: int, columns: str) -> Rows:
    """All rows of a file of numbers, separated by commas or by white space.

    Args:
        path: of the file.
        least: fewest columns.
        columns: what they are, for messages.

    Raises:
        DataError: missing; a row of another length; something that is no number. Names the line.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    data = path.read_bytes()
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


def _read_carefully(path: Path, data: bytes, least: int, columns: str) -> NDArray[np.float64]:
    """Line by line, for whatever is written in another way, and to say what is wrong where."""
    rows: list[list[float]] = []
    begun = 0
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").split("\n"), 1):
        fields = _fields(line)
        if not fields:
            continue
        begun = begun or number
        width = len(rows[0]) if rows else len(fields)
        if len(fields) != width or width < least:
            like = f" as in line {begun}" if rows else ""
            raise DataError(
                f"{path}, line {number}: expected {columns}{like} ({max(width, least)} values), got {len(fields)}"
            )
        rows.append([_number(path, number, field, header=not rows) for field in fields])
    return np.array(rows, np.float64).reshape(len(rows), len(rows[0]) if rows else least)


def _fields(line: str) -> list[str]:
    """What stands between commas, or between white space where there are none; a last comma ends the row."""
    if "," not in line:
        return line.split()
    fields = [field.strip() for field in line.split(",")]
    return fields if fields[-1] else fields[:-1]


def _number(path: Path, number: int, field: str, *, header: bool) -> float:
    try:
        return float(field)
    except ValueError:
        hint = "; is this line a header? Remove it" if header else ""
        raise DataError(f"{path}, line {number}: expected a number, got {field[:SHOWN]!r}{hint}") from None
