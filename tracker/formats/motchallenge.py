"""MOTChallenge's folders: `NAME/gt/gt.txt`, and `NAME/seqinfo.ini` with length, size and rate."""

from __future__ import annotations

from pathlib import Path

from tracker.formats import mot
from tracker.formats.seqinfo import FILE, SequenceInfo, sequence_info_text
from tracker.formats.table import Notes, Table, file_name, write_text

CARRIES = mot.CARRIES | {"length", "size", "rate"}
OPTIONS = mot.OPTIONS
NOMINAL_RATE = 25.0
"""Frames a second that are written where they are not known."""
read = mot.read


def write(path: Path, tables: list[Table], notes: Notes) -> None:
    """A folder for each sequence."""
    for table in tables:
        folder = path / file_name(table)
        mot.write_sequence(folder / "gt/gt.txt", table, notes)
        if not table.rate or not table.size[0]:
            notes.add(
                "frames a second or the pictures' size are not known: seqinfo.ini says 25 and 0; give --rate, --size"
            )
        info = SequenceInfo(table.frames, table.size, table.rate or NOMINAL_RATE, table.name)
        write_text(folder / FILE, sequence_info_text(info))
