"""Folders of images, plain or in MOTChallenge's layout."""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.errors import SourceError
from tracker.formats.seqinfo import read_sequence_info
from tracker.prefetch import prefetch
from tracker.sources.base import Source, first_frames
from tracker.types import Frame

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
NOMINAL_RATE = 30.0
"""Frames a second of a folder that does not say: sets timestamps, is not reported as known."""
DECODED_AHEAD = 8


class ImageFolder(Source):
    """Images of one size in natural order (`2.jpg` before `10.jpg`).

    Args:
        folder: where they are.
        frame_rate: of the timestamps; 30 when None, and then `frame_rate` stays unknown.
        max_frames: end after so many.

    Raises:
        SourceError: no folder, or no images in it.
    """

    kind = "images"

    def __init__(
        self,
        folder: Path,
        *,
        frame_rate: float | None = None,
        max_frames: int | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name or str(folder)
        if not folder.is_dir():
            raise SourceError(f"{folder}: no such folder")
        self._paths = sorted((p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES), key=_natural)
        if not self._paths:
            raise SourceError(f"{folder}: no images in it (looked for {', '.join(sorted(SUFFIXES))})")
        self._paths = self._paths[:max_frames]
        self._indices = list(range(len(self._paths)))
        self.length = len(self._paths)
        self.frame_rate = frame_rate
        first = _read(self._paths[0])
        if first is None:
            raise SourceError(f"{self._paths[0]}: not a readable image")
        self.size: tuple[int, int] = (first.shape[1], first.shape[0])

    def __iter__(self) -> Iterator[Frame]:
        with closing(prefetch(self._read_all(), DECODED_AHEAD, "decode")) as ahead:
            yield from first_frames(ahead, None)

    def at(self, indices: Collection[int]) -> Generator[Frame]:
        """The frames of these indices alone, in order; no other image is read."""
        wanted = [(i, path) for i, path in zip(self._indices, self._paths, strict=True) if i in indices]
        yield from self._read_these(wanted)

    def _read_all(self) -> Generator[Frame]:
        yield from self._read_these(zip(self._indices, self._paths, strict=True))

    def _read_these(self, files: Iterable[tuple[int, Path]]) -> Generator[Frame]:
        rate = self.frame_rate or NOMINAL_RATE
        for index, path in files:
            image = _read(path)
            if image is None:
                self.problem = f"{path}: not a readable image; stopped there"
                return
            size = (image.shape[1], image.shape[0])
            if size != self.size:
                self.problem = f"{path}: the image is {size[0]}×{size[1]}, those before {self.size[0]}×{self.size[1]}"
                return
            yield Frame(image, index, index / rate, self.name)


class MotSequence(ImageFolder):
    """A MOTChallenge sequence: `img1/` and, where there is one, `seqinfo.ini` with its name and frame rate.

    The index of a frame is the number in its file's name less one, as the annotation files count.
    """

    kind = "mot"

    def __init__(self, folder: Path, *, max_frames: int | None = None) -> None:
        info = read_sequence_info(folder)
        rate, name = info.rate or None, info.name or folder.name
        super().__init__(folder / info.images, frame_rate=rate, max_frames=max_frames, name=name)
        stems = [p.stem for p in self._paths]
        if all(stem.isdigit() for stem in stems) and int(stems[0]) >= 1:
            self._indices = [int(stem) - 1 for stem in stems]


def is_mot_sequence(folder: Path) -> bool:
    """Whether a folder has MOTChallenge's layout."""
    return (folder / "seqinfo.ini").is_file() or (folder / "img1").is_dir()


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts numbers inside names by value."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _read(path: Path) -> NDArray[np.uint8] | None:
    # Through numpy, because OpenCV's own reader cannot open every name on every system.
    data = np.fromfile(path, np.uint8)
    return cast(NDArray[np.uint8] | None, cv2.imdecode(data, cv2.IMREAD_COLOR)) if data.size else None
