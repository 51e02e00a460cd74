"""The tracks of a finished run, made better with what is known at its end, beside the originals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from tracker.errors import ConfigError, DataError
from tracker.formats.registry import FORMATS

if TYPE_CHECKING:
    from tracker.formats.table import Table
    from tracker.offline.joining import Looks
    from tracker.offline.trajectories import Trajectories

Refinement = Literal["join", "gap", "both"]
SOURCES = tuple(name for name, format_ in FORMATS.items() if format_.saved and format_.timed)
"""Formats that a run can be refined from, best first: with times, and with marks of boxes that nobody saw."""
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
    if not set(SOURCES) & set(save):
        raise ConfigError(f"--refine works on a table of tracks with times: add {' or '.join(SOURCES)} to --save")


def refined_path(path: Path) -> Path:
    """`tracks.txt` is `tracks.refined.txt`."""
    return path.with_name(f"{path.stem}.refined{path.suffix}")


def refine_run(folder: Path, what: Refinement, looks: Looks | None = None) -> list[Path]:
    """Refine the table of a run, and write it beside the original in every format that is there.

    Only what was seen counts: where the tracker expected somebody out of sight, filling knows better now, and those who
    did not come back are left out.

    Args:
        folder: of the run; its table of tracks is read whole.
        what: see `REFINEMENTS`.
        looks: what ids look like, for joining.

    Returns:
        The files that were written.

    Raises:
        DataError: no table of tracks, or a damaged one.
        ReacquireError: a file cannot be written.
    """
    from tracker.offline.joining import fill, join

    table = _read(folder)
    rows = trajectories_of(table)
    rows = rows.take(np.flatnonzero(~rows.predicted))
    if what != "gap":
        rows = join(rows, looks)
    if what != "join":
        rows = fill(rows)
    written = []
    for format_ in sorted(FORMATS.values(), key=lambda format_: not format_.timed):
        if format_.saved is not None and (folder / format_.saved).exists():
            path = refined_path(folder / format_.saved)
            format_.write_run(path, table_of(rows, table, path.stem))
            written.append(path)
    return written


def _read(folder: Path) -> Table:
    from tracker.formats.table import Notes

    there = [FORMATS[name] for name in SOURCES if (folder / str(FORMATS[name].saved)).is_file()]
    if not there:
        raise DataError(f"{folder / str(FORMATS[SOURCES[0]].saved)}: no table of tracks to refine")
    (table,) = there[0].read(folder / str(there[0].saved), Notes())
    return table


def trajectories_of(table: Table) -> Trajectories:
    """A table's rows, for what is done when all of them are known.

    Raises:
        DataError: no times in it.
    """
    from tracker.offline.trajectories import Trajectories

    if np.isnan(table.time).any():
        raise DataError(f"{table.name}: a table of tracks needs the column timestamp to be refined")
    numbers = np.array([*_numbers(table), 0], np.int64)
    return Trajectories.of(
        table.frame,
        table.time,
        table.id,
        table.xyxy,
        table.score,
        numbers[table.label],
        filled=table.filled,
        predicted=table.predicted,
    )


def table_of(rows: Trajectories, original: Table, name: str) -> Table:
    """Refined rows as a table, with the classes of the one that they come from."""
    from tracker.formats.table import make_table

    names = dict(zip(_numbers(original), original.labels, strict=True))
    return make_table(
        Path(name),
        name,
        frame=rows.frame,
        id=rows.id,
        xyxy=rows.xyxy,
        label=[names[number] for number in rows.class_id.tolist()],
        labels=original.labels,
        length=original.length,
        size=original.size,
        rate=original.rate,
        columns={"score": rows.score, "time": rows.time, "predicted": rows.predicted, "filled": rows.filled},
        class_ids=dict(zip(original.labels, original.class_ids, strict=True)),
    )


def _numbers(table: Table) -> list[int]:
    """A number for each class: the detector's, or where that is not known one that no other class has."""
    free = max([*table.class_ids, -1]) + 1
    return [number if number >= 0 else free + i for i, number in enumerate(table.class_ids)]
