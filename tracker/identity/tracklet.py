"""What is kept of a track to know it again."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tracker.errors import DataError

MOST = 8
"""Embeddings that are kept of a tracklet."""
Key = tuple[str, int]
"""Camera and track: what a tracklet is found by."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Tracklet:
    """One track of one camera, as far as it is known; what was given is checked and copied.

    Attributes:
        camera: where it was seen.
        track: its id there; with the camera, what it is found by.
        begin: seconds, on the one clock of the site.
        end: seconds on the same clock, not before `begin`.
        embeddings: ``(K, D)`` of unit length, in the order of time; kept as float16, at most eight of them (see
            `choose`). ``(0, D)`` where nothing is known of its looks.
        quality: ``(K,)`` at least 0, how well each shows the object; all the same when None.
        class_id: of the detector; only objects of one class are compared.
        first_xyxy: ``(4,)`` its first box in fractions of the picture; None where it is not known.
        last_xyxy: ``(4,)`` its last box in fractions of the picture; None where it is not known.

    Raises:
        DataError: what is no such thing; says which and why.
    """

    camera: str
    track: int
    begin: float
    end: float
    embeddings: NDArray[Any]
    quality: NDArray[Any] | None = None
    class_id: int = 0
    first_xyxy: ArrayLike | None = None
    last_xyxy: ArrayLike | None = None

    def __post_init__(self) -> None:
        where = f"tracklet {self.track} of camera {self.camera!r}"
        if not isinstance(self.camera, str) or not self.camera:
            raise DataError(f"{where}: the camera is a text that is not empty")
        for name in ("track", "class_id"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not -(2**62) < value < 2**62:
                raise DataError(f"{where}: {name} is {value!r}, no whole number of 63 bits")
            object.__setattr__(self, name, int(value))
        times = self.begin, self.end
        if not all(isinstance(t, int | float | np.number) and np.isfinite(t) for t in times) or self.end < self.begin:
            raise DataError(f"{where}: from {self.begin} to {self.end} s; expected finite times, the end not before")
        embeddings, quality = _looks(self.embeddings, self.quality, where)
        chosen = choose(quality)
        kept: dict[str, Any] = {
            "begin": float(self.begin),
            "end": float(self.end),
            "embeddings": embeddings[chosen],
            "quality": quality[chosen],
            "first_xyxy": _box(self.first_xyxy, f"{where}: first_xyxy"),
            "last_xyxy": _box(self.last_xyxy, f"{where}: last_xyxy"),
        }
        for name, value in kept.items():
            object.__setattr__(self, name, value)

    @property
    def key(self) -> Key:
        """What it is found by."""
        return self.camera, self.track

    def continued(self, later: Tracklet) -> Tracklet:
        """This and what was seen of the same track since, or again: embeddings of both, those given twice once."""
        assert self.quality is not None
        assert later.quality is not None
        if len(self.embeddings) and len(later.embeddings) and self.embeddings.shape[1] != later.embeddings.shape[1]:
            raise DataError(
                f"tracklet {self.track} of camera {self.camera!r}: embeddings of {later.embeddings.shape[1]} numbers, "
                f"{self.embeddings.shape[1]} before"
            )
        known = {row.tobytes() for row in later.embeddings}
        old = np.array([row.tobytes() not in known for row in self.embeddings], bool)
        parts = [self.embeddings[old], later.embeddings] if len(self.embeddings) else [later.embeddings]
        if not len(later.embeddings):
            parts = parts[:1]
        first, last = (self, later) if self.begin <= later.begin else (later, self)
        begins = first.first_xyxy if first.first_xyxy is not None else last.first_xyxy
        ended, ends = (self, later) if self.end <= later.end else (later, self)
        return Tracklet(
            camera=self.camera,
            track=self.track,
            begin=min(self.begin, later.begin),
            end=max(self.end, later.end),
            embeddings=np.concatenate(parts),
            quality=np.concatenate([self.quality[old], later.quality]),
            class_id=later.class_id,
            first_xyxy=begins,
            last_xyxy=ends.last_xyxy if ends.last_xyxy is not None else ended.last_xyxy,
        )


def choose(quality: NDArray[np.float32], most: int = MOST) -> NDArray[np.int64]:
    """Which embeddings are kept: of as many stretches of time as there may be, the best of each.

    Those of one moment show the same side in the same light, however good they are; so a few of different moments say
    more about somebody than the best ones.

    Args:
        quality: ``(K,)`` in the order of time.
        most: how many may stay.

    Returns:
        Ascending rows; all where there are no more than `most`.
    """
    if len(quality) <= most:
        return np.arange(len(quality))
    bounds = np.linspace(0, len(quality), most + 1).round().astype(np.int64)
    return np.array([a + int(np.argmax(quality[a:b])) for a, b in pairwise(bounds)])


def _looks(
    embeddings: ArrayLike, quality: ArrayLike | None, where: str
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Both, checked."""
    vectors = np.asarray(embeddings)
    if vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise DataError(f"{where}: expected embeddings (K, D) of floats, got {vectors.shape} {vectors.dtype}")
    length = np.linalg.norm(vectors.astype(np.float64), axis=1)
    bad = ~(np.abs(length - 1) < 0.01)
    if bad.any():
        raise DataError(f"{where}: embedding {bad.argmax()} has the length {length[bad.argmax()]:g}, expected 1")
    if quality is None:
        return vectors.astype(np.float16), np.ones(len(vectors), np.float32)
    scores = np.asarray(quality)
    if scores.shape != (len(vectors),) or scores.dtype.kind not in "fiu":
        raise DataError(f"{where}: expected a quality for each of {len(vectors)} embeddings, got {scores.shape}")
    if not (np.isfinite(scores) & (scores >= 0)).all():
        raise DataError(f"{where}: a quality is negative or no number")
    return vectors.astype(np.float16), scores.astype(np.float32)


def _box(xyxy: ArrayLike | None, where: str) -> NDArray[np.float32] | None:
    """A box in fractions of the picture, checked."""
    if xyxy is None:
        return None
    box = np.asarray(xyxy, np.float32)
    if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
        raise DataError(f"{where}: {np.array2string(box)} is no box x1, y1, x2, y2")
    if (np.abs(box) > 2).any():
        raise DataError(f"{where}: {np.array2string(box)} looks like pixels; expected fractions of the picture")
    return box
