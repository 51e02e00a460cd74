"""MOTChallenge text: a file `NAME.txt` a sequence, or the benchmark's folders with `gt/gt.txt` and `seqinfo.ini`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracker.evaluation.formats.table import OBJECT, UNKNOWN, Notes, Table, file_name, make_table, only_one, write_whole
from tracker.evaluation.mot import COLUMNS, read_sequence_info
from tracker.evaluation.rows import read_rows

CLASSES = (
    "pedestrian",
    "person on vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non motorized vehicle",
    "static person",
    "distractor",
    "occluder",
    "occluder on the ground",
    "occluder full",
    "reflection",
    "crowd",
)
"""Names of MOT16's classes, which are numbered from 1 (Milan et al., 2016, table 4; MOT20 keeps them)."""
_BY_NAME = {name: number for number, name in enumerate(CLASSES, 1)} | {"person": 1}


def read(path: Path, notes: Notes) -> list[Table]:
    """A file, a sequence's folder, a folder of sequences, or a folder of files.

    Raises:
        DataError: nothing there, or a row that is not of the format; names file and line.
    """
    if path.is_file():
        inside = path.parent.name in ("gt", "det") and (path.parent.parent / "seqinfo.ini").is_file()
        return [_read_file(path, path.parent.parent if inside else None, notes)]
    if (path / "gt/gt.txt").is_file():
        return [_read_file(path / "gt/gt.txt", path, notes)]
    folders = [_read_file(p, p.parent.parent, notes) for p in sorted(path.glob("*/gt/gt.txt"))]
    return folders or [_read_file(p, None, notes) for p in sorted(path.glob("*.txt"))]


def _read_file(path: Path, folder: Path | None, notes: Notes) -> Table:
    rows = read_rows(path, least=6, columns=COLUMNS)
    v = rows.values
    rows.refuse(v[:, 0] < 1, "frames in a MOT file begin at 1, not 0")
    rows.refuse(v[:, 1] < 0, "a negative id; these are detections, and formats of tracks need ids")
    width = v.shape[1]
    label, labels = _labels(v[:, 7] if width > 7 else np.full(len(v), -1.0), path, notes)
    columns = {"score": v[:, 6]} if width > 6 else {}
    # Ten columns without classes are MOT15's; its ninth is a position.
    if width == 9 or (width > 9 and label is not None):
        columns["visibility"] = np.where((v[:, 8] >= 0) & (v[:, 8] <= 1), v[:, 8], UNKNOWN)
    info = read_sequence_info(folder) if folder else None
    return make_table(
        path,
        folder.resolve().name if folder else path.stem,
        frame=v[:, 0] - 1,
        id=v[:, 1],
        xyxy=np.concatenate([v[:, 2:4], v[:, 2:4] + v[:, 4:6]], axis=1),
        label=label,
        labels=labels,
        where=rows.line,
        length=info.length if info else 0,
        size=info.size if info else (0, 0),
        rate=info.rate if info else 0.0,
        columns=columns,
    )


def _labels(numbers: NDArray[np.float64], path: Path, notes: Notes) -> tuple[list[str] | None, tuple[str, ...]]:
    """Names of the classes in column 8, none where it holds -1 or positions in the world."""
    if not len(numbers) or (numbers == -1).all():
        return None, ()
    if not ((numbers == -1) | ((numbers >= 1) & (numbers == np.floor(numbers)) & (numbers < 1e6))).all():
        notes.add(f"{path}: column 8 holds no classes (world coordinates, as in MOT15?) and was left out")
        return None, ()
    kinds = numbers.astype(np.int64).tolist()
    names = {k: OBJECT if k < 0 else CLASSES[k - 1] if k <= len(CLASSES) else str(k) for k in set(kinds)}
    return [names[k] for k in kinds], tuple(names[k] for k in sorted(names))


def write(path: Path, tables: list[Table], notes: Notes) -> None:
    """A file `NAME.txt`, or a folder of them where the path does not end in `.txt`.

    Raises:
        DataError: several sequences for one file.
    """
    if path.suffix == ".txt":
        _write_file(path, only_one(tables, path), notes)
        return
    for table in tables:
        _write_file(path / f"{file_name(table)}.txt", table, notes)


def write_folders(path: Path, tables: list[Table], notes: Notes) -> None:
    """The benchmark's folders: `NAME/gt/gt.txt`, and `NAME/seqinfo.ini` where the pictures' size is known."""
    for table in tables:
        folder = path / file_name(table)
        _write_file(folder / "gt/gt.txt", table, notes)
        length = table.length or (int(table.frame[-1]) + 1 if len(table) else 0)
        lines = [f"name={table.name}", "imDir=img1", f"frameRate={table.rate or 25:g}", f"seqLength={length}"]
        lines += [f"imWidth={table.size[0]}", f"imHeight={table.size[1]}", "imExt=.jpg"]
        if not table.rate or not table.size[0]:
            notes.add(
                "frames a second or the pictures' size are not known: seqinfo.ini says 25 and 0; give --rate, --size"
            )
        _write_text(folder / "seqinfo.ini", "\n".join(["[Sequence]", *lines, ""]))


def _write_file(path: Path, table: Table, notes: Notes) -> None:
    regions = table.id < 0
    if regions.any():
        notes.add("regions without identity (DontCare) have no place in a MOT file and were left out")
    numbers = _numbers(table.labels, notes)
    columns = (table.frame, table.id, table.ltwh, table.score, table.label, table.visibility)
    lines = [
        f"{frame + 1},{i},{x:.10g},{y:.10g},{w:.10g},{h:.10g},{score:.10g},{numbers[label]},{visible:.10g}\n"
        for frame, i, (x, y, w, h), score, label, visible in zip(*(c[~regions].tolist() for c in columns), strict=True)
    ]
    _write_text(path, "".join(lines))


def _write_text(path: Path, text: str) -> None:
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def _numbers(labels: tuple[str, ...], notes: Notes) -> list[int]:
    """Numbers of the classes: MOT16's, those that are numbers, and for the rest the next free ones; -1 for none."""
    numbers: dict[str, int] = {OBJECT: -1}
    rest = []
    for label in labels:
        number = _BY_NAME.get(label.lower()) or (int(label) if label.isascii() and label.isdigit() else None)
        if number is not None:
            numbers.setdefault(label, number)
        elif label not in numbers:
            rest.append(label)
    free = max(len(CLASSES), *numbers.values()) + 1
    for label in rest:
        numbers[label] = free
        notes.add(f"MOT has no class {label!r}: written as {free}")
        free += 1
    return [numbers[label] for label in labels]
