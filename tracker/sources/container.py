"""Containers that FFmpeg reads: which stream is the video, how large it is, and what they know of their length."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from tracker.errors import SourceError
from tracker.sources.pictures import check_pixels
from tracker.sources.places import local_name, media_name

NO_LENGTH = 0x0080 | 0x0200
"""FFmpeg's marks of formats without times of their own (raw streams), and of those whose clock may begin again
(MPEG-TS and its kin): what it says of their length is taken from what is there (libavformat/avformat.h)."""
SLACK_STEPS, SLACK_SHARE, SLACK_SECONDS = 2.5, 0.02, 1.0
"""A whole file may end so many frames before what its header says, or so large a share of it, of a second at most."""
SEGMENT = b"\x18\x53\x80\x67"
"""The name of Matroska's element that holds all others."""
MOST_ELEMENTS = 5_000_000
"""Of a Matroska file that are looked at: days of a live recording, minutes of rubbish."""
TS_PACKETS = (188, 192, 204)
"""Bytes of a packet of MPEG-TS: plain, with times (M2TS), with checksums."""


def decoder_limit(most_pixels: int) -> str:
    """FFmpeg's own limit for pictures of so many pixels: it counts the margins that its decoders work in, too."""
    return str(most_pixels + most_pixels // 4 + 1_000_000)


class Bytes(Protocol):
    """What FFmpeg can read bytes from; `form` is its name of their format, None where it finds out."""

    name: str

    @property
    def form(self) -> str | None: ...

    def read(self, count: int) -> bytes: ...


def open_container(
    place: str | Path | Bytes,
    most_pixels: int,
    *,
    options: dict[str, str] | None = None,
    timeout: tuple[float, float] | None = None,
) -> InputContainer:
    """Open a file or an address; pictures of more pixels are not decoded, not even to look what is in it.

    Args:
        place: a file, an address of the network as `network_address` makes it, or bytes.
        most_pixels: of a picture.
        options: of FFmpeg's demuxer.
        timeout: seconds of opening it and of waiting for a packet.

    Raises:
        av.FFmpegError: it cannot be opened.
    """
    opened: InputContainer
    source: Any = media_name(place) if isinstance(place, Path) else place
    form = None if isinstance(place, str | Path) else place.form
    limits = {"max_pixels": decoder_limit(most_pixels)}
    # Metadata may be in any encoding: they are not looked at.
    opened = av.open(source, format=form, options=(options or {}) | limits, timeout=timeout, metadata_errors="replace")
    return opened


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The streams that are videos, without covers and thumbnails."""
    aside = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & aside]


def video_stream(container: InputContainer, most_pixels: int) -> VideoStream:
    """The stream that is the video: no cover, no thumbnails; of several the one marked as default, else the largest.

    Raises:
        SourceError: there is none; says what there is instead.
        TooLargeError: its pictures have more pixels than are allowed.
    """
    videos = video_streams(container)
    if not videos:
        kinds: list[str] = [stream.type for stream in container.streams if stream.type != "video"]
        kinds += ["a cover picture"] * bool(container.streams.video)
        raise SourceError(f"there is no video in it, only {', '.join(dict.fromkeys(kinds)) or 'nothing'}")
    videos = [stream for stream in videos if stream.codec_context is not None]
    if not videos:
        raise SourceError("its video is in a format that FFmpeg cannot decode here")
    stream = max(videos, key=lambda s: (bool(s.disposition & Disposition.default), (s.width or 0) * (s.height or 0)))
    check_pixels((stream.width or 0, stream.height or 0), most_pixels)
    return stream


class Length:
    """What a container says of its length, held against what was read.

    Args:
        container: open.
        stream: its video.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._stream = stream
        self._own, self._any = _said(container, stream)
        self._ends: dict[int, float] = {}
        self._torn = _ends_in_a_piece(container)
        self.packets = 0

    def read(self, packet: Packet[Any]) -> None:
        """Count a packet of any stream."""
        self.packets += packet.stream is self._stream
        if packet.pts is not None and packet.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._ends[packet.stream_index] = max(self._ends.get(packet.stream_index, end), end)

    def frames(self) -> int | None:
        """How many there are, where the header says so; not where it only counts those of the first fragments."""
        count, rate = self._stream.frames, self._stream.average_rate
        if self._own is not None and rate and count < float(self._own * rate) / 2:
            return None
        return count or None

    def missing(self) -> str | None:
        """What is missing at the end, after all was read; None where nothing is, or the container does not say."""
        step = float(1 / self._stream.average_rate) if self._stream.average_rate else 0.04
        counted = self.packets * step if _counts(self._stream) else 0.0
        own = max(self._ends.get(self._stream.index, 0.0), counted)
        for said, there in ((self._own, own), (self._any, max([own, *self._ends.values()]))):
            if said is not None:
                slack = max(SLACK_STEPS * step, min(SLACK_SECONDS, SLACK_SHARE * said))
                return f"ends at {there:.1f} s of {said:.1f} s; it is cut off" if said - there > slack else None
        return "ends in the middle of a packet; it is cut off" if self._torn else None


def _said(container: InputContainer, stream: VideoStream) -> tuple[float | None, float | None]:
    """Seconds at which the video ends, and at which the longest stream does, where the header says so."""
    if container.format.flags & NO_LENGTH:
        return None, None
    own = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
    if own is None:
        own = _clock(stream.metadata.get("DURATION", ""))  # Matroska's, where its writer left statistics
    if own is not None and _counts(stream) and stream.average_rate:  # FFmpeg shortens an AVI's to what is there
        own = max(own, float(stream.frames / stream.average_rate))
    return own, container.duration / 1e6 if container.duration else None


def _counts(stream: VideoStream) -> bool:
    """Whether the header's number of frames is that of packets to come: an MP4's may count what an edit leaves out."""
    return stream.frames > 0 and not stream.container.format.name.startswith("mov")


def _clock(text: str) -> float | None:
    """Seconds of `00:01:02.500`."""
    parts = text.split(":")
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds


def _ends_in_a_piece(container: InputContainer) -> bool:
    """Whether the bytes end before the last piece of the container does."""
    form = container.format.name
    if form == "mpegts":
        return container.size > 0 and all(container.size % n for n in TS_PACKETS)
    path = local_name(container.name)
    return form.startswith("matroska") and path is not None and _ends_in_an_element(path)


def _ends_in_an_element(path: Path) -> bool:
    """Whether a Matroska file ends inside an element; those of unknown size, as in live recordings, are entered."""
    at, size = 0, path.stat().st_size
    with path.open("rb") as file:
        for _ in range(MOST_ELEMENTS):
            if at >= size:
                break
            file.seek(at)
            head = file.read(12)
            name = 9 - head[0].bit_length()  # bytes of the name, then of the length (RFC 8794, 5 and 6)
            if name > 4 or len(head) <= name or head[name] == 0:
                return len(head) <= name  # else no element: damage, which is told by what cannot be read
            width = 9 - head[name].bit_length()
            if len(head) < name + width:
                return True
            length = int.from_bytes(head[name : name + width], "big") & (1 << 7 * width) - 1
            at += name + width
            if length < (1 << 7 * width) - 1 and not head.startswith(SEGMENT):
                at += length
            elif length < (1 << 7 * width) - 1 and at + length > size:
                return True
    return at > size
