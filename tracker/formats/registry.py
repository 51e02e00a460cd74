"""All formats of boxes with ids, by name: whoever reads or writes any looks it up here.

A format is a module of this package, loaded when it is first used. It has

- `read(path, notes)`, which gives a `Table` for each sequence of a file or folder; what it may be told beside these two
  it names in `OPTIONS`;
- unless it is only read, `write(path, tables, notes)` where one file takes all sequences, or
  `write_sequence(path, table, notes)` where each has its own; and `CARRIES`, what of a table it has a place for (frame,
  id and box go without saying). What it has none for is told here, and never reaches a writer that cannot write it;
- where `reacquire track` saves it line by line, `run_lines(frame, tracks, names)`, and `RUN_HEADER` if there is one;
  `write_run(path, table)` where a run's file looks otherwise than what the writer makes of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.errors import DataError

if TYPE_CHECKING:
    from tracker.formats.mot import Classes
    from tracker.formats.table import Notes, Table
    from tracker.types import Frame, Tracks


@dataclass(frozen=True, slots=True)
class Format:
    """A format, and where its reader and its writer are.

    Attributes:
        words: what it is; up to the first comma, what it is called.
        module: in this package.
        suffixes: of its files, in small letters.
        saved: the name of a run's file, where `reacquire track` saves the format.
        timed: whether times and marks of boxes nobody saw are kept, so that a run can be refined from it.
    """

    words: str
    module: str
    suffixes: tuple[str, ...] = ()
    saved: str | None = None
    timed: bool = False

    def _load(self, name: str, default: Any = None) -> Any:
        return getattr(importlib.import_module(f"tracker.formats.{self.module}"), name, default)

    @property
    def a_file_each(self) -> bool:
        """Whether every sequence has a file of its own."""
        return self._load("write_sequence") is not None

    @property
    def written(self) -> bool:
        """Whether it has a writer."""
        return self._load("write") is not None or self._load("write_sequence") is not None

    def read(self, path: Path, notes: Notes, **options: Any) -> list[Table]:
        """All sequences of a file or folder.

        Args:
            path: of the file or folder.
            notes: takes what was left out.
            options: what is known beside; the reader is told what it asks for.

        Raises:
            DataError: something is wrong in it; names file and line.
        """
        asked = self._load("OPTIONS", ())
        tables: list[Table] = self._load("read")(path, notes, **{k: v for k, v in options.items() if k in asked})
        return tables

    def write(self, path: Path, tables: list[Table], notes: Notes) -> None:
        """A file of these sequences, or a folder of files where each has its own and the path has no suffix of theirs.

        Args:
            path: of the file or folder.
            tables: of the sequences.
            notes: takes what the format has no place for, and was left out.

        Raises:
            DataError: the format is only read, or several sequences are meant for one file.
            ReacquireError: it cannot be written.
        """
        from tracker.formats.table import file_name, only_one

        whole, each = self._load("write"), self._load("write_sequence")
        if whole is None and each is None:
            raise DataError(f"{path}: {self.words}: this format is only read")
        tables = [_fitting(table, self.words.split(",")[0], self._load("CARRIES"), notes) for table in tables]
        if whole is not None:
            whole(path, tables, notes)
        elif path.suffix.lower() in self.suffixes:
            each(path, only_one(tables, path), notes)
        else:
            for table in tables:
                each(path / f"{file_name(table)}{self.suffixes[0]}", table, notes)

    def write_run(self, path: Path, table: Table) -> None:
        """A file as a run saves it."""
        from tracker.formats.table import Notes, rounded

        write: Callable[[Path, Table], None] | None = self._load("write_run")
        if write is None:
            self.write(path, [rounded(table)], Notes())
        else:
            write(path, table)

    def run_lines(self) -> tuple[str, Callable[[Frame, Tracks, Mapping[int, str]], list[str]]]:
        """The header of a run's file, if any, and what makes the lines of each frame."""
        return self._load("RUN_HEADER", ""), self._load("run_lines")


def _fitting(table: Table, title: str, carries: Collection[str], notes: Notes) -> Table:
    """A table without the regions that a format has no place for; whatever else that is known is lost is told."""
    predicted = int(table.predicted.sum())
    if predicted and "predicted" not in carries:
        notes.add(f"{predicted} boxes are where somebody out of sight was expected; the mark `predicted` is not kept")
    known = {
        "score": bool((table.score != 1).any()),
        "label": any(name != "object" for name in table.labels),
        **{name: getattr(table, name) is not None for name in ("visibility", "truncated", "occluded", "time")},
        "length": table.length > 0,
        "size": table.size[0] > 0,
        "rate": table.rate > 0,
        "regions": bool((table.id < 0).any()),
    }
    lost = [LOST[name] for name, there in known.items() if there and name not in carries]
    if lost:
        listed = " and ".join(filter(None, [", ".join(lost[:-1]), lost[-1]]))
        notes.add(f"{title} has no place for {listed}: left out")
    return table.take(table.id >= 0) if "regions" not in carries else table


LOST = {
    "score": "scores",
    "label": "classes",
    "visibility": "shares that are visible",
    "truncated": "truncation",
    "occluded": "occlusion",
    "time": "times",
    "length": "the sequence's length",
    "size": "the pictures' size",
    "rate": "frames a second",
    "regions": "regions without identity (DontCare)",
}
"""What a table may know, in words."""
FORMATS: Mapping[str, Format] = {
    "mot": Format("MOTChallenge text, a file NAME.txt a sequence", "mot", (".txt",), saved="tracks.txt"),
    "motchallenge": Format("MOTChallenge folders, NAME/gt/gt.txt and NAME/seqinfo.ini", "motchallenge"),
    "coco": Format("COCO-VID JSON, one file", "coco", (".json",)),
    "cvat": Format("CVAT for video 1.1, a file NAME.xml a sequence", "cvat", (".xml",)),
    "kitti": Format("KITTI tracking labels, a file NAME.txt a sequence", "kitti", (".txt",)),
    "parquet": Format("Parquet, one file", "parquet", (".parquet",), saved="tracks.parquet", timed=True),
    "csv": Format("CSV with a header, one file", "csv", (".csv", ".tsv"), saved="tracks.csv", timed=True),
    "jsonl": Format("JSON Lines, one file", "jsonl", (".jsonl",), saved="tracks.jsonl", timed=True),
    "yolo": Format("folder of labels that Ultralytics' trackers save (in only)", "yolo"),
}
BY_SUFFIX: Mapping[str, str] = {
    suffix: name for name, format_ in reversed(list(FORMATS.items())) for suffix in format_.suffixes
}
"""The format that a suffix stands for; of several, the first."""
AMBIGUOUS = ".txt"
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")


def refuse_spreadsheets(path: Path) -> None:
    """Refuse what only a spreadsheet reads and writes.

    Raises:
        DataError: says what to do instead.
    """
    if path.suffix.lower() in SPREADSHEETS:
        raise DataError(f"{path}: spreadsheets are not read or written; use .csv, which they all open and save")


def recognise(path: Path) -> str:
    """The format of a file or folder, from its suffix and its content.

    Raises:
        DataError: nothing there, or no way to tell.
    """
    refuse_spreadsheets(path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    for file in [path] if path.is_file() else _some(path):
        suffix = file.suffix.lower()
        if suffix in BY_SUFFIX and suffix != AMBIGUOUS:
            return BY_SUFFIX[suffix]
        kind = _of_text(file, in_folder=path.is_dir())
        if kind is not None:
            return kind
    raise DataError(f"{path}: what format is this? Say it: --from {', '.join(FORMATS)}")


def _of_text(file: Path, *, in_folder: bool) -> str | None:
    """The format of a text file by its first row; None where it has none."""
    from tracker.formats.text import lines_of, number
    from tracker.formats.yolo import WITH_SCORE

    with file.open("rb") as opened:
        head = lines_of(opened.read(10_000))
    fields = next((line.replace(",", " , ").split() for line in head if line.strip()), [])
    if len(fields) > 2 and "," not in fields and number(fields[0]) is not None and number(fields[2]) is None:
        return "kitti"
    if "," not in fields and 5 <= len(fields) <= WITH_SCORE and in_folder and number(fields[0]) is not None:
        return "yolo"
    return "mot" if fields else None


def _some(folder: Path) -> list[Path]:
    """A few files of a folder that tell its format."""
    usual = ("gt/gt.txt", "*/gt/gt.txt", "label_02/*.txt", "labels/*.txt", "*.txt")
    own = (f"*{suffix}" for suffix, name in BY_SUFFIX.items() if suffix != AMBIGUOUS and FORMATS[name].a_file_each)
    for pattern in chain(usual, own):
        found = sorted(p for p in folder.glob(pattern) if p.is_file() and p.name != "classes.txt")
        if found:
            return found[:20]
    return []


def format_to_write(path: Path, kind: str | None = None) -> str:
    """The format that a file or folder is to be written in.

    Args:
        path: where to.
        kind: a key of `FORMATS`; told by the suffix where it is None, and MOTChallenge's for a folder.

    Raises:
        DataError: a suffix of no format, or of another one.
    """
    refuse_spreadsheets(path)
    suffix = path.suffix.lower()
    if kind is not None:
        own = find_format(kind).suffixes
        if suffix in BY_SUFFIX and suffix not in own and not path.is_dir():
            raise DataError(f"{path}: {suffix} is no file of {kind}; expected {' or '.join(own) or 'a folder'}")
        return kind
    if path.is_dir() or not suffix:
        return "mot"
    if suffix not in BY_SUFFIX:
        there_are = ", ".join(sorted(BY_SUFFIX))
        raise DataError(f"{path}: {suffix} is no suffix of a format; there are {there_are}; for a folder, say --to mot")
    return BY_SUFFIX[suffix]


def find_format(kind: str) -> Format:
    """A format by its name.

    Raises:
        DataError: there is none; names those there are.
    """
    if kind not in FORMATS:
        raise DataError(f"format {kind!r} is unknown; there are: {', '.join(FORMATS)}")
    return FORMATS[kind]


def read_tables(
    source: Path,
    kind: str | None,
    notes: Notes,
    *,
    size: tuple[int, int] | None = None,
    rate: float | None = None,
    classes: Classes = None,
) -> list[Table]:
    """All sequences of a file or folder.

    Args:
        source: file or folder.
        kind: a key of `FORMATS`; recognised where it is None.
        notes: takes what was left out.
        size: width and height of the pictures, where the source does not say.
        rate: frames a second, where the source does not say.
        classes: what column 8 of MOTChallenge's text holds, see `tracker.formats.mot`.

    Raises:
        DataError: unknown format, nothing there, or something wrong in it; names file and line.
    """
    kind = kind or recognise(source)
    format_ = find_format(kind)
    tables = format_.read(source, notes, size=size, classes=classes)
    if not tables:
        raise DataError(f"{source}: no sequences of {format_.words}")
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
        DataError: see `read_tables` and `format_to_write`; also where two sequences have one name.
    """
    from tracker.formats.table import Notes

    notes = Notes()
    format_ = find_format(format_to_write(target, write_as))
    if not format_.written:
        raise DataError(f"{write_as}: this format is only read")
    tables = read_tables(source, read_as, notes, size=size, rate=rate)
    names = [table.name for table in tables]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{source}: two sequences are called {twice!r}")
    format_.write(target, tables, notes)
    return tables, notes
