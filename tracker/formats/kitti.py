"""KITTI tracking labels: a text file a sequence, words and numbers between spaces, frames from 0.

``frame id type truncated occluded alpha x1 y1 x2 y2 height width length x y z rotation [score]``; what is measured in
three dimensions is not kept, and written as KITTI writes what is unknown.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tracker.errors import DataError
from tracker.formats.seqinfo import MOST_FRAMES
from tracker.formats.table import UNKNOWN, Notes, Table, make_table, write_text
from tracker.formats.text import SHOWN, lines_of, number, read_bytes

CARRIES = frozenset({"score", "label", "truncated", "occluded", "regions"})
COLUMNS = "frame id type truncated occluded alpha x1 y1 x2 y2 height width length x y z rotation [score]"
LEAST, SCORED = 10, 18
TYPES = ("Car", "Van", "Truck", "Pedestrian", "Person", "Cyclist", "Tram", "Misc", "DontCare")
_BY_NAME = {name.lower(): name for name in TYPES} | {"person_sitting": "Person"}
NUMBERS = (0, 1, 3, 4, 6, 7, 8, 9)
"""Columns that are read as numbers."""


def read_file(path: Path) -> Table:
    """One sequence.

    Raises:
        DataError: missing, or a line that is not of the format; names it.
    """
    rows, where, label = [], [], []
    for place, line in enumerate(lines_of(read_bytes(path)), 1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) < LEAST:
            raise DataError(f"{path}, line {place}: expected {COLUMNS}, got {len(fields)} values")
        scored = (SCORED - 1,) if len(fields) >= SCORED else ()
        numbers = [number(fields[i]) for i in (*NUMBERS, *scored)]
        if None in numbers:
            wrong = fields[(*NUMBERS, *scored)[numbers.index(None)]]
            raise DataError(f"{path}, line {place}: expected {COLUMNS}: {wrong[:SHOWN]!r} is no number")
        rows.append(numbers if scored else [*numbers, 1.0])
        label.append(_BY_NAME.get(fields[2].lower(), fields[2]))
        where.append(f"line {place}")
    values = np.array(rows, np.float64).reshape(-1, len(NUMBERS) + 1)
    values[[name == "DontCare" for name in label], 1] = -1
    return make_table(
        path,
        path.stem,
        frame=values[:, 0],
        id=values[:, 1],
        xyxy=values[:, 4:8],
        columns={"truncated": np.trunc(values[:, 2]), "occluded": np.trunc(values[:, 3]), "score": values[:, -1]},
        label=label,
        where=where,
        per_class=True,
    )


def read(path: Path, notes: Notes) -> list[Table]:
    """A file, a folder of them, or a data set with `label_02`.

    Raises:
        DataError: see `read_file`.
    """
    if path.is_dir():
        folder = path / "label_02" if (path / "label_02").is_dir() else path
        return [read_file(file) for file in sorted(folder.glob("*.txt"))]
    return [read_file(path)]


def sequence_lengths(folder: Path) -> dict[str, int]:
    """Frames by sequence from `evaluate_tracking.seqmap*` (``name empty first length``) in a folder or its parent.

    Raises:
        DataError: a line that is not of the format.
    """
    found = sorted([*folder.glob("evaluate_tracking.seqmap*"), *folder.parent.glob("evaluate_tracking.seqmap*")])
    lengths = {}
    for path in found:
        for place, line in enumerate(lines_of(read_bytes(path)), 1):
            fields = line.split()
            length = number(fields[3]) if len(fields) >= 4 else None
            if length is not None and 0 <= length <= MOST_FRAMES and length == int(length):
                lengths[fields[0]] = int(length)
            elif fields:
                raise DataError(f"{path}, line {place}: expected name, empty, first frame, length; got {line[:60]!r}")
    return lengths


def write_sequence(path: Path, table: Table, notes: Notes) -> None:
    """A file of one sequence."""
    unknown = np.full(len(table), UNKNOWN)
    truncated, occluded = (unknown if v is None else v for v in (table.truncated, table.occluded))
    types = [_BY_NAME.get(name.lower(), name.replace(" ", "_")) for name in table.labels]
    columns = (table.frame, table.id, table.label, truncated, occluded, table.xyxy, table.score)
    lines = [
        f"{frame} {i} {types[label]} {cut} {hidden} -10 "
        + " ".join(f"{v:.10g}" for v in box)
        + f" -1 -1 -1 -1000 -1000 -1000 -10 {score:.10g}\n"
        for frame, i, label, cut, hidden, box, score in zip(*(c.tolist() for c in columns), strict=True)
    ]
    write_text(path, "".join(lines))
