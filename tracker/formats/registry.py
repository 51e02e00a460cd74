"""All formats by name, and from one to another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tracker.errors import DataError
from tracker.formats import coco, cvat, kitti, mot, parquet, yolo
from tracker.formats.table import Notes, Table
from tracker.formats.text import number


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is read and written, and what it is.

    Attributes:
        words: what it is.
        read: None where it is only written.
        write: None where it is only read.
    """

    words: str
    read: Callable[[Path, Notes], list[Table]] | None
    write: Callable[[Path, list[Table], Notes], None] | None


FORMATS = {
    "mot": Format("MOTChallenge text, a file NAME.txt a sequence", mot.read, mot.write),
    "motchallenge": Format("MOTChallenge folders, NAME/gt/gt.txt and NAME/seqinfo.ini", mot.read, mot.write_folders),
    "coco": Format("COCO-VID JSON, one file", coco.read, coco.write),
    "cvat": Format("CVAT for video 1.1, a file NAME.xml a sequence", cvat.read, cvat.write),
    "kitti": Format("KITTI tracking labels, a file NAME.txt a sequence", kitti.read, kitti.write),
    "parquet": Format("Parquet, one file", parquet.read, parquet.write),
    "yolo": Format("folder of labels that Ultralytics' trackers save (in only)", yolo.read, None),
}
BY_SUFFIX = {".json": "coco", ".xml": "cvat", ".parquet": "parquet"}


def recognise(path: Path, *, reading: bool) -> str:
    """The format of a path, from its suffix, and from its content where it is to be read.

    Raises:
        DataError: nothing there, or no way to tell.
    """
    if path.suffix in BY_SUFFIX and not path.is_dir():
        return BY_SUFFIX[path.suffix]
    if not reading:
        return "mot"
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    files = [path] if path.is_file() else _some(path)
    for file in files:
        if file.suffix in BY_SUFFIX:
            return BY_SUFFIX[file.suffix]
        with file.open(encoding="utf-8-sig", errors="replace") as opened:
            fields = opened.readline(10_000).replace(",", " , ").split()
        if len(fields) > 2 and "," not in fields and number(fields[2]) is None:
            return "kitti"
        if "," not in fields and 5 <= len(fields) <= yolo.WITH_SCORE and path.is_dir():
            return "yolo"
        if fields:
            return "mot"
    raise DataError(f"{path}: what format is this? Say it: --from {', '.join(FORMATS)}")


def _some(folder: Path) -> list[Path]:
    """A few files of a folder that tell its format."""
    for pattern in ("gt/gt.txt", "*/gt/gt.txt", "label_02/*.txt", "labels/*.txt", "*.txt", "*.xml"):
        found = sorted(p for p in folder.glob(pattern) if p.is_file() and p.name != "classes.txt")
        if found:
            return found[:20]
    return []


def read_tables(
    source: Path, kind: str | None, notes: Notes, *, size: tuple[int, int] | None = None, rate: float | None = None
) -> list[Table]:
    """All sequences of a file or folder.

    Args:
        source: file or folder.
        kind: a key of `FORMATS`; recognised where it is None.
        notes: takes what was left out.
        size: width and height of the pictures, where the source does not say.
        rate: frames a second, likewise.

    Raises:
        DataError: unknown format, nothing there, or something wrong in it; names file and line.
    """
    kind = kind or recognise(source, reading=True)
    reader = _format(kind).read
    if reader is None:
        raise DataError(f"{kind}: this format cannot be read")
    tables = yolo.read(source, notes, size) if kind == "yolo" else reader(source, notes)
    if not tables:
        raise DataError(f"{source}: no sequences of {FORMATS[kind].words}")
    return [replace(t, size=t.size if t.size[0] else size or (0, 0), rate=t.rate or rate or 0.0) for t in tables]


def convert(
    source: Path,
    target: Path,
    *,
    read_as: str | None = None,
    write_as: str | None = None,
    size: tuple[int, int] | None = None,
    rate: float | None = None,
) -> tuple[list[Table], Notes]:
    """Read in one format and write in another.

    Args:
        source: file or folder.
        target: file or folder; replaced if it is a file that is there.
        read_as, write_as: keys of `FORMATS`; recognised from the paths where they are None.
        size, rate: of the pictures, where the source does not say.

    Returns:
        What was written, and what could not be.

    Raises:
        DataError: see `read_tables`; also where two sequences have one name.
    """
    notes = Notes()
    kind = write_as or recognise(target, reading=False)
    writer = _format(kind).write
    if writer is None:
        raise DataError(f"{kind}: this format is only read")
    tables = read_tables(source, read_as, notes, size=size, rate=rate)
    names = [table.name for table in tables]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{source}: two sequences are called {twice!r}")
    writer(target, tables, notes)
    return tables, notes


def _format(kind: str) -> Format:
    if kind not in FORMATS:
        raise DataError(f"format {kind!r} is unknown; there are: {', '.join(FORMATS)}")
    return FORMATS[kind]
