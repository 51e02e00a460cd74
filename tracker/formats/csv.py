"""CSV: one file for all sequences, a header and the columns of `tracker.formats.columns`; also from spreadsheets.

Commas, semicolons or tabs between the columns, as the header has them; numbers with a point.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from tracker.errors import DataError
from tracker.formats.columns import CARRIES, READ, from_columns, to_columns
from tracker.formats.table import Notes, Table, write_whole
from tracker.formats.text import SHOWN, lines_of, number, read_bytes
from tracker.types import Frame, Tracks

__all__ = ["CARRIES", "RUN_HEADER", "read", "run_lines", "write"]

MOST_COLUMNS = 1000
SEPARATORS = ",;\t"
ALIASES = {
    **dict.fromkeys(("track_id", "trackid", "object_id"), "id"),
    **dict.fromkeys(("xmin", "x_min"), "x1"),
    **dict.fromkeys(("ymin", "y_min"), "y1"),
    **dict.fromkeys(("xmax", "x_max", "right"), "x2"),
    **dict.fromkeys(("ymax", "y_max", "bottom"), "y2"),
    **dict.fromkeys(("conf", "confidence"), "score"),
    **dict.fromkeys(("time", "seconds"), "timestamp"),
    **dict.fromkeys(("label", "class_name"), "class"),
}
"""Other names of columns that are as clear."""
RUN_HEADER = "frame,timestamp,id,x1,y1,x2,y2,score,class_id,class,predicted"


def read(path: Path, notes: Notes) -> list[Table]:
    """All sequences of a file.

    Raises:
        DataError: no header, a column missing, a row of another length, or a value that cannot be; names the line.
    """
    lines = lines_of(read_bytes(path))
    filled = [place for place, line in enumerate(lines, 1) if line.strip()]
    if not filled:
        raise DataError(f"{path}: empty; expected a header: frame, id, x1, y1, x2, y2, …")
    header = lines[filled[0] - 1]
    separator = max(SEPARATORS, key=header.count)
    try:
        names = [_name(field) for field in next(csv.reader([header], delimiter=separator))]
    except csv.Error as error:
        raise DataError(f"{path}, line {filled[0]}: no header of a CSV file: {error}") from None
    if len(names) > MOST_COLUMNS:
        raise DataError(f"{path}, line {filled[0]}: {len(names):,} columns are too many")
    if all(number(name) is not None for name in names if name):
        raise DataError(f"{path}, line {filled[0]}: expected a header; if the file is MOTChallenge's, say --from mot")
    text = "\n".join(lines[place - 1] for place in filled[1:])
    table = _parsed(path, text, names, separator, filled)
    known = [name for name in READ if name in names]
    return from_columns(path, table.select(known) if known else table, line=lambda row: filled[row + 1])


def _name(field: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", field.strip().lower()).strip("_")
    return ALIASES.get(plain, plain)


def _parsed(path: Path, text: str, names: list[str], separator: str, filled: list[int]) -> pa.Table:
    """All columns as text."""
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}, line {filled[0]}: column {twice[:SHOWN]!r} is there twice")
    unique = [name or f" {i}" for i, name in enumerate(names)]
    if not text:
        return pa.table({name: pa.array([], pa.string()) for name in unique})
    wrong: list[int] = []

    def skip(row: Any) -> str:
        wrong.append(row.number or 0)
        return "skip"

    try:
        table = pacsv.read_csv(
            pa.py_buffer(text.encode("utf-8", "replace")),
            # One thread, so that a row that is wrong has a number.
            read_options=pacsv.ReadOptions(column_names=unique, use_threads=False, block_size=1 << 26),
            parse_options=pacsv.ParseOptions(delimiter=separator, invalid_row_handler=skip),
            convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(unique, pa.string()), null_values=[]),
        )
    except pa.ArrowException as error:
        raise DataError(f"{path}: no CSV: {str(error)[:200]}") from None
    if wrong or len(table) != len(filled) - 1:
        place = f", line {filled[min(wrong[0], len(filled) - 1)]}" if wrong and wrong[0] else ""
        raise DataError(f"{path}{place}: expected {len(names)} columns, as the header has, in every row")
    return table


def write(path: Path, tables: list[Table], notes: Notes) -> None:
    """One file for all sequences."""
    columns = to_columns(tables, path)
    options = pacsv.WriteOptions(quoting_style="needed", delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    write_whole(path, lambda partial: pacsv.write_csv(columns, partial, options))


def run_lines(frame: Frame, tracks: Tracks, names: Mapping[int, str]) -> list[str]:
    """A frame's rows under `RUN_HEADER`.

    Args:
        frame: its index and time.
        tracks: a row each.
        names: of class ids; a class without one is its number.
    """
    columns = (tracks.id, tracks.class_id, tracks.score, tracks.xyxy, tracks.predicted)
    words = {k: _quoted(names.get(k, str(k))) for k in set(tracks.class_id.tolist())}
    begin = f"{frame.index},{round(frame.timestamp, 6)}"
    return [
        f"{begin},{i},{x1:.2f},{y1:.2f},{x2:.2f},{y2:.2f},{score:.4f},{k},{words[k]},{str(mark).lower()}"
        for i, k, score, (x1, y1, x2, y2), mark in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _quoted(text: str) -> str:
    """A word as it stands in a row: between quotes where it holds what would end it."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',;"\t\r\n') else text
