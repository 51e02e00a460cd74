"""CVAT for video 1.1: an XML file a sequence, a `track` with `box`es a person.

A box that is not `outside` holds until the track's next one, and moves to it in a straight line, as CVAT itself reads
its keyframes. Documents with a document type are refused, and so with them entities that grow without bound.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import numpy as np

from tracker.errors import DataError
from tracker.formats.seqinfo import MOST_FRAMES
from tracker.formats.table import OBJECT, Notes, Table, make_table, write_text
from tracker.formats.text import SHOWN, number

CARRIES = frozenset({"label", "occluded", "length", "size"})
MOST_BOXES = 5_000_000
DEEPEST = 100
CORNERS = ("xtl", "ytl", "xbr", "ybr")
SHAPES = frozenset({"polygon", "polyline", "points", "mask", "cuboid", "skeleton", "ellipse", "tag"})


class _Document:
    """What the parser has met so far.

    Attributes:
        tracks: ids, labels, and their boxes: line, frame, four corners, outside, occluded.
        meta: texts by the names of their last two elements, each from its first place.
        labels: names of classes, in order.
    """

    def __init__(self, path: Path, notes: Notes) -> None:
        self.tracks: list[tuple[int, str, list[tuple[float, ...]]]] = []
        self.meta: dict[str, str] = {}
        self.labels: list[str] = []
        self._path, self._notes = path, notes
        self._stack: list[str] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def read(self) -> None:
        try:
            with self._path.open("rb") as file:
                self._parser.ParseFile(file)
        except FileNotFoundError:
            raise DataError(f"{self._path}: no such file") from None
        except DataError:
            raise
        except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two are about its encoding
            raise DataError(f"{self._path}: no XML: {error}") from None

    def _fail(self, reason: str) -> DataError:
        return DataError(f"{self._path}, line {self._parser.CurrentLineNumber}: {reason}")

    def _doctype(self, *_: Any) -> None:
        raise self._fail("a document type is declared; CVAT writes none, and it is not read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._stack.append(name)
        if len(self._stack) > DEEPEST:
            raise self._fail(f"elements lie more than {DEEPEST} deep")
        if len(self._stack) == 1 and name != "annotations":
            raise self._fail(f"expected <annotations>, got <{name[:40]}>")
        if self._stack == ["annotations", "image"]:
            raise self._fail("this is CVAT for images; export the task as CVAT for video 1.1")
        if self._stack == ["annotations", "track"]:
            self.tracks.append((self._whole(attributes, "id"), attributes.get("label", ""), []))
        elif self._stack == ["annotations", "track", "box"]:
            corners = [self._number(attributes, key) for key in CORNERS]
            flags = [float(attributes.get(key) == "1") for key in ("outside", "occluded")]
            frame = self._whole(attributes, "frame")
            if frame >= MOST_FRAMES:
                raise self._fail(f"frame {frame} is too large")
            self.tracks[-1][2].append((self._parser.CurrentLineNumber, frame, *corners, *flags))
        elif name in SHAPES:
            self._notes.add(f"{self._path}: shapes other than boxes were left out")

    def _end(self, name: str) -> None:
        self._stack.pop()

    def _text(self, text: str) -> None:
        if self._stack[1:2] == ["meta"] and len(self._stack) < 8:
            if self._stack[-2:] == ["label", "name"]:
                self.labels.append(text)
            self.meta.setdefault("/".join(self._stack[-2:]), text)

    def _number(self, attributes: dict[str, str], key: str) -> float:
        value = number(attributes.get(key, "").strip())
        if value is None or not math.isfinite(value):
            raise self._fail(f"expected a number as {key}, got {attributes.get(key, 'nothing')[:SHOWN]!r}")
        return value

    def _whole(self, attributes: dict[str, str], key: str) -> int:
        text = attributes.get(key, "nothing")
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise self._fail(f"expected a whole number as {key}, got {text[:40]!r}")
        return int(text)


def read(path: Path, notes: Notes) -> list[Table]:
    """A file, or a folder of `NAME.xml`.

    Raises:
        DataError: no such XML; names file and line.
    """
    return [_read_file(file, notes) for file in (sorted(path.glob("*.xml")) if path.is_dir() else [path])]


def _read_file(path: Path, notes: Notes) -> Table:
    document = _Document(path, notes)
    document.read()
    tracks, total = [], 0
    for identity, label, boxes in document.tracks:
        rows = np.array(boxes, np.float64).reshape(-1, 8)
        rows = rows[np.argsort(rows[:, 1], kind="stable")]
        again = np.flatnonzero(np.diff(rows[:, 1]) == 0)
        if len(again):
            raise DataError(f"{path}, line {rows[again[0] + 1, 0]:.0f}: the track has two boxes in this frame")
        lengths = np.append(np.diff(rows[:, 1]), 1.0)[: len(rows)].astype(np.int64)
        lengths[rows[:, 6] == 1] = 0
        total += int(lengths.sum())
        tracks.append((identity, label or OBJECT, rows, lengths))
    if total > MOST_BOXES:
        raise DataError(f"{path}: {total:,} boxes between keyframes, more than {MOST_BOXES:,}")
    filled = np.concatenate([np.empty((0, 8)), *(_filled(rows, lengths) for _, _, rows, lengths in tracks)])
    counts = [int(lengths.sum()) for *_, lengths in tracks]
    length, size = _meta(path, document.meta)
    return make_table(
        path,
        path.stem,
        frame=filled[:, 1],
        id=np.repeat(np.array([identity for identity, *_ in tracks], np.float64), counts),
        xyxy=filled[:, 2:6],
        label=[label for (_, label, *_), n in zip(tracks, counts, strict=True) for _ in range(n)],
        labels=tuple(document.labels),
        where=lambda row: int(filled[row, 0]),
        length=length,
        size=size,
        columns={"occluded": filled[:, 7]},
    )


def _filled(rows: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A track's boxes in every frame: each box held, and moved to the next one, for so many frames."""
    index = np.repeat(np.arange(len(rows)), lengths)
    step = np.arange(len(index)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    after = np.minimum(index + 1, len(rows) - 1)
    share = np.divide(step, lengths[index], out=np.zeros(len(index)), where=lengths[index] > 0)[:, None]
    filled = rows[index].copy()
    filled[:, 1] += step
    filled[:, 2:6] += share * (rows[after, 2:6] - rows[index, 2:6])
    return filled


def _meta(path: Path, meta: dict[str, str]) -> tuple[int, tuple[int, int]]:
    """The sequence's length and the pictures' size, zeros where they are not said."""

    def number(*keys: str) -> int:
        text = next((meta[key].strip() for key in keys if key in meta), "0")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0

    stop = number("task/stop_frame", "job/stop_frame")
    length = stop + 1 if stop else number("task/size", "job/size")
    return length, (number("original_size/width"), number("original_size/height"))


def write_sequence(path: Path, table: Table, notes: Notes) -> None:
    """A file of one sequence."""
    length = table.frames
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "<version>1.1</version>", "<meta><task>"]
    lines += [f"<name>{quoteattr(table.name)[1:-1]}</name><size>{length}</size><mode>interpolation</mode>"]
    lines += [f"<start_frame>0</start_frame><stop_frame>{max(length - 1, 0)}</stop_frame><labels>"]
    lines += [f"<label><name>{quoteattr(name)[1:-1]}</name></label>" for name in table.labels]
    lines += ["</labels>"]
    if table.size[0]:
        width, height = table.size
        lines += [f"<original_size><width>{width}</width><height>{height}</height></original_size>"]
    lines += ["</task></meta>"]
    # One track an identity and class: CVAT's tracks have one label for life.
    order = np.lexsort((table.frame, table.label, table.id))
    begins = np.flatnonzero(np.diff(table.id[order], prepend=-1) | np.diff(table.label[order], prepend=-1))
    for rows in np.split(order, begins[1:]) if len(order) else []:
        lines += _track(table, rows, length)
    lines += ["</annotations>", ""]
    write_text(path, "\n".join(lines))


def _track(table: Table, rows: np.ndarray[Any, Any], length: int) -> list[str]:
    label = quoteattr(table.labels[table.label[rows[0]]])
    lines = [f'<track id="{table.id[rows[0]]}" label={label} source="manual">']
    frames = table.frame[rows].tolist()
    hidden = [False] * len(rows) if table.occluded is None else (table.occluded[rows] > 0).tolist()
    for i, (frame, box) in enumerate(zip(frames, table.xyxy[rows].tolist(), strict=True)):
        corners = " ".join(f'{key}="{value:.10g}"' for key, value in zip(CORNERS, box, strict=True))
        rest = f'occluded="{int(hidden[i])}" keyframe="1" {corners} z_order="0"></box>'
        lines.append(f'<box frame="{frame}" outside="0" {rest}')
        after = frames[i + 1] if i + 1 < len(frames) else length
        if after > frame + 1:
            lines.append(f'<box frame="{frame + 1}" outside="1" {rest}')
    return [*lines, "</track>"]
