"""MOTChallenge text: a file `NAME.txt` a sequence; the benchmark's folders with `gt/gt.txt` are read too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tracker.formats.rows import Rows, read_rows
from tracker.formats.seqinfo import MOST_FRAMES, SequenceInfo, read_sequence_info
from tracker.formats.table import (
    FARTHEST,
    LARGEST,
    OBJECT,
    UNKNOWN,
    Notes,
    Table,
    has_area,
    make_table,
    repeated,
    write_text,
)
from tracker.types import Frame, Tracks

CARRIES = frozenset({"score", "label", "visibility"})
OPTIONS = ("classes",)
"""What `read` may be told beside the path."""
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


Classes = Literal["needed", "optional", "ignored"] | None
"""What column 8 holds: "needed", a class in every row, or -1 in all; "optional", a class, or 0 or -1 for none;
"ignored", something else; None, what it looks like."""
MOST_CLASSES = 1_000_000


def read(path: Path, notes: Notes, classes: Classes = None) -> list[Table]:
    """A file, a sequence's folder, a folder of sequences, or a folder of files.

    Args:
        path: of the file or folder.
        notes: takes what was left out.
        classes: what column 8 holds.

    Raises:
        DataError: nothing there, or a row that is not of the format; names file and line.
    """
    if path.is_file():
        inside = path.parent.name in ("gt", "det") and (path.parent.parent / "seqinfo.ini").is_file()
        return [_read_file(path, path.parent.parent if inside else None, notes, classes)]
    if (path / "gt/gt.txt").is_file():
        return [_read_file(path / "gt/gt.txt", path, notes, classes)]
    folders = [_read_file(p, p.parent.parent, notes, classes) for p in sorted(path.glob("*/gt/gt.txt"))]
    return folders or [_read_file(p, None, notes, classes) for p in sorted(path.glob("*.txt"))]


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


def _read_file(path: Path, folder: Path | None, notes: Notes, classes: Classes) -> Table:
    info = read_sequence_info(folder) if folder else SequenceInfo()
    rows = read_mot(path, length=info.length or None)
    v = rows.values
    rows.refuse(v[:, 1] < 0, "a negative id; these look like detections, not like tracks")
    width = v.shape[1]
    label, labels = _labels(rows, notes, classes)
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


def _labels(rows: Rows, notes: Notes, classes: Classes) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """The class of each row, as its place among their names; none where column 8 holds -1, or no classes."""
    numbers = rows.values[:, 7] if rows.values.shape[1] > 7 else np.full(len(rows), -1.0)
    if not len(numbers) or (numbers == -1).all() or classes == "ignored":
        return None, ()
    known = (numbers >= 1) & (numbers == np.floor(numbers)) & (numbers < MOST_CLASSES)
    none = numbers == -1
    if classes == "optional":
        none |= numbers == 0
    if classes is None and not (known | none).all():
        notes.add(f"{rows.path}: column 8 holds no classes (world coordinates, as in MOT15?) and was left out")
        return None, ()
    wrong = ~known if classes == "needed" else ~(known | none)
    rows.refuse(wrong, "column 8 is no class; are these world coordinates, as in MOT15? Then use its rules")
    kinds, label = np.unique(np.where(none, -1, numbers).astype(np.int64), return_inverse=True)
    names = (OBJECT if k < 0 else CLASSES[k - 1] if k <= len(CLASSES) else str(k) for k in kinds.tolist())
    return label.astype(np.int64), tuple(names)


def write_run(path: Path, table: Table) -> None:
    """A result as `reacquire track` saves it: what the servers of MOTChallenge take."""
    lines = _result_lines(table.frame.tolist(), table.id, table.xyxy, table.score)
    write_text(path, "".join(f"{line}\n" for line in lines))


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


def write_sequence(path: Path, table: Table, notes: Notes) -> None:
    """A file of one sequence: ground truth's columns."""
    numbers = _numbers(table.labels, notes)
    visibility = np.full(len(table), UNKNOWN) if table.visibility is None else table.visibility
    columns = (table.frame, table.id, table.ltwh, table.score, table.label, visibility)
    lines = [
        f"{frame + 1},{i},{x:.10g},{y:.10g},{w:.10g},{h:.10g},{score:.10g},{numbers[label]},{visible:.10g}\n"
        for frame, i, (x, y, w, h), score, label, visible in zip(*(c.tolist() for c in columns), strict=True)
    ]
    write_text(path, "".join(lines))


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
