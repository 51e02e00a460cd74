"""The three things that travel through the system: `Frame`, `Detections`, `Tracks`.

All are structures of arrays for one frame. Units are pixels, seconds, 0-based frame indices and
``x1, y1, x2, y2`` corners; MOT's 1-based ``left, top, width, height`` exists only in files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from tracker.errors import DataError

Float32: TypeAlias = NDArray[np.float32]
Int64: TypeAlias = NDArray[np.int64]
FARTHEST = 2.0**24
"""Pixels that a coordinate may be from 0: up to there float32 has all whole pixels."""
FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)
Rows: TypeAlias = slice | NDArray[np.bool_] | NDArray[np.integer[Any]] | list[int]


class TrackState(IntEnum):
    """Where a track is in its life."""

    TENTATIVE = 0
    CONFIRMED = 1
    LOST = 2


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source.

    Attributes:
        image: ``(H, W, 3)`` uint8, BGR.
        index: 0-based position in the source.
        timestamp: seconds, from the stream; never derived from the index where the stream knows better.
        source: what the frame came from: a path, an address, a camera's name.
    """

    image: NDArray[np.uint8]
    index: int
    timestamp: float
    source: str = ""

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise DataError(f"Frame.image: expected (H, W, 3) uint8, got {self.image.dtype} of {self.image.shape}")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.shape[1], self.image.shape[0]


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    if len(shape) != len(wanted):
        return False
    if shape[1:] == wanted[1:]:  # nearly always, and twice as fast: it is paid every frame
        return wanted[0] is None or shape == wanted
    return all(n is None or n == m for n, m in zip(wanted, shape, strict=True))


def _array(owner: str, name: str, value: ArrayLike, dtype: DTypeLike, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """`value` as an array of `dtype`; a `DataError` names expected and actual shape (None: any length)."""
    if type(value) is np.ndarray and value.dtype == dtype and _fits(value.shape, shape):
        return value  # what a detector gives, every frame
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf" and array.size:  # not complex numbers, texts, dates, objects
            array = np.asarray(array.tolist(), np.float64) if array.dtype.kind == "O" else _no_numbers(array)
        if array.dtype.kind == "f" and np.dtype(dtype).kind in "iu" and not (array == np.floor(array)).all():
            _no_whole_numbers()
        with np.errstate(over="ignore"):  # beyond float32: infinite, which `validate` finds
            array = np.asarray(array, dtype=dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{owner}.{name}: expected numbers that fit {np.dtype(dtype)}, got {value!r:.80}") from error
    if array.size == 0 and shape[0] in (0, None):  # [] is a fair way to write "no rows"
        array = array.reshape([0 if n is None else n for n in (0, *shape[1:])])
    if not _fits(array.shape, shape):
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
        raise DataError(f"{owner}.{name}: expected shape {wanted}, got {array.shape}")
    return array


def _no_whole_numbers() -> None:
    raise ValueError("not whole numbers")


def _no_numbers(array: NDArray[Any]) -> NDArray[Any]:
    raise TypeError(f"{array.dtype} are no numbers")


@dataclass(slots=True, eq=False, init=False)
class Detections:
    """What a detector saw in one frame, one row an object.

    Attributes:
        xyxy: ``(N, 4)`` float32, pixels.
        score: ``(N,)`` float32 in 0–1; ones when not given.
        class_id: ``(N,)`` int64; zeros when not given.
        embedding: ``(N, D)`` float32 of unit length (an engine brings others to it), zeros where a row has none; or
            None before an embedder has run.
        data: further arrays of N rows that ride along: masks, keypoints, anything.

    Shapes and types are checked on creation, and again by `checked` where a field was replaced since; values (NaN,
    sizes, score range) by `validate`. The engine calls both on what it is given.
    """

    xyxy: Float32
    score: Float32
    class_id: Int64
    embedding: Float32 | None
    data: dict[str, NDArray[Any]]

    def __init__(
        self,
        xyxy: ArrayLike,
        score: ArrayLike | None = None,
        class_id: ArrayLike | None = None,
        embedding: ArrayLike | None = None,
        data: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self.xyxy = _array("Detections", "xyxy", xyxy, np.float32, (None, 4))
        n = len(self.xyxy)
        self.score = np.ones(n, np.float32) if score is None else _array("Detections", "score", score, np.float32, (n,))
        self.class_id = np.zeros(n, np.int64)
        if class_id is not None:
            self.class_id = _array("Detections", "class_id", class_id, np.int64, (n,))
        self.embedding = None
        if embedding is not None:
            self.embedding = _array("Detections", "embedding", embedding, np.float32, (n, None))
        self.data = dict(data or {})
        for name, value in self.data.items():
            if len(value) != n:
                raise DataError(f"Detections.data[{name!r}]: expected {n} rows, got {len(value)}")

    @classmethod
    def empty(cls) -> Self:
        """No detections."""
        return cls(np.empty((0, 4), np.float32))

    @classmethod
    def from_array(cls, rows: ArrayLike) -> Self:
        """From ``(N, 4)``, ``(N, 5)`` or ``(N, 6)`` rows of ``x1, y1, x2, y2 [, score [, class]]``."""
        try:
            array = np.asarray(rows, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"Detections.from_array: expected rows of numbers, got {rows!r:.80}") from error
        if array.size == 0:
            return cls.empty()
        if array.ndim != 2 or array.shape[1] not in (4, 5, 6):
            raise DataError(f"Detections.from_array: expected shape (N, 4), (N, 5) or (N, 6), got {array.shape}")
        return cls(
            xyxy=array[:, :4].astype(np.float32),
            score=array[:, 4].astype(np.float32) if array.shape[1] > 4 else None,
            class_id=array[:, 5] if array.shape[1] > 5 else None,
        )

    def to_array(self) -> Float32:
        """``(N, 6)`` float32 rows of ``x1, y1, x2, y2, score, class``."""
        return np.column_stack([self.xyxy, self.score, self.class_id.astype(np.float32)])

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, rows: Rows) -> Self:
        """The chosen rows, as a new `Detections`."""
        return type(self)(
            xyxy=self.xyxy[rows],
            score=self.score[rows],
            class_id=self.class_id[rows],
            embedding=None if self.embedding is None else self.embedding[rows],
            data={name: value[rows] for name, value in self.data.items()},
        )

    def with_embedding(self, embedding: ArrayLike) -> Self:
        """The same rows with ``(N, D)`` embeddings."""
        return type(self)(self.xyxy, self.score, self.class_id, np.asarray(embedding, np.float32), self.data)

    def checked(self) -> tuple[Float32, Float32, Int64, Float32 | None]:
        """Boxes, scores, classes and embeddings as compiled code may trust them: of these types, one row an object.

        Raises:
            DataError: a field was replaced by something that does not fit the others.
        """
        xyxy: Any = self.xyxy
        score: Any = self.score
        class_id: Any = self.class_id
        embedding: Any = self.embedding
        if (  # without a function for each: it is paid every frame
            type(xyxy) is type(score) is type(class_id) is np.ndarray
            and xyxy.dtype is score.dtype is FLOAT32
            and class_id.dtype is INT64
            and xyxy.shape == (score.size, 4)
            and score.shape == class_id.shape == (score.size,)
            and xyxy.flags.carray
            and score.flags.carray
            and class_id.flags.carray
            and (embedding is None or _has_rows(embedding, len(xyxy)))
        ):
            return xyxy, score, class_id, embedding
        made = Detections(xyxy, score, class_id, embedding)
        fields = made.xyxy, made.score, made.class_id, made.embedding
        return tuple(None if field is None else np.array(field, order="C") for field in fields)  # type: ignore[return-value]

    def faults(self) -> dict[int, str]:
        """Rows that no tracker can use, each with the reason."""
        xyxy, score = self.xyxy, self.score
        checks: dict[str, Any] = {
            "a coordinate is NaN or infinite": ~np.isfinite(xyxy).all(axis=1),
            f"a coordinate is beyond {FARTHEST:.0f} pixels": (np.abs(xyxy) > FARTHEST).any(axis=1),
            "x2 < x1 or y2 < y1": (xyxy[:, 2:] < xyxy[:, :2]).any(axis=1),
            "score outside 0–1": ~((score >= 0) & (score <= 1)),
        }
        if self.embedding is not None:
            checks["embedding has NaN or infinity"] = ~np.isfinite(self.embedding).all(axis=1)
        found: dict[int, str] = {}
        for reason, bad in checks.items():
            for row in np.flatnonzero(bad):
                found.setdefault(int(row), reason)
        return found

    def validate(self) -> None:
        """Refuse rows with NaN, a coordinate beyond 2^24 pixels, negative size or a score outside 0–1.

        Raises:
            DataError: names the first bad row, its values and the reason.
        """
        xyxy, score = self.xyxy, self.score
        fine = (np.abs(xyxy) <= FARTHEST).all() and (xyxy[:, :2] <= xyxy[:, 2:]).all()
        fine = fine and (score >= 0).all() and (score <= 1).all()
        if fine and (self.embedding is None or np.isfinite(self.embedding).all()):
            return
        faults = self.faults()
        row, reason = min(faults.items())
        raise DataError(
            f"detection row {row}: {reason} (xyxy {self.xyxy[row].tolist()}, score {float(self.score[row])})"
            + (f"; {len(faults)} bad rows in all" if len(faults) > 1 else "")
        )


def _has_rows(embedding: Any, rows: int) -> bool:
    """Whether embeddings are a plain array in one piece, a row for each detection."""
    plain = type(embedding) is np.ndarray and embedding.dtype is FLOAT32 and embedding.ndim == 2
    return plain and len(embedding) == rows and bool(embedding.flags.carray)


OUTPUT = np.dtype(
    [
        ("id", np.int64),
        ("xyxy", np.float32, 4),
        ("score", np.float32),
        ("class_id", np.int64),
        ("detection", np.int64),
        ("state", np.uint8),
    ]
)
"""A track as the engine writes it; fields as in `Tracks`."""
COLUMNS = tuple(OUTPUT.fields or ())


@dataclass(slots=True, eq=False, init=False)
class Tracks:
    """Where the tracked objects are in one frame, one row a track.

    Attributes:
        id: ``(M,)`` int64, from 1, never reused.
        xyxy: ``(M, 4)`` float32, pixels.
        score: ``(M,)`` float32 in 0–1, of the last detection.
        class_id: ``(M,)`` int64.
        detection: ``(M,)`` int64, the row of `Detections` that was matched; -1 when the box is predicted.
        state: ``(M,)`` uint8 of `TrackState`.
    """

    id: Int64
    xyxy: Float32
    score: Float32
    class_id: Int64
    detection: Int64
    state: NDArray[np.uint8]
    _records: NDArray[Any] = field(repr=False)

    def __init__(
        self,
        id: ArrayLike,  # noqa: A002  # the field's name
        xyxy: ArrayLike,
        score: ArrayLike,
        class_id: ArrayLike,
        detection: ArrayLike,
        state: ArrayLike,
    ) -> None:
        self.id = _array("Tracks", "id", id, np.int64, (None,))
        m = len(self.id)
        self.xyxy = _array("Tracks", "xyxy", xyxy, np.float32, (m, 4))
        self.score = _array("Tracks", "score", score, np.float32, (m,))
        self.class_id = _array("Tracks", "class_id", class_id, np.int64, (m,))
        self.detection = _array("Tracks", "detection", detection, np.int64, (m,))
        self.state = _array("Tracks", "state", state, np.uint8, (m,))

    @classmethod
    def empty(cls) -> Self:
        """No tracks."""
        return cls(id=[], xyxy=[], score=[], class_id=[], detection=[], state=[])

    @classmethod
    def from_records(cls, records: NDArray[Any]) -> Self:
        """From ``(M,)`` of `OUTPUT`, or ``(M, B)`` of its bytes, right by construction.

        Columns are cut, all at once, when the first is asked for.
        """
        self = cls.__new__(cls)
        self._records = records
        return self

    def __getattr__(self, name: str) -> NDArray[Any]:
        if name not in COLUMNS:
            raise AttributeError(f"Tracks has no attribute {name!r}")
        rows = self._records.view(OUTPUT).reshape(len(self._records))
        for column in COLUMNS:
            setattr(self, column, rows[column].copy())
        return getattr(self, name)  # type: ignore[no-any-return]

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """``(M,)``: who was not seen in this frame, and has the box where he is expected."""
        return self.detection < 0

    def __len__(self) -> int:
        return len(self.id)

    def __getitem__(self, rows: Rows) -> Self:
        """The chosen rows, as a new `Tracks`."""
        columns = (self.id, self.xyxy, self.score, self.class_id, self.detection, self.state)
        return type(self)(*(column[rows] for column in columns))
