"""Parquet: one file for all sequences, a column each for what a table has; also what `reacquire track` saves.

Columns: `sequence` (the file's name where it is missing), `frame` from 0, `id`, `x1`, `y1`, `x2`, `y2` in pixels;
`score`, `class`, `visibility`, `truncated` and `occluded` where there are any. What is known of the sequences is in
the file's metadata, as JSON under `reacquire`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tracker.errors import DataError
from tracker.formats.table import Notes, Table, make_table, write_whole

BOX = ("x1", "y1", "x2", "y2")
NEEDED = ("frame", "id", *BOX)
EXTRAS = ("score", "visibility", "truncated", "occluded")
KEY = b"reacquire"


def read(path: Path, notes: Notes) -> list[Table]:
    """All sequences of a file.

    Raises:
        DataError: no Parquet, a column missing or of the wrong kind, or empty places in it.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        # A file rather than its name, of which Arrow thinks too much: folders that are columns, addresses, Unicode.
        with path.open("rb") as file:
            table = pq.read_table(file)
        table.validate(full=True)  # damaged text too
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no Parquet: {str(error)[:200]}") from None
    missing = [name for name in NEEDED if name not in table.column_names]
    if missing:
        raise DataError(f"{path}: columns {', '.join(missing)} are missing; there are {', '.join(table.column_names)}")
    marked = "predicted" in table.column_names and pa.types.is_boolean(table["predicted"].type)
    if marked and (count := pc.sum(table["predicted"]).as_py()):
        notes.add(f"{count} boxes are where somebody out of sight was expected; the mark `predicted` is not kept")
    known = _known(path, (table.schema.metadata or {}).get(KEY, b"{}"))
    if "sequence" not in table.column_names:
        return [_table(path, path.stem, table, known.get(path.stem, {}))]
    sequence = table["sequence"].cast(pa.string())
    names = [*known, *(n for n in pc.unique(sequence).to_pylist() if n not in known)]
    if None in names:
        raise DataError(f"{path}: column sequence has empty places")
    return [_table(path, name, table.filter(pc.equal(sequence, name)), known.get(name, {})) for name in names]


def _table(path: Path, name: str, table: pa.Table, known: dict[str, Any]) -> Table:
    columns = {n: _numbers(path, table, n) for n in (*NEEDED, *EXTRAS) if n in table.column_names}
    label = None
    if "class" in table.column_names:
        label = [str(v) for v in table["class"].to_pylist()]
    return make_table(
        path,
        name,
        frame=columns.pop("frame"),
        id=columns.pop("id"),
        xyxy=np.stack([columns.pop(n) for n in BOX], axis=1),
        label=label,
        labels=tuple(known.get("labels", ())),
        length=known.get("length", 0),
        size=tuple(known.get("size", (0, 0))),
        rate=known.get("rate", 0.0),
        columns=columns,
    )


def _numbers(path: Path, table: pa.Table, name: str) -> np.ndarray[Any, Any]:
    column = table[name]
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)) or column.null_count:
        raise DataError(f"{path}: column {name} must hold numbers without empty places, it holds {kind}")
    return np.asarray(column.to_numpy(), np.float64)


def _known(path: Path, text: bytes) -> dict[str, dict[str, Any]]:
    """What the file says of its sequences, checked."""
    try:
        known = json.loads(text)
        return {
            str(name): {
                "labels": [str(label) for label in facts["labels"]],
                "length": int(facts["length"]),
                "size": (int(facts["size"][0]), int(facts["size"][1])),
                "rate": float(facts["rate"]),
            }
            for name, facts in known.items()
        }
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: its metadata under {KEY.decode()!r} is not ours: {str(error)[:80]}") from None


def write(path: Path, tables: list[Table], notes: Notes) -> None:
    """One file for all sequences."""
    known = {
        t.name: {"labels": list(t.labels), "length": t.length, "size": list(t.size), "rate": t.rate} for t in tables
    }
    arrays: dict[str, Any] = {
        "sequence": pa.array([t.name for t in tables for _ in range(len(t))], pa.string()),
        "frame": _joined([t.frame for t in tables], np.int64),
        "id": _joined([t.id for t in tables], np.int64),
    }
    for i, corner in enumerate(BOX):
        arrays[corner] = _joined([t.xyxy[:, i] for t in tables], np.float64)
    arrays["class"] = pa.array([t.labels[i] for t in tables for i in t.label.tolist()], pa.string())
    for name in EXTRAS:
        kind = np.float64 if name in ("score", "visibility") else np.int64
        arrays[name] = _joined([getattr(t, name) for t in tables], kind)
    table = pa.table(arrays).replace_schema_metadata({KEY: json.dumps(known).encode()})

    def fill(partial: Path) -> None:
        with partial.open("wb") as file:
            pq.write_table(table, file)

    write_whole(path, fill)


def _joined(columns: list[np.ndarray[Any, Any]], kind: type) -> np.ndarray[Any, Any]:
    return np.concatenate([np.empty(0, kind), *columns]).astype(kind)
