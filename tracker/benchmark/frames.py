"""The frames of a sequence or of half of one; where there are none, empty pictures of the right size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tracker.benchmark.dataset import SequenceFolder
from tracker.errors import DataError
from tracker.formats.mot import read_detections
from tracker.protocols import Source
from tracker.sources.images import ImageFolder
from tracker.types import Frame


def open_frames(sequence: SequenceFolder) -> Source:
    """Its frames; `Frame.index` is the frame's number in the whole sequence, from 0."""
    return _Pictures(sequence) if sequence.images is not None else _Blanks(sequence)


class _Pictures(ImageFolder):
    """The part of `img1/` that the split takes."""

    kind = "mot"

    def __init__(self, sequence: SequenceFolder) -> None:
        assert sequence.images is not None
        super().__init__(sequence.images, frame_rate=sequence.rate, name=sequence.name)
        stems = [path.stem for path in self._paths]
        if all(stem.isdecimal() for stem in stems):
            self._indices = [int(stem) - 1 for stem in stems]
            if self._indices != list(range(len(stems))):
                raise DataError(f"{sequence.images}: frames must be numbered from 1 without gaps")
        part = slice(sequence.start, sequence.start + sequence.length)
        self._paths, self._indices = self._paths[part], self._indices[part]
        self.length = len(self._paths)


class _Blanks(Source):
    """Frames of which only number and size are known: enough for public detections and motion."""

    kind = "mot"

    def __init__(self, sequence: SequenceFolder) -> None:
        self.name, self.length, self.frame_rate = sequence.name, sequence.length, sequence.rate
        self.size = sequence.size if all(sequence.size) else _extent(sequence)
        self._start = sequence.start

    def __iter__(self) -> Iterator[Frame]:
        assert self.size is not None
        # One byte seen as a whole picture: it has a size and takes no room.
        image = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (self.size[1], self.size[0], 3))
        for index in range(self._start, self._start + (self.length or 0)):
            yield Frame(image, index, index / (self.frame_rate or 1.0), self.name)


def _extent(sequence: SequenceFolder) -> tuple[int, int]:
    """A size that holds all public detections, where no seqinfo.ini tells the true one."""
    if sequence.public is None:
        return 1, 1
    read, faults = read_detections(sequence.public)
    rows = read.values[~np.logical_or.reduce(list(faults.values()))]
    corners = (rows[:, 2:4] + rows[:, 4:6]).max(axis=0, initial=1.0)
    width, height = (int(np.ceil(min(max(value, 1.0), 1e6))) for value in corners)
    return width, height
