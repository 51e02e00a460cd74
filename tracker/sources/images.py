"""Folders of images, plain or in MOTChallenge's layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from tracker.errors import SourceError
from tracker.formats.seqinfo import read_sequence_info
from tracker.prefetch import prefetch
from tracker.protocols import Source
from tracker.sources.base import Damages, first_frames
from tracker.sources.pictures import MOST_PIXELS, OneSize, read_image
from tracker.types import Frame

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
NOMINAL_RATE = 30.0
"""Frames a second of a folder that does not say: sets timestamps, is not reported as known."""
DECODED_AHEAD = 8


class ImageFolder(Source):
    """Images in natural order (`2.jpg` before `10.jpg`), of one size: that of the first.

    Those that cannot be read are left out, their indices too; `problem` then says how many, and which the first was.

    Args:
        folder: where they are, or a single one.
        frame_rate: of the timestamps; 30 when None, and then `frame_rate` stays unknown.
        max_frames: end after so many.
        report: takes a sentence when an image has another size.
        max_pixels: of an image; larger ones are not decoded.

    Raises:
        SourceError: no folder, no images in it, or none that can be read.
    """

    kind = "images"

    def __init__(
        self,
        folder: Path,
        *,
        frame_rate: float | None = None,
        max_frames: int | None = None,
        name: str | None = None,
        report: Callable[[str], None] = lambda _: None,
        max_pixels: int = MOST_PIXELS,
    ) -> None:
        self.name = name or str(folder)
        self._paths = image_files(folder)
        if not self._paths:
            raise SourceError(f"{folder}: no images in it (looked for {', '.join(sorted(SUFFIXES))})")
        self._paths = self._paths[:max_frames]
        self._indices = list(range(len(self._paths)))
        self.length = len(self._paths)
        self.frame_rate = frame_rate
        self._most = max_pixels
        self._sizes = OneSize(self.name, report)
        self._damage = Damages()
        self.size: tuple[int, int] = self._first_size()

    def __iter__(self) -> Iterator[Frame]:
        with closing(prefetch(self._read_all(), DECODED_AHEAD, "decode")) as ahead:
            yield from first_frames(ahead, None)

    def at(self, indices: Collection[int]) -> Generator[Frame]:
        """The frames of these indices alone, in order; no other image is read."""
        wanted = [(i, path) for i, path in zip(self._indices, self._paths, strict=True) if i in indices]
        yield from self._read_these(wanted)

    def _first_size(self) -> tuple[int, int]:
        """Of the first image that can be read."""
        error = None
        for path in self._paths:
            try:
                image = read_image(path, self._most)
            except SourceError as found:
                error = error or found
                continue
            self._sizes.fit(image, 0)
            return image.shape[1], image.shape[0]
        others = ", nor can any other image there be read" if len(self._paths) > 1 else ""
        raise SourceError(f"{error}{others}") from error

    def _read_all(self) -> Generator[Frame]:
        yield from self._read_these(zip(self._indices, self._paths, strict=True))

    def _read_these(self, files: Iterable[tuple[int, Path]]) -> Generator[Frame]:
        rate = self.frame_rate or NOMINAL_RATE
        for index, path in files:
            try:
                image = read_image(path, self._most)
            except SourceError as error:
                self._damage.lose(f"{error}")
                self.lost, self.problem = self._damage.lost, self._damage.sentence(self.name)
                continue
            image = self._sizes.fit(image, index)
            self.rescaled = self._sizes.changed
            yield Frame(image, index, index / rate, self.name)


class MotSequence(ImageFolder):
    """A MOTChallenge sequence: `img1/` and, where there is one, `seqinfo.ini` with its name and frame rate.

    The index of a frame is the number in its file's name less one, as the annotation files count.
    """

    kind = "mot"

    def __init__(
        self,
        folder: Path,
        *,
        max_frames: int | None = None,
        report: Callable[[str], None] = lambda _: None,
        max_pixels: int = MOST_PIXELS,
    ) -> None:
        info = read_sequence_info(folder)
        super().__init__(
            folder / info.images,
            frame_rate=info.rate or None,
            max_frames=max_frames,
            name=info.name or folder.name,
            report=report,
            max_pixels=max_pixels,
        )
        stems = [p.stem for p in self._paths]
        if all(stem.isdecimal() for stem in stems) and int(stems[0]) >= 1:
            self._indices = [int(stem) - 1 for stem in stems]
        for (before, first), (index, second) in pairwise(zip(self._indices, self._paths, strict=True)):
            if index <= before:
                raise SourceError(f"{folder}: {first.name} and {second.name} have the same number: which is the frame?")


def is_mot_sequence(folder: Path) -> bool:
    """Whether a folder has MOTChallenge's layout."""
    return (folder / "seqinfo.ini").is_file() or (folder / "img1").is_dir()


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in natural order, without hidden files and what systems leave beside them (`._1.jpg`).

    An image in the folder's place is that one.

    Raises:
        SourceError: no such folder, or one that cannot be read.
    """
    if folder.is_file():
        return [folder]
    try:
        found = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
        return sorted((p for p in found if p.is_file()), key=_natural)
    except OSError as error:
        raise SourceError(f"{folder}: {'no such folder' if not folder.is_dir() else error.strerror}") from error


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts numbers inside names by value."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
