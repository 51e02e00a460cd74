"""Video files, by PyAV: true timestamps, any rate, upright, damaged pictures left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from tracker.errors import SourceError
from tracker.prefetch import prefetch
from tracker.protocols import Source
from tracker.sources.base import Damages, first_frames
from tracker.sources.clock import FileClock
from tracker.sources.container import NO_LENGTH, Length, open_container, video_stream, video_streams
from tracker.sources.decoding import NOTHING, Decoded, Decoder, in_order, upright
from tracker.sources.pictures import MOST_PIXELS, OneSize
from tracker.types import Frame

DECODED_AHEAD = 8
"""Frames that wait decoded, at the most."""
BAD_READS = 50
"""Failures in a row to read a packet, after which the rest of a file is given up."""
HOPELESS = 1000
"""Packets in a row from the beginning that give no picture, after which a file has none."""


class VideoFile(Source):
    """A video file, or a finished video at an HTTP address.

    Timestamps are the stream's, from 0 at the first frame, strictly increasing; where the stream's clock begins
    again, they go on one frame later. Damaged pictures are left out, their indices too, so that frames keep their
    numbers. `problem` then says how many, and where the first was; it also says when the file is cut off.

    Args:
        path: of the file, or an address as `network_address` makes it.
        max_frames: end after so many.
        name: what it is called; the path when None.
        report: takes a sentence on what is unusual but no damage.
        max_pixels: of a picture; larger ones are not decoded.
        container: where it has been opened already.

    Raises:
        SourceError: missing, not a video, without a frame, or too large.
    """

    kind = "video"

    def __init__(
        self,
        path: str | Path,
        *,
        max_frames: int | None = None,
        name: str | None = None,
        report: Callable[[str], None] = lambda _: None,
        max_pixels: int = MOST_PIXELS,
        container: InputContainer | None = None,
    ) -> None:
        self.name = name or str(path)
        self._max = max_frames
        self._most = max_pixels
        self._path = None if container is not None else Path(path)
        self._container = container or _open(Path(path), self.name, max_pixels)
        self._damage = Damages()
        try:
            self._begin()
            self._pictures = self._decode()
            self._first = self._first_picture()
        except SourceError as error:
            self._container.close()
            raise SourceError(f"{self.name}: {error}") from error
        image = upright(cast(VideoFrame, self._first.frame))
        self.size = image.shape[1], image.shape[0]
        self._sizes = OneSize(self.name, report)
        rate = self._stream.average_rate
        self.frame_rate = float(rate) if rate else None
        counted = self._length.frames()
        self.length = counted if max_frames is None or counted is None else min(counted, max_frames)
        videos = len(video_streams(self._container))
        if videos > 1:
            report(f"{self.name}: of its {videos} videos the one of {self.size[0]}×{self.size[1]} is taken")

    def __iter__(self) -> Iterator[Frame]:
        with closing(prefetch(first_frames(self._frames(), self._max), DECODED_AHEAD, "decode")) as ahead:
            yield from ahead

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _begin(self) -> None:
        self._stream = video_stream(self._container, self._most)
        self._length = Length(self._container, self._stream)

    def _decode(self) -> Generator[Decoded]:
        """All pictures: of a file by many threads until the first damage, then once more by one, from there on."""
        given = 0
        if self._path is not None:
            decoder = Decoder(self._stream, self._most, fast=True)
            with closing(decoder.decode(self._packets())) as pictures:
                for picture in pictures:
                    if picture.damage != "none":
                        break
                    if picture is not NOTHING:
                        given += 1
                        yield picture
                else:
                    if not decoder.unfinished and self._damage.reading is None:
                        return
            self._container.close()
            self._container, self._damage.reading = _open(self._path, self.name, self._most), None
            self._begin()
        again = in_order(Decoder(self._stream, self._most).decode(self._packets()))
        yield from islice((picture for picture in again if picture is not NOTHING), given, None)

    def _packets(self) -> Generator[Packet[Any]]:
        """The video's packets; those that cannot be read are passed over, until too many in a row cannot."""
        failures = 0
        while failures < BAD_READS:
            try:
                for packet in self._container.demux():
                    failures = 0
                    self._length.read(packet)
                    if packet.stream_index == self._stream.index:
                        yield packet
                return
            except av.FFmpegError as error:
                failures += 1
                self._damage.reading = f"a part of it cannot be read ({error.strerror})"
                if isinstance(error, TimeoutError | av.error.ExitError):
                    return

    def _first_picture(self) -> Decoded:
        error = None
        for picture in self._pictures:
            if picture.damage != "lost":
                return picture
            error = picture.error or error
            self._lose(self.lost, 0.0)
            if self.lost >= HOPELESS:
                break
        reason = getattr(error, "strerror", None) or error or self._damage.reading
        raise SourceError("the video has no frame that can be read" + (f" ({reason})" if reason else ""))

    def _frames(self) -> Generator[Frame]:
        clock = FileClock(self.frame_rate, jumps=bool(self._container.format.flags & NO_LENGTH))
        index, before = self.lost, 0
        for picture in chain([self._first], self._pictures):
            if picture.frame is None or picture.damage == "lost":
                before += 1
                self._lose(index, clock.last + before * clock.step)
            else:
                time = clock.at(picture.frame.time, before)
                before = 0
                self._damage.traces += picture.damage == "traces"
                image = self._sizes.fit(upright(picture.frame), index)
                self.rescaled = self._sizes.changed
                yield Frame(image, index, time, self.name)
            index += 1
            self.problem = self._damage.sentence(self.name)
        self._damage.end = self._length.missing()
        self.problem = self._damage.sentence(self.name)

    def _lose(self, index: int, seconds: float) -> None:
        """Count a picture that is left out."""
        self._damage.lose(f"frame {index + 1} at {seconds:.2f} s")
        self.lost = self._damage.lost


def _open(path: Path, name: str, max_pixels: int) -> InputContainer:
    if not os.path.exists(path):
        raise SourceError(f"{name}: no such file")
    if path.stat().st_size == 0:
        raise SourceError(f"{name}: the file is empty")
    try:
        return open_container(path, max_pixels)
    except av.FFmpegError as error:
        raise SourceError(f"{name}: not a video that can be opened ({error.strerror})") from error
