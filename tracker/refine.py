"""The tracks of a finished run, made better with what is known at its end, beside the originals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from tracker.errors import ConfigError, DataError
from tracker.sinks import FORMATS
from tracker.sinks.base import partial_name, writing

if TYPE_CHECKING:
    import pyarrow as pa

    from tracker.association.offline import Looks
    from tracker.association.trajectories import Trajectories

Refinement = Literal["join", "gap", "both"]
REFINEMENTS: dict[str, str] = {
    "join": "tracks that are one object get one id",
    "gap": "gaps of up to a second are filled",
    "both": "first joined, then filled",
}


def check_refinement(name: str, save: tuple[str, ...]) -> None:
    """Refuse what does not exist, or cannot be done with what is saved.

    Raises:
        ConfigError: says what to give instead.
    """
    if name not in REFINEMENTS:
        there_are = ", ".join(f"{key} ({what})" for key, what in REFINEMENTS.items())
        raise ConfigError(f"--refine {name}: unknown; there are: {there_are}")
    if "parquet" not in save:
        raise ConfigError("--refine works on the table of tracks: add parquet to --save")


def refined_path(path: Path) -> Path:
    """`tracks.txt` is `tracks.refined.txt`."""
    return path.with_name(f"{path.stem}.refined{path.suffix}")


def refine_run(folder: Path, what: Refinement, looks: Looks | None = None) -> list[Path]:
    """Refine the table of a run, and write it beside the original in the formats that are there.

    Only what was seen counts: where the tracker expected somebody out of sight, filling knows better now, and those who
    did not come back are left out.

    Args:
        folder: of the run; `tracks.parquet` is read whole.
        what: see `REFINEMENTS`.
        looks: what ids look like, for joining.

    Returns:
        The files that were written.

    Raises:
        DataError: no table of tracks, or a damaged one.
        ReacquireError: a file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tracker.association.offline import fill, join
    from tracker.association.trajectories import Trajectories

    path = folder / FORMATS["parquet"]
    try:
        with path.open("rb") as file:
            table = pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: no table of tracks can be read: {error}") from error
    rows = Trajectories.from_table(table)
    rows = rows.take(np.flatnonzero(~rows.predicted))
    if what != "gap":
        rows = join(rows, looks)
    if what != "join":
        rows = fill(rows)
    texts = [name for name in ("mot", "jsonl") if (folder / FORMATS[name]).exists()]
    return [
        _write_table(rows, table, refined_path(path)),
        *(_write_text(rows, name, refined_path(folder / FORMATS[name]), _names(table)) for name in texts),
    ]


def _names(table: pa.Table) -> dict[int, str]:
    """Of the classes."""
    pairs = table.select(["class_id", "class"]).group_by(["class_id", "class"]).aggregate([]).to_pylist()
    return {pair["class_id"]: pair["class"] for pair in pairs}


def _write_table(rows: Trajectories, original: pa.Table, path: Path) -> Path:
    import pyarrow.parquet as pq

    with writing(path):
        with partial_name(path).open("wb") as file:
            pq.write_table(rows.to_table(_names(original)), file)
        partial_name(path).replace(path)
    return path


def _write_text(rows: Trajectories, name: str, path: Path, names: dict[int, str]) -> Path:
    """Frame by frame, as the run itself wrote it."""
    from tracker.sinks.text import JsonLinesSink, MotSink
    from tracker.types import Detections, Frame, Tracks, TrackState

    rows = rows.take(np.lexsort((rows.id, rows.frame)))
    frames, first = np.unique(rows.frame, return_index=True)
    nothing, no_image = Detections.empty(), np.empty((0, 0, 3), np.uint8)
    partial = partial_name(path)
    with MotSink(partial) if name == "mot" else JsonLinesSink(partial, names) as sink:
        for frame, begin, end in zip(frames.tolist(), first, [*first[1:], len(rows)], strict=True):
            part = rows.take(np.arange(begin, end))
            state = np.where(part.predicted, TrackState.LOST, TrackState.CONFIRMED)
            row = np.where(part.predicted, -1, np.arange(len(part)))  # which detection it was is not in the table
            tracks = Tracks(part.id, part.xyxy, part.score, part.class_id, row, state)
            sink.write(Frame(no_image, frame, float(part.time[0])), nothing, tracks)
    with writing(path):
        partial.replace(path)
    return path
