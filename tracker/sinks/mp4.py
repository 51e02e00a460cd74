"""H.264 in MP4, through a file that we write ourselves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from reid.files import write_all, writing
from tracker.errors import ReacquireError

CLOCK = 90_000
"""Ticks a second of timestamps in the file."""
FRAGMENTS, INDEX_FIRST = "frag_keyframe+empty_moov+default_base_moof", "faststart"
"""Flags of FFmpeg's muxer."""
ENCODERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"preset": "veryfast", "crf": "23"}),
    ("libopenh264", {}),
    ("h264", {}),
    ("mpeg4", {"qscale": "3"}),
)


def choose_encoder() -> tuple[str, dict[str, str]]:
    """The best encoder that this PyAV has: H.264 where there is one, else MPEG-4, which few browsers play.

    Raises:
        ReacquireError: none at all.
    """
    for name, options in ENCODERS:
        try:
            av.codec.Codec(name, "w")
        except (av.codec.codec.UnknownCodecError, ValueError):
            continue
        return name, options
    raise ReacquireError("PyAV has neither an H.264 nor an MPEG-4 encoder: leave `video` out of --save")


class Mp4Writer:
    """Encodes pictures into one file, at their own times. Close it, or use it as a context: an error discards.

    Args:
        path: the file.
        size: width and height of the pictures, px; an odd last row or column is cut off, as H.264 cannot have it.
        fragments: write a fragment from each key picture to the next, whole at any moment, whatever comes then. Else
            the file is whole when it is closed, and a browser can begin before it has all of it.
        rate: nominal pictures a second.
        fast: encode with the least work.
        threads: of the encoder; what suits the machine when None.

    Raises:
        ReacquireError: the file cannot be opened, the pictures are too small, or there is no encoder.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        *,
        fragments: bool = False,
        rate: Fraction | int = 30,
        fast: bool = False,
        threads: int | None = None,
    ) -> None:
        self.path = path
        if min(size) < 2:
            raise ReacquireError(f"{path}: pictures of {size[0]}×{size[1]} pixels are too small for a video")
        name, options = choose_encoder()
        if fast and name == "libx264":
            options = options | {"preset": "superfast"}
        self._file = _Uncomplaining(path)
        flags = {"movflags": FRAGMENTS if fragments else INDEX_FIRST}
        self._container: OutputContainer = av.open(self._file, "w", format="mp4", options=flags)
        self._stream = _stream(self._container, name, options, size, rate)
        if threads is not None:
            self._stream.codec_context.thread_count = threads
        self._fragments = fragments
        self._begun: int | None = None  # bytes of what stands before the first fragment
        self._whole = 0  # bytes up to the end of the last one

    def write(self, image: NDArray[np.uint8], seconds: float, *, key: bool = False) -> None:
        """Encode one picture, ``(H, W, 3)`` uint8 BGR; `key` makes it one that playing can begin at.

        Raises:
            ReacquireError: it cannot be encoded or written; nothing more can be written then.
        """
        cut = np.ascontiguousarray(image[: self._stream.height, : self._stream.width])
        picture = av.VideoFrame.from_ndarray(cut, format="bgr24")
        picture.pts, picture.time_base = round(seconds * CLOCK), Fraction(1, CLOCK)
        if key:
            picture.pict_type = av.video.frame.PictureType.I
        self._encode(picture)

    def _encode(self, picture: av.VideoFrame | None) -> None:
        with writing(self.path):
            self._file.check()
            try:
                packets = self._stream.encode(picture)
                self._container.mux(packets)
            except (av.FFmpegError, ValueError) as error:
                self._file.fail(ReacquireError(f"{self.path}: cannot be encoded: {error}"))
            self._file.check()
        if packets and self._begun is None:
            self._begun = self._file.end
        self._whole = self._file.end

    @property
    def has_fragments(self) -> bool:
        """Whether a whole fragment has been written."""
        return self._fragments and self._begun is not None and self._whole > self._begun

    def close(self) -> None:
        """Finish the file.

        Raises:
            ReacquireError: it cannot be written to its end; it is let go all the same.
        """
        try:
            self._encode(None)
            self._let_go()
            with writing(self.path):
                self._file.check()
        except ReacquireError:
            self.discard()
            raise

    def discard(self) -> None:
        """Let go of a file that cannot be finished; whole fragments of it stay, or nothing where there is none."""
        self._file.fail(ReacquireError(f"{self.path}: given up"))
        self._let_go()
        with suppress(OSError):
            if self.has_fragments:
                os.truncate(self.path, self._whole)
            else:
                self.path.unlink()

    def _let_go(self) -> None:
        with suppress(av.FFmpegError, ValueError):  # of a file that is in trouble, which is known
            self._container.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


class _Uncomplaining:
    """A file for FFmpeg, which never hears of an error.

    After one FFmpeg's own files end the process, where a header could not be written and packets come all the same.
    So the first error is kept for us, and all that FFmpeg writes from then on is thrown away.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path.absolute())  # FFmpeg opens it once more; a relative one may look like an address
        with writing(path):
            self._file = FileIO(self.name, "w")
        self._error: OSError | ReacquireError | None = None
        self._at = self.end = 0

    @property
    def closed(self) -> bool:
        """Whether it takes nothing more."""
        return self._file.closed

    def write(self, content: bytes) -> int:
        """Write, or throw away."""
        if self._error is None:
            try:
                write_all(self._file, content)
            except OSError as error:
                self._error = error
        self._at += len(content)
        self.end = max(self.end, self._at)
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.end}[whence]
        with suppress(OSError):
            self._file.seek(self._at)
        return self._at

    def tell(self) -> int:
        """The place."""
        return self._at

    def fail(self, error: OSError | ReacquireError) -> None:
        """Throw away from now on."""
        self._error = self._error or error

    def check(self) -> None:
        """Raise the first error."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Have it on the disk, and close it."""
        try:
            if self._error is None:
                os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            self.fail(error)


def _stream(
    container: OutputContainer, name: str, options: Mapping[str, str], size: tuple[int, int], rate: Fraction | int
) -> VideoStream:
    stream: VideoStream = container.add_stream(name, rate=rate, options=dict(options))  # type: ignore[assignment]
    stream.width, stream.height = size[0] // 2 * 2, size[1] // 2 * 2
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, CLOCK)
    return stream
