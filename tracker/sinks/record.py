"""What the tracker thought of every pair, as a Parquet table that grows in whole parts while the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from reid.files import writing
from tracker.arrow import ON_THIS_THREAD
from tracker.errors import DataError
from tracker.protocols import Sink
from tracker.sinks.parquet import join_parts, parts_of, write_part
from tracker.types import Detections, Frame, Tracks

FILE = "explain.parquet"
COLUMNS = ("frame", "stage", "track_id", "detection", "cost", "gate", "verdict", "matched")
"""That a record must have at least."""
PART_FRAMES = 200
"""Frames that are kept in memory until a part is written."""


class RecordSink(Sink):
    """Takes the engine's record every so many frames; readable after a kill as a folder of parts.

    Args:
        path: the file.
        take: `Engine.take_record` of the engine that gives the tracks.
    """

    def __init__(self, path: Path, take: Callable[[], pa.Table]) -> None:
        self.path: Path = path
        self._take = take
        self._frames = self._count = 0
        with writing(path):
            parts_of(path).mkdir()

    def write(self, frame: Frame, detections: Detections, tracks: Tracks) -> None:
        self._frames += 1
        if self._frames % PART_FRAMES == 0:
            self._flush()

    def _flush(self) -> pa.Schema:
        table = self._take()
        write_part(self.path, self._count, table)
        self._count += 1
        return table.schema

    def close(self) -> None:
        join_parts(self.path, self._flush())


def read_record(path: Path) -> pa.Table:
    """A record as `Engine.take_record` gives it.

    Raises:
        DataError: no such file, or not such a table.
    """
    try:
        with path.open("rb") as file:
            table = pq.read_table(file, **ON_THIS_THREAD)
    except FileNotFoundError:
        raise DataError(f"{path}: no record of what the tracker thought; track with --explain") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file: {str(error)[:200]}") from None
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise DataError(f"{path}: no record of a run: column {missing[0]!r} is missing")
    return table
