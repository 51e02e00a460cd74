"""The tracklets that are remembered, as one table of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.tracklets import prototype
from tracker.errors import DataError
from tracker.identity.tracklet import Key, Tracklet

COLUMNS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "camera": (np.int64, ()),
    "class_id": (np.int64, ()),
    "begin": (np.float64, ()),
    "end": (np.float64, ()),
    "count": (np.int64, ()),  # embeddings
    "identity": (np.int64, ()),  # 0 for none
    "first": (np.float64, (4,)),  # boxes, fractions of the picture, NaN for none
    "last": (np.float64, (4,)),
    "velocity": (np.float64, (2,)),
}
"""What is known of each tracklet: a column each, so that a comparison with all reads only what it needs."""
NONE = 0
"""The identity of tracklets that have none."""


class Cameras:
    """Names of cameras and their numbers, which count from 0 in the order in which they came."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._number: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.names)

    def number_of(self, name: str) -> int:
        """Of a camera, new ones too."""
        number = self._number.get(name)
        if number is None:
            number = self._number[name] = len(self.names)
            self.names.append(name)
        return number


class Table:
    """Rows of tracklets: facts, prototypes, and the tracklets themselves.

    Args:
        cameras: which rows have the numbers of; several tables may share them.
    """

    def __init__(self, cameras: Cameras | None = None) -> None:
        self.cameras = Cameras() if cameras is None else cameras
        self._columns = {name: np.zeros((0, *shape), kind) for name, (kind, shape) in COLUMNS.items()}
        self._vectors = np.zeros((0, 0), np.float32)
        self._tracklets: list[Tracklet] = []
        self._row_of: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._tracklets)

    @property
    def rows(self) -> dict[str, NDArray[Any]]:
        """``(N, …)`` of each of `COLUMNS`; views, which may be written."""
        return {name: column[: len(self)] for name, column in self._columns.items()}

    @property
    def prototypes(self) -> NDArray[np.float32]:
        """``(N, D)`` of unit length, zeros where there are no embeddings; a view."""
        return self._vectors[: len(self)]

    @property
    def dimension(self) -> int:
        """D of embeddings; 0 while there are none."""
        return self._vectors.shape[1]

    def tracklet(self, row: int) -> Tracklet:
        """What a row is of."""
        return self._tracklets[row]

    def find(self, key: Key) -> int | None:
        """The row of a camera's track."""
        return self._row_of.get(key)

    def put(self, tracklet: Tracklet, identity: int | None = None) -> int:
        """Add a tracklet, or replace the one of the same key; its row.

        Args:
            tracklet: of a camera and track.
            identity: of it; None for the one that it has, or none if it is new.

        Raises:
            DataError: embeddings of another dimension than those that are here.
        """
        self._fit(tracklet)
        row = self._row_of.get(tracklet.key)
        if row is None:
            row = len(self)
            if row == len(self._vectors):
                self._columns = {name: _grown(column) for name, column in self._columns.items()}
                self._vectors = _grown(self._vectors)
            self._columns["identity"][row] = NONE
            self._row_of[tracklet.key] = row
            self._tracklets.append(tracklet)
        self._tracklets[row] = tracklet
        self._write(row, tracklet)
        if identity is not None:
            self._columns["identity"][row] = identity
        return row

    def _fit(self, tracklet: Tracklet) -> None:
        """Have columns for its embeddings."""
        count, size = tracklet.embeddings.shape
        if count and not self.dimension:
            self._vectors = np.zeros((len(self._vectors), size), np.float32)
        elif count and size != self.dimension:
            raise DataError(
                f"tracklet {tracklet.track} of camera {tracklet.camera!r}: embeddings of {size} numbers, but those "
                f"that are remembered have {self.dimension}; vectors of two networks cannot be compared"
            )

    def _write(self, row: int, tracklet: Tracklet) -> None:
        first, last = (
            np.full(4, np.nan) if box is None else np.asarray(box, np.float64)
            for box in (tracklet.first_xyxy, tracklet.last_xyxy)
        )
        moved = last - first
        facts = {
            "camera": self.cameras.number_of(tracklet.camera),
            "class_id": tracklet.class_id,
            "begin": tracklet.begin,
            "end": tracklet.end,
            "count": len(tracklet.embeddings),
            "first": first,
            "last": last,
            "velocity": np.nan_to_num(moved[:2] + moved[2:]) / 2 / max(tracklet.end - tracklet.begin, 0.5),
        }
        for name, value in facts.items():
            self._columns[name][row] = value
        if self.dimension:
            vectors = tracklet.embeddings if len(tracklet.embeddings) else np.zeros((0, self.dimension), np.float16)
            self._vectors[row] = prototype(vectors, tracklet.quality)

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Let the other rows go; those that stay keep their order."""
        kept = np.flatnonzero(mask)
        self._columns = {name: column[kept] for name, column in self._columns.items()}
        self._vectors = self._vectors[kept]
        self._tracklets = [self._tracklets[row] for row in kept]
        self._row_of = {tracklet.key: row for row, tracklet in enumerate(self._tracklets)}


def _grown(values: NDArray[Any]) -> NDArray[Any]:
    longer = np.zeros((max(64, 2 * len(values)), *values.shape[1:]), values.dtype)
    longer[: len(values)] = values
    return longer
