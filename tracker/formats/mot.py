"""MOTChallenge text: a file `NAME.txt` a sequence, or the benchmark's folders with `gt/gt.txt` and `seqinfo.ini`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracker.formats.rows import Rows, read_rows
from tracker.formats.seqinfo import MOST_FRAMES, SequenceInfo, read_sequence_info, sequence_info_text
from tracker.formats.table import (
    FARTHEST,
    LARGEST,
    OBJECT,
    UNKNOWN,
    Notes,
    Table,
    file_name,
    has_area,
    make_table,
    only_one,
    repeated,
    write_whole,
)
from tracker.types import Frame, Tracks

COLUMNS = ("frame", "id", "left", "top", "width", "height", "score", "class", "visibility")
LEAST = 6
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


def read_mot(path: Path, *, length: int | None = None) -> Rows:
    """Rows of ground truth or of a result: ``frame, id, left, top, width, height, score or flag, …``, frames from 1.

    Args:
        path: of the file.
        length: frames of the sequence, where known.

    Returns:
        ``(N, K)`` with K at least 6; what the columns behind hold is for the caller to judge.

    Raises:
        DataError: a row that would be read wrongly; names file and line.
    """
    rows = read_rows(path, columns=COLUMNS, least=LEAST)
    v = rows.values
    rows.refuse(~np.isfinite(v).all(1), "a value is NaN or infinite")
    _check_frames(rows, length)
    rows.refuse((v[:, 1] != np.floor(v[:, 1])) | (np.abs(v[:, 1]) >= LARGEST), "the id is no whole number")
    rows.refuse(~_has_area(v), "width and height must be above 0")
    rows.refuse(_far_off(v), f"the box is more than {FARTHEST:,.0f} pixels away")
    rows.refuse(repeated(v[:, 0], v[:, 1]) & (v[:, 1] >= 0), "this id is in this frame twice")
    return rows


def read_detections(path: Path, *, length: int | None = None) -> tuple[Rows, dict[str, NDArray[np.bool_]]]:
    """Rows of detections: ``frame, id, left, top, width, height, score``, frames from 1; ids mean nothing here.

    Args:
        path: of the file.
        length: frames of the sequence, where known.

    Returns:
        All rows, ``(N, K)`` with K at least 7, a missing score is 1; and which of them are of no use, by reason.

    Raises:
        DataError: no rows of numbers, or frames or ids that cannot be; names file and line.
    """
    rows = read_rows(path, columns=COLUMNS, least=LEAST)
    v = rows.values
    if v.shape[1] == LEAST:
        rows = Rows(path, np.column_stack([v, np.ones(len(v))]))
    whole = np.asarray(np.isfinite(v[:, :7]).all(1), np.bool_)
    finite = Rows(path, np.where(whole[:, None], v, 1.0))
    _check_frames(finite, length)
    finite.refuse(finite.values[:, 1] % 1 != 0, "the id is no whole number: is a column missing, or one too many?")
    with np.errstate(invalid="ignore"):
        return rows, {
            "a value is NaN or infinite": ~whole,
            "no width or height": whole & ~_has_area(v),
            "so far off that it is no place in a picture": whole & _has_area(v) & _far_off(v),
        }


def _check_frames(rows: Rows, length: int | None) -> None:
    frame = rows.values[:, 0]
    rows.refuse(frame < 1, "frames in a MOT file begin at 1, not 0: add 1 to every frame")
    rows.refuse(frame != np.floor(frame), "the frame is no whole number")
    if length is not None:
        rows.refuse(frame > length, f"the sequence has only {length} frames: is the file of another sequence?")
    rows.refuse(frame > MOST_FRAMES, "so many frames are too many: is column 1 a time?")


def corners_of(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(N, 4)`` corners of rows with left, top, width and height in columns 3 to 6."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1)


def _has_area(v: NDArray[np.float64]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return np.asarray((v[:, 4:6] > 0).all(1) & (has_area(corners_of(v)) | _far_off(v)), np.bool_)


def _far_off(v: NDArray[np.float64]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return np.asarray((np.abs(corners_of(v)) > FARTHEST).any(1), np.bool_)


def _read_file(path: Path, folder: Path | None, notes: Notes) -> Table:
    info = read_sequence_info(folder) if folder else SequenceInfo()
    rows = read_mot(path, length=info.length or None)
    v = rows.values
    rows.refuse(v[:, 1] < 0, "a negative id; these are detections, and formats of tracks need ids")
    width = v.shape[1]
    label, labels = _labels(v[:, 7] if width > 7 else np.full(len(v), -1.0), path, notes)
    columns = {"score": v[:, 6]} if width > 6 else {}
    # Ten columns without classes are MOT15's; its ninth is a position.
    if width == 9 or (width > 9 and label is not None):
        columns["visibility"] = np.where((v[:, 8] >= 0) & (v[:, 8] <= 1), v[:, 8], UNKNOWN)
    return make_table(
        path,
        folder.resolve().name if folder else path.stem,
        frame=v[:, 0] - 1,
        id=v[:, 1],
        xyxy=corners_of(v),
        label=label,
        labels=labels,
        where=rows.line,
        length=info.length,
        size=info.size,
        rate=info.rate,
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


def write_run(path: Path, table: Table) -> None:
    """A result as `reacquire track` saves it: what the servers of MOTChallenge take."""
    lines = _result_lines(table.frame.tolist(), table.id, table.xyxy, table.score)
    _write_text(path, "".join(f"{line}\n" for line in lines))


def run_lines(frame: Frame, tracks: Tracks, names: Mapping[int, str]) -> list[str]:
    """A frame's rows of a result; the format has no place for classes, or to say that a box is predicted.

    Args:
        frame: its index.
        tracks: a row each.
        names: of class ids, not looked at.
    """
    return _result_lines([frame.index] * len(tracks), tracks.id, tracks.xyxy, tracks.score)


def _result_lines(
    frame: list[int], ids: NDArray[np.int64], xyxy: NDArray[np.floating], score: NDArray[np.floating]
) -> list[str]:
    """Rows of a result: ``frame, id, left, top, width, height, score, -1, -1, -1``, frames from 1."""
    rows = zip(frame, ids.tolist(), xyxy.tolist(), score.tolist(), strict=True)
    return [
        f"{f + 1},{i},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{s:.4f},-1,-1,-1"
        for f, i, (x1, y1, x2, y2), s in rows
    ]


def write_folders(path: Path, tables: list[Table], notes: Notes) -> None:
    """The benchmark's folders: `NAME/gt/gt.txt`, and `NAME/seqinfo.ini` where the pictures' size is known."""
    for table in tables:
        folder = path / file_name(table)
        _write_file(folder / "gt/gt.txt", table, notes)
        length = table.length or (int(table.frame[-1]) + 1 if len(table) else 0)
        if not table.rate or not table.size[0]:
            notes.add(
                "frames a second or the pictures' size are not known: seqinfo.ini says 25 and 0; give --rate, --size"
            )
        info = SequenceInfo(length, table.size, table.rate or 25.0, table.name)
        _write_text(folder / "seqinfo.ini", sequence_info_text(info))


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


def class_number(label: str) -> int | None:
    """The number of a class: MOT16's, its own where a number is its name, 1 where it has no name; None for others."""
    if label == OBJECT:
        return 1
    whole = label.isascii() and label.isdigit() and len(label) < 7
    return _BY_NAME.get(label.lower()) or (int(label) if whole else None)


def _numbers(labels: tuple[str, ...], notes: Notes) -> list[int]:
    """Numbers of the classes: MOT16's, those that are numbers, and for the rest the next free ones; -1 for none."""
    numbers: dict[str, int] = {OBJECT: -1}
    rest = []
    for label in labels:
        number = class_number(label)
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
