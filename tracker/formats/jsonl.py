"""JSON Lines: an object a line and box, as `reacquire track` saves it; one file for all sequences.

`frame` (from 0), `id`, `xyxy` (pixels) must be there; the rest is as in `tracker.formats.columns`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tracker.errors import DataError
from tracker.formats.columns import BOX, CARRIES, MARKS, READ, from_columns, to_columns
from tracker.formats.table import Notes, Table, write_text
from tracker.formats.text import SHOWN, lines_of, read_bytes
from tracker.types import Frame, Tracks

__all__ = ["CARRIES", "read", "run_lines", "write"]

CORNERS = "xyxy"
WORDS = ("sequence", "class")


def read(path: Path, notes: Notes) -> list[Table]:
    """All sequences of a file.

    Raises:
        DataError: a line that is no JSON object, or lacks a value or has one of another kind than the first; names it.
    """
    places: list[int] = []
    rows: list[dict[str, Any]] = []
    for place, line in enumerate(lines_of(read_bytes(path)), 1):
        if line.strip():
            rows.append(_row(path, place, line))
            places.append(place)
    if not rows:
        return from_columns(path, pa.table({name: [] for name in ("frame", "id", *BOX)}).cast(_numbers_only()))
    names = list(rows[0])
    for place, row in zip(places, rows, strict=True):
        if row.keys() != rows[0].keys():
            differ = ", ".join(sorted(set(row) ^ set(names)))
            raise DataError(f"{path}, line {place}: other keys than in line {places[0]}: {differ[:80]}")
    columns = {name: [row[name] for row in rows] for name in names}
    return from_columns(path, pa.table({n: _array(n, v) for n, v in columns.items()}), line=places.__getitem__)


def _numbers_only() -> pa.Schema:
    return pa.schema([(name, pa.float64()) for name in ("frame", "id", *BOX)])


def _array(name: str, values: list[Any]) -> pa.Array:
    if name in WORDS or name in MARKS:
        return pa.array(values, pa.string() if name in WORDS else pa.bool_())
    return pa.array(np.array(values, np.float64))


def _row(path: Path, place: int, line: str) -> dict[str, Any]:
    """A line's values by column, each of the kind that its column has."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}, line {place}: no JSON: {str(error)[:80]}") from None
    if not isinstance(row, dict):
        raise DataError(f"{path}, line {place}: expected an object, got {line[:SHOWN]!r}")
    box = row.pop(CORNERS, None)
    if box is not None:
        if not isinstance(box, list) or len(box) != len(BOX):
            raise DataError(f"{path}, line {place}: {CORNERS} must be 4 numbers, got {str(box)[:SHOWN]}")
        row |= dict(zip(BOX, box, strict=True))
    row = {name: row[name] for name in READ if name in row}
    for name, value in row.items():
        wanted = str if name in WORDS else bool if name in MARKS else (int, float)
        fits = isinstance(value, wanted) and (name in MARKS or not isinstance(value, bool))
        if isinstance(value, str):
            fits = fits and value.isprintable()
        elif not isinstance(value, bool):
            fits = fits and abs(value) < 2**63  # neither NaN nor infinite
        if not fits:
            raise DataError(f"{path}, line {place}: {name} cannot be {ascii(value)[:SHOWN]}")
    return row


def write(path: Path, tables: list[Table], notes: Notes) -> None:
    """One file for all sequences."""
    columns = to_columns(tables, path)
    text = "".join(f"{_line(row)}\n" for batch in columns.to_batches(10_000) for row in batch.to_pylist())
    write_text(path, text)


def _line(row: Mapping[str, Any]) -> str:
    """A row with its corners in one list."""
    content = {name: value for name, value in row.items() if name not in BOX}
    return json.dumps(content | {CORNERS: [row[name] for name in BOX]}, ensure_ascii=False)


def run_lines(frame: Frame, tracks: Tracks, names: Mapping[int, str]) -> list[str]:
    """A frame's objects: frame (from 0), timestamp (s), id, class_id, class, score, xyxy (px), predicted.

    Args:
        frame: its index and time.
        tracks: an object each.
        names: of class ids; a class without one is its number.
    """
    columns = (tracks.id, tracks.class_id, tracks.score, tracks.xyxy, tracks.predicted)
    return [
        json.dumps(
            {
                "frame": frame.index,
                "timestamp": round(frame.timestamp, 6),
                "id": track_id,
                "class_id": class_id,
                "class": names.get(class_id, str(class_id)),
                "score": round(score, 4),
                CORNERS: [round(value, 2) for value in box],
                "predicted": predicted,
            },
            ensure_ascii=False,
        )
        for track_id, class_id, score, box, predicted in zip(*(column.tolist() for column in columns), strict=True)
    ]
