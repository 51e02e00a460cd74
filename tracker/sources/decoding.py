"""Packets of a video into pictures: upright, and with what is known of their damage."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

import av
import numpy as np
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tracker.sources.container import decoder_limit
from tracker.sources.pictures import TooLargeError, check_pixels, encoded_size

Damage = Literal["none", "traces", "lost"]
"""Of a picture: none; whole in itself, but built on a damaged one; not decoded, or only with guesses in it."""
SINGLE_PICTURES = {"mjpeg", "png", "bmp", "webp", "tiff"}
"""Codecs whose packets are image files with a header of their own."""

STRICT = {"mjpeg"}
"""Codecs whose decoder passes half a picture as a whole one unless it is told to be strict."""
MOST_INSIDE = 1000
"""Pictures that a decoder may hold back, and whose times are remembered."""
MOST_BETWEEN = 16
"""Pictures that wait for the one behind them; streams with more between two anchors have none that tells."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came of a packet: a picture; none and why; or nothing yet, where no damage is told either."""

    frame: VideoFrame | None
    damage: Damage
    error: av.FFmpegError | TooLargeError | None = None
    pts: int | None = None


NOTHING = Decoded(None, "none")


class Decoder:
    """Decodes one stream and remembers what is damaged, since what is built on it is damaged too.

    A damaged picture leaves traces in all that follow until a key picture has come whole. Where the damaged one was
    a key picture itself, those that follow have no ground to stand on and count as lost.

    Args:
        stream: as `video_stream` gives it.
        most_pixels: of a picture; an image file's header is read before it is decoded.
        fast: with a thread for each processor, as far as the codec has it. The first damage is still told where it
            is, but what is behind it depends on how many threads there are: decode anew without.

    Attributes:
        unfinished: whether pictures that were decoded never came out at the end.
    """

    def __init__(self, stream: VideoStream, most_pixels: int, *, fast: bool = False) -> None:
        self._stream, self._context, self._most = stream, stream.codec_context, most_pixels
        self.unfinished = False
        # With one thread each packet's damage is known with it, and every machine gives the same pictures.
        self._context.thread_count = 0 if fast else 1
        self._context.thread_type = "FRAME"
        strict = {"err_detect": "explode"} if self._context.name in STRICT else {}
        self._context.options = {"max_pixels": decoder_limit(most_pixels)} | strict
        self._traces = self._key_lost = False
        self._doubtful = False  # the packet before lacks something; where FFmpeg cuts pictures apart, this one does
        self._clean_from: int | None = None  # time of a key picture that came after the damage
        self._inside: set[int | None] = set()  # times of pictures that are decoded and not shown yet
        self._sound: set[int | None] = set()  # of those that were so before the damage

    def decode(self, packets: Iterable[Packet[VideoStream]]) -> Generator[Decoded]:
        """Pictures in the order in which they are shown; errors of reading the packets are raised as they are."""
        for packet in packets:
            if packet.size:  # an empty one would tell the decoder that the end is there
                yield from self._decode(packet)
        end: Packet[Any] = Packet()
        end.stream = self._stream
        if self._stream.time_base is not None:
            end.time_base = self._stream.time_base
        yield from self._judged(self._ask(end), end)

    def _decode(self, packet: Packet[VideoStream]) -> Generator[Decoded]:
        if packet.is_corrupt:
            self._damaged(packet.is_keyframe)
        elif packet.is_keyframe and self._traces and not self._doubtful:
            self._clean_from = packet.pts
        self._doubtful = packet.is_corrupt
        yield from self._judged(self._ask(packet), packet)

    def _ask(self, packet: Packet[VideoStream]) -> list[VideoFrame] | av.FFmpegError | TooLargeError:
        try:
            if packet.size and self._context.name in SINGLE_PICTURES:
                check_pixels(encoded_size(bytes(packet)) or (0, 0), self._most)
            return self._context.decode(packet)
        except av.error.EOFError:
            return []
        except (av.FFmpegError, TooLargeError) as error:
            return error

    def _judged(
        self, found: list[VideoFrame] | av.FFmpegError | TooLargeError, packet: Packet[VideoStream]
    ) -> Generator[Decoded]:
        if isinstance(found, list):
            if packet.pts is not None and len(self._inside) < MOST_INSIDE and not packet.is_discard:
                self._inside.add(packet.pts)
            for frame in found:
                yield from self._swallowed(frame.pts)
                try:
                    check_pixels((frame.width, frame.height), self._most)
                except TooLargeError as error:
                    yield Decoded(None, "lost", error, frame.pts)
                else:
                    yield Decoded(frame, self._judge(frame), None, frame.pts)
            if not packet.size:
                yield from self._swallowed(None)
            elif not found:
                yield NOTHING
        else:
            if not self._traces:
                self._sound = set(self._inside)
            self._damaged(packet.is_keyframe)
            yield Decoded(None, "lost", found, packet.pts)

    def _swallowed(self, shown: int | None) -> Generator[Decoded]:
        """The pictures that should have come before the one of this time (None: the end), and did not after damage.

        Without damage there are many good reasons: packets hold single fields, or pictures that are never shown.
        """
        gone = sorted(pts for pts in self._inside if pts is not None and (shown is None or pts < shown))
        self._inside -= {*gone, shown}
        self.unfinished = shown is None and bool(gone)
        if self._traces:
            yield from (Decoded(None, "lost", None, pts) for pts in gone)

    def _judge(self, frame: VideoFrame) -> Damage:
        clean = self._begins_clean(frame)
        if frame.is_corrupt:  # the decoder guessed a part of it, or lacked what it is built on
            if clean or not self._traces:
                self._damaged(frame.key_frame)
            return "lost"
        if clean:
            self._traces = self._key_lost = False
        if frame.pts in self._sound:
            return "none"
        return "lost" if self._key_lost else "traces" if self._traces else "none"

    def _begins_clean(self, frame: VideoFrame) -> bool:
        if frame.pts is None:
            return frame.key_frame
        return self._clean_from is not None and frame.pts >= self._clean_from

    def _damaged(self, key: bool) -> None:
        single = self._context.name in SINGLE_PICTURES
        self._traces, self._clean_from = not single, None
        self._key_lost = not single and (self._key_lost or key)


def until_next_anchor(pictures: Iterable[Decoded]) -> Generator[Decoded]:
    """The pictures, with those that are predicted from both sides judged by the one behind them too.

    They are shown before it but decoded after it, so its damage is in them. They wait until it has come.
    """
    waiting: list[Decoded] = []
    for picture in pictures:
        if picture is NOTHING:
            yield picture
            continue
        if picture.frame is not None and picture.frame.pict_type == PictureType.B and len(waiting) < MOST_BETWEEN:
            waiting.append(picture)
            continue
        lost = picture.damage == "lost"
        yield from (Decoded(p.frame, "traces") if lost and p.damage == "none" else p for p in waiting)
        waiting.clear()
        yield picture
    yield from waiting


def in_order(pictures: Iterable[Decoded]) -> Generator[Decoded]:
    """The pictures, with those that could not be decoded where they would have been shown: a decoder tells at once."""
    waiting: list[Decoded] = []
    for picture in pictures:
        if picture.error is not None and picture.pts is not None and len(waiting) < MOST_BETWEEN:
            waiting.append(picture)
            continue
        if picture is not NOTHING:
            while waiting and (picture.pts is None or cast(int, waiting[0].pts) < picture.pts):
                yield waiting.pop(0)
        yield picture
    yield from waiting


def upright(frame: VideoFrame) -> NDArray[np.uint8]:
    """The decoded picture as it is to be shown, ``(H, W, 3)`` uint8 BGR: turned and mirrored as its matrix says."""
    image = cast(NDArray[np.uint8], frame.to_ndarray(format="bgr24"))
    try:
        side = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV lists nothing where it lacks a name for one item, as for EXIF; the angle it still knows
        return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))
    if side is None:
        return image
    # Rows are (a, b, u), (c, d, v), (x, y, w): a stored point is shown at (a·x + c·y, b·x + d·y).
    a, b, _, c, d = np.frombuffer(cast(bytes, side), np.int32)[:5].tolist()
    if abs(a) + abs(d) < abs(b) + abs(c):
        image, a, d = image.transpose(1, 0, 2), c, b
    image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(image)
