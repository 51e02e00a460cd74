"""The tracks of a finished run, made better with what is known at its end, beside the originals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tracker.errors import ConfigError, DataError
from tracker.formats.registry import FORMATS

if TYPE_CHECKING:
    from tracker.formats.table import Table
    from tracker.offline.joining import Embeddings

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


def refine_run(folder: Path, what: Refinement, embeddings: Embeddings | None = None) -> list[Path]:
    """Refine the table of a run, and write it beside the original in every format that is there.

    Only what was seen counts: where the tracker expected somebody out of sight, filling knows better now, and those who
    did not come back are left out.

    Args:
        folder: of the run; its table of tracks is read whole.
        what: see `REFINEMENTS`.
        embeddings: what ids look like, for joining.

    Returns:
        The files that were written.

    Raises:
        DataError: no table of tracks, or a damaged one.
        ReacquireError: a file cannot be written.
    """
    from tracker.offline.joining import fill, join

    table = read_tracks(folder)
    table = table.take(~(table.predicted | table.filled))
    if what != "gap":
        table = join(table, embeddings)
    if what != "join":
        table = fill(table)
    written = []
    for format_ in sorted(FORMATS.values(), key=lambda format_: not format_.timed):
        if format_.saved is not None and (folder / format_.saved).exists():
            path = refined_path(folder / format_.saved)
            format_.write_run(path, replace(table, name=path.stem))
            written.append(path)
    return written


def read_tracks(folder: Path) -> Table:
    """The table of tracks of a run, with times.

    Raises:
        DataError: there is none, or a damaged one.
    """
    from tracker.formats.table import Notes

    there = [FORMATS[name] for name in SOURCES if (folder / str(FORMATS[name].saved)).is_file()]
    if not there:
        raise DataError(f"{folder / str(FORMATS[SOURCES[0]].saved)}: no table of tracks with times")
    (table,) = there[0].read(folder / str(there[0].saved), Notes())
    if table.time is None and len(table):
        raise DataError(f"{folder / str(there[0].saved)}: a table of tracks needs the column timestamp to be refined")
    return table
