"""The bytes of a network stream, counted: what a sender claims or sends cannot fill the memory.

FFmpeg's readers take a piece as large as its sender says, or as long as no end of it comes, and set no bound. So its
protocols (HTTP with its logins, TCP, UDP, SRT) fetch the bytes here, and its readers of formats get them from here.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import av
from av.container import InputContainer

from tracker.sources.container import open_container
from tracker.sources.pictures import TooLargeError

BYTES_A_PIXEL = 2
"""So many bytes for each pixel that is allowed may come without a picture among them."""
PIECE = 65_536
"""Bytes that are fetched at once, at the most; what is there is handed on at once."""
SCHEMES = ("http", "https", "tcp", "udp", "srt")
"""Protocols of bytes; RTSP's and RTMP's readers have bounds of their own."""
LISTS = (b"#EXTM3U", b"<?xml", b"<MPD")
"""How playlists begin (HLS, DASH): FFmpeg fetches what they name."""


class Transport:
    """The bytes at an address.

    Args:
        address: as `network_address` makes it, of one of `SCHEMES`.
        most_bytes: that may come without a picture among them.
        timeout: seconds of opening it, and of waiting for the next bytes or, while they come, for a picture.

    Attributes:
        name: the path of the address, by which FFmpeg knows some formats.
        size: bytes in all, where the server says so; else None.
        failure: why no more bytes come, where that is no end. It is not raised, since FFmpeg asks again and again.

    Raises:
        av.FFmpegError: nobody answers, or with a refusal.
    """

    def __init__(self, address: str, most_bytes: int, timeout: tuple[float, float]) -> None:
        self.name = urlsplit(address).path
        self._most, self._since = most_bytes, 0
        self._patience, self._passed = timeout[1], time.monotonic()
        options = {"raw_packet_size": str(PIECE)}
        self._container = av.open(address, format="data", options=options, timeout=timeout)
        self._packets = self._container.demux()
        self.size = self._container.size if self._container.size > 0 else None
        self.failure: Exception | None = None
        self._ready = b""
        self._ready = self.read(PIECE).lstrip(b"\r\n") or self.read(PIECE)

    @property
    def is_list(self) -> bool:
        """Whether it is a playlist, which only names where the stream is."""
        return self._ready.startswith(LISTS)

    @property
    def form(self) -> str | None:
        """FFmpeg's name of the format, where it would not find it by itself: a camera's parts of one picture each."""
        return "mpjpeg" if self._ready.startswith(b"--") else None

    def read(self, count: int) -> bytes:
        """At most so many bytes: those that are there, or the next to come; none at the end, and after a failure."""
        if time.monotonic() - self._passed > self._patience:
            self.failure = self.failure or OSError(f"no picture for {self._patience:g} s")
            self._ready = b""
        if not self._ready and self.failure is None:
            self._ready = self._fetch()
        given, self._ready = self._ready[:count], self._ready[count:]
        self._since += len(given)
        if self._since > self._most:
            many = f"{self._most / 1e6:.0f} MB"
            self.failure = TooLargeError(f"{many} came without a picture among them, more than max_pixels allows for")
            given = self._ready = b""
        return given

    def _fetch(self) -> bytes:
        try:
            return next((bytes(packet) for packet in self._packets if packet.size), b"")
        except av.error.ExitError:
            self.failure = OSError(f"nothing came for {self._patience:g} s")
        except av.FFmpegError as error:
            self.failure = error
        return b""

    def passed(self) -> None:
        """Something came of the bytes: count anew."""
        self._since, self._passed = 0, time.monotonic()

    def close(self) -> None:
        """Hang up."""
        self._container.close()


@contextmanager
def open_stream(
    address: str, most_pixels: int, *, options: dict[str, str], timeout: tuple[float, float]
) -> Generator[tuple[InputContainer, Transport | None]]:
    """A stream of the network, and its bytes where they are counted here.

    Args:
        address: as `network_address` makes it.
        most_pixels: of a picture.
        options: of FFmpeg's reader.
        timeout: seconds of opening it and of waiting for the next packet.

    Raises:
        av.FFmpegError: it cannot be opened.
        TooLargeError: it sends more than pictures of that size need.
    """
    transport = None
    if urlsplit(address).scheme.lower() in SCHEMES:
        transport = Transport(address, BYTES_A_PIXEL * most_pixels, timeout)
        if transport.is_list:
            transport.close()
            transport = None
    if transport is None:
        with open_container(address, most_pixels, options=options, timeout=timeout) as container:
            yield container, None
        return
    try:
        with open_container(transport, most_pixels, options=options) as container:
            yield container, transport
    except av.FFmpegError as error:
        raise transport.failure or error from error
    finally:
        transport.close()
    if transport.failure is not None:
        raise transport.failure


def is_finished(address: str, most_pixels: int, timeout: tuple[float, float]) -> bool:
    """Whether what is at an HTTP address is a file with an end: its length in bytes, or in seconds, is known.

    A playlist's bytes say nothing of the stream's, and a camera's Motion JPEG has no end whatever its server says.

    Raises:
        av.FFmpegError: nobody answers, or with a refusal.
    """
    transport = Transport(address, BYTES_A_PIXEL * most_pixels, timeout)
    with closing(transport):
        if transport.form is not None:
            return False
        if transport.size is not None and not transport.is_list:
            return True
    with open_stream(address, most_pixels, options={}, timeout=timeout) as (container, _):
        return bool(container.duration)
