"""Folders of labels as Ultralytics' trackers save them (`save_txt=True`): read only.

A file a frame, `NAME_FRAME.txt` with frames from 1 or `FRAME.txt`; a row a box: class, centre x, centre y, width and
height as shares of the picture, the score (where `save_conf=True`), and the id.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tracker.errors import DataError
from tracker.formats.table import LARGEST, Notes, Table, make_table
from tracker.formats.text import lines_of, number, read_bytes
from tracker.yaml_file import read_yaml

NAME = re.compile(r"(?:(?P<name>.*?)[_-])?(?P<frame>[0-9]{1,9})", re.ASCII)
OPTIONS = ("size",)
"""What `read` must be told beside the path, where it is known."""
WITH_SCORE = 7
COLUMNS = "class, x, y, width, height, [score,] id"


def read(path: Path, notes: Notes, size: tuple[int, int] | None = None) -> list[Table]:
    """A folder of label files, one sequence a name before the frame's number.

    Args:
        path: the folder, or one with `labels` in it.
        notes: for rows without an id, which are left out.
        size: width and height of the pictures, which the labels do not say.

    Raises:
        DataError: no size; no labels; a row that is not of the format; no ids at all. Names file and line.
    """
    folder = path / "labels" if (path / "labels").is_dir() else path
    if size is None:
        raise DataError(f"{path}: labels are shares of the picture; give its size: --size WIDTHxHEIGHT")
    sequences: dict[str, list[tuple[int, Path]]] = {}
    for file in sorted(folder.glob("*.txt")):
        if file.name == "classes.txt":
            continue
        match = NAME.fullmatch(file.stem)
        if match is None:
            raise DataError(f"{file}: expected NAME_FRAME.txt or FRAME.txt")
        sequences.setdefault(match["name"] or path.resolve().name, []).append((int(match["frame"]), file))
    names = _class_names(path, folder)
    return [_read(folder, name, files, size, names, notes) for name, files in sequences.items()]


def _read(
    folder: Path, name: str, files: list[tuple[int, Path]], size: tuple[int, int], names: dict[int, str], notes: Notes
) -> Table:
    rows: list[list[float]] = []
    where: list[str] = []
    for frame, file in sorted(files):
        for place, line in enumerate(lines_of(read_bytes(file)), 1):
            numbers = [number(field) for field in line.split()]
            if not numbers:
                continue
            known = [value for value in numbers if value is not None and abs(value) < LARGEST]
            if len(known) != len(numbers) or not 5 <= len(known) <= WITH_SCORE or not known[0].is_integer():
                raise DataError(f"{file}, line {place}: expected {COLUMNS}; got {line[:60]!r}")
            rows.append([frame, *known, *[np.nan] * (WITH_SCORE - len(known))])
            where.append(f"{file.name}, line {place}")
    values = np.array(rows, np.float64).reshape(-1, 1 + WITH_SCORE)
    scored = bool(np.isfinite(values[:, WITH_SCORE]).any())
    identity = values[:, WITH_SCORE if scored else WITH_SCORE - 1]
    tracked = np.isfinite(identity)
    if len(rows) and (not tracked.any() or (identity[tracked] != np.floor(identity[tracked])).any()):
        raise DataError(f"{folder}: the last column holds no ids; were these saved by `predict` instead of `track`?")
    if not tracked.all():
        notes.add(f"{folder}: {int((~tracked).sum())} rows without an id were left out")
    values, identity = values[tracked], identity[tracked]
    low = values[:, 2:4] - values[:, 4:6] / 2
    first = min(frame for frame, _ in files)
    return make_table(
        folder,
        name,
        # Ultralytics counts frames from 1; other tools from 0.
        frame=values[:, 0] - (1 if first > 0 else 0),
        id=identity,
        xyxy=np.concatenate([low, low + values[:, 4:6]], axis=1) * np.tile(size, 2),
        label=[names.get(int(k), str(int(k))) for k in values[:, 1].tolist()],
        where=[w for w, kept in zip(where, tracked.tolist(), strict=True) if kept],
        size=size,
        columns={"score": values[:, 6]} if scored else {},
    )


def _class_names(path: Path, folder: Path) -> dict[int, str]:
    """From `classes.txt` or `data.yaml`, where there is one."""
    for file in (folder / "classes.txt", path / "classes.txt"):
        if file.is_file():
            return dict(enumerate(map(str.strip, lines_of(read_bytes(file)))))
    file = path / "data.yaml"
    names = read_yaml(file).get("names") if file.is_file() else {}
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(isinstance(k, int) and isinstance(v, str) for k, v in names.items()):
        raise DataError(f"{file}: no names of classes in it; expected names: {{0: person, …}} or a list of words")
    return names
