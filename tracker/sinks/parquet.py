"""A Parquet table of tracks that survives a kill: written in small whole parts, joined at the end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reid.files import replacing, writing
from tracker.arrow import ON_THIS_THREAD
from tracker.protocols import Sink
from tracker.types import Detections, Frame, Tracks

SCHEMA = pa.schema(
    [
        ("frame", pa.int64()),
        ("timestamp", pa.float64()),
        ("id", pa.int64()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("x2", pa.float32()),
        ("y2", pa.float32()),
        ("score", pa.float32()),
        ("class_id", pa.int64()),
        ("class", pa.string()),
        ("predicted", pa.bool_()),
    ]
)
PART_ROWS, PART_SECONDS = 50_000, 5.0
"""A part is written when it has so many rows, or after so long: what a kill can cost."""


class ParquetSink(Sink):
    """Columns frame (from 0), timestamp (s), id, x1, y1, x2, y2 (px), score, class_id, class, predicted.

    `predicted` is true where nothing was detected: who is out of sight, at the box where he is expected, with the
    score of his last detection.

    Until it is closed the rows are in `NAME.parquet.parts/`, a folder that every Parquet reader opens as one
    table; then in `NAME.parquet` alone.

    Args:
        path: the file.
        class_names: names of class ids; a class without one is its number.
    """

    def __init__(self, path: Path, class_names: Mapping[int, str] | None = None) -> None:
        self.path: Path = path
        self._names = class_names or {}
        self._rows: list[tuple[Frame, Tracks]] = []
        self._waiting = self._count = 0
        self._written = time.monotonic()
        with writing(path):
            parts_of(path).mkdir()

    def write(self, frame: Frame, detections: Detections, tracks: Tracks) -> None:
        if len(tracks):
            # The picture would be kept alive by the frame.
            self._rows.append((Frame(_NO_IMAGE, frame.index, frame.timestamp), tracks))
            self._waiting += len(tracks)
        if self._waiting >= PART_ROWS or time.monotonic() - self._written > PART_SECONDS:
            self._flush()

    @property
    def parts(self) -> int:
        """How many are on the disk."""
        return self._count

    def _flush(self) -> None:
        self._written = time.monotonic()
        if not self._rows:
            return
        write_part(self.path, self._count, self._table())
        self._rows.clear()
        self._waiting = 0
        self._count += 1

    def _table(self) -> pa.Table:
        lengths = [len(tracks) for _, tracks in self._rows]
        xyxy = np.concatenate([tracks.xyxy for _, tracks in self._rows])
        class_id = np.concatenate([tracks.class_id for _, tracks in self._rows])
        columns = [
            np.repeat([frame.index for frame, _ in self._rows], lengths),
            np.repeat([frame.timestamp for frame, _ in self._rows], lengths),
            np.concatenate([tracks.id for _, tracks in self._rows]),
            *xyxy.T,
            np.concatenate([tracks.score for _, tracks in self._rows]),
            class_id,
            [self._names.get(c, str(c)) for c in class_id.tolist()],
            np.concatenate([tracks.predicted for _, tracks in self._rows]),
        ]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        return pa.Table.from_arrays(arrays, schema=SCHEMA)

    def close(self) -> None:
        self._flush()
        join_parts(self.path)


def parts_of(path: Path) -> Path:
    """The folder of a file's parts."""
    return path.with_name(path.name + ".parts")


def write_part(path: Path, number: int, table: pa.Table) -> None:
    """One more part of a file; it gets its name when it is whole.

    Raises:
        ReacquireError: it cannot be written.
    """
    with replacing(parts_of(path) / f"{number:06d}.parquet") as partial, partial.open("wb") as file:
        pq.write_table(table, file)  # not its name, which Arrow takes for an address, and which must be Unicode


def join_parts(path: Path, schema: pa.Schema = SCHEMA) -> None:
    """Make one file of the whole parts beside it, also of those that a killed process left.

    Raises:
        ReacquireError: it cannot be written; the parts stay.
    """
    parts = parts_of(path)
    with replacing(path) as partial, partial.open("wb") as file, pq.ParquetWriter(file, schema) as writer:
        for part in sorted(parts.glob("*.parquet")):
            if not part.stem.endswith(".partial"):
                with part.open("rb") as stored:
                    writer.write_table(pq.read_table(stored, schema=schema, **ON_THIS_THREAD))
    with writing(path):
        shutil.rmtree(parts)


_NO_IMAGE = np.empty((0, 0, 3), np.uint8)
