"""Parquet: one file for all sequences, with the columns of `tracker.formats.columns`; `reacquire track` saves it too.

What is known of the sequences is in the file's metadata, as JSON under `reacquire`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracker.arrow import ON_THIS_THREAD
from tracker.errors import DataError
from tracker.formats.columns import BOX, MOST_ROWS, READ, from_columns, to_columns
from tracker.formats.columns import CARRIES as IN_COLUMNS
from tracker.formats.seqinfo import MOST_FRAMES, MOST_PIXELS
from tracker.formats.table import Notes, Table, write_whole

KEY = b"reacquire"
CARRIES = IN_COLUMNS | {"length", "size", "rate"}
WORDS = ("sequence", "class")


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
            about = pq.read_metadata(file)
            if about.num_rows > MOST_ROWS:
                raise DataError(f"{path}: {about.num_rows:,} rows are too many ({MOST_ROWS:,})")
            schema = about.schema.to_arrow_schema()
            # Words are kept once each, however often they stand there.
            columns = [name for name in READ if name in schema.names]
            table = pq.read_table(file, columns=columns, read_dictionary=[*WORDS], **ON_THIS_THREAD)
        table.validate(full=True)  # damaged text too
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        raise DataError(f"{path}: no Parquet: {str(error)[:200]}") from None
    if not columns:
        table = pa.table({name: [] for name in schema.names[:20]})
    return from_columns(path, table, known=_known(path, (about.metadata or {}).get(KEY, b"{}")))


def _known(path: Path, text: bytes) -> dict[str, dict[str, Any]]:
    """What the file says of its sequences, checked."""
    try:
        return {
            str(name): {
                "labels": [str(label) for label in facts["labels"]],
                "length": _between(facts["length"], MOST_FRAMES),
                "size": (_between(facts["size"][0], MOST_PIXELS), _between(facts["size"][1], MOST_PIXELS)),
                "rate": float(_between(facts["rate"], 1e6, whole=False)),
            }
            for name, facts in json.loads(text).items()
        }
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: its metadata under {KEY.decode()!r} is not ours: {str(error)[:80]}") from None


def _between(value: Any, most: float, *, whole: bool = True) -> Any:
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not 0 <= value <= most:
        raise ValueError(f"{str(value)[:20]} cannot be")
    return value


def write(path: Path, tables: list[Table], notes: Notes) -> None:
    """One file for all sequences."""
    known = {
        t.name: {"labels": list(t.labels), "length": t.length, "size": list(t.size), "rate": t.rate} for t in tables
    }
    table = to_columns(tables, path).replace_schema_metadata({KEY: json.dumps(known).encode()})
    write_whole(path, lambda partial: _save(table, partial))


def write_run(path: Path, table: Table) -> None:
    """A run's file: boxes and scores in single precision, as they were tracked."""
    columns = to_columns([table], path)
    for name in (*BOX, "score"):
        place = columns.column_names.index(name)
        columns = columns.set_column(place, name, columns[name].cast(pa.float32(), safe=False))
    write_whole(path, lambda partial: _save(columns, partial))


def _save(table: pa.Table, path: Path) -> None:
    with path.open("wb") as file:
        pq.write_table(table, file)
