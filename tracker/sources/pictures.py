"""How large pictures may be, which is read before they are made, and one pixel space for all of a source."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from tracker.errors import SourceError

MOST_PIXELS = 50_000_000
"""Pixels of a picture that are decoded; 8K has 33 million, the largest that H.264 and H.265 allow 36 million."""
MOST_BYTES_A_PIXEL = 8
"""A file of one picture may have so many bytes for each pixel that is allowed."""

Picture = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "BMP", "TIFF")
Pillow.init()
warnings.filterwarnings("ignore", module=r"PIL\.")  # of metadata that nobody reads here


class TooLargeError(SourceError, OSError):
    """A picture has more pixels than are allowed; nothing of it was decoded."""


def check_pixels(size: tuple[int, int], most: int) -> None:
    """Refuse a picture that is too large.

    Args:
        size: width and height in pixels.
        most: pixels that are allowed.

    Raises:
        TooLargeError: says how large it is, and which setting allows more.
    """
    if size[0] * size[1] > most:
        millions = size[0] * size[1] / 1e6
        raise TooLargeError(
            f"a picture of {size[0]}×{size[1]}, {millions:.0f} million pixels, is more than max_pixels={most} allows"
        )


def encoded_size(file: bytes | Path) -> tuple[int, int] | None:
    """Width and height in pixels that an encoded picture's header says; None where it has none that can be read.

    Only the header is read; what Pillow allows or not is not asked, since the limit here is our own.
    """
    try:
        with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as stream:
            prefix = stream.read(32)
            if prefix.startswith(b"RIFF") and prefix[8:12] == b"WEBP":  # Pillow would make room for the whole picture
                return _webp_size(prefix)
            for make, accepts in (Pillow.OPEN[form] for form in FORMATS):
                stream.seek(0)
                if accepts is not None and accepts(prefix) is True:
                    return make(stream, "").size
    except (OSError, ValueError, SyntaxError, KeyError, IndexError, TypeError, OverflowError, struct.error):
        pass  # whatever a damaged header makes a reader stumble over
    return None


def _webp_size(head: bytes) -> tuple[int, int]:
    """Of the three kinds of WebP: lossy (RFC 6386, 9.1), lossless, and extended (RFC 9649)."""
    if head[12:16] == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def read_image(path: Path, most: int) -> Picture:
    """The picture of a file, ``(H, W, 3)`` uint8 BGR, upright.

    Args:
        path: of a JPEG, PNG, BMP, WebP or TIFF file; its content decides, not its name.
        most: pixels that are allowed.

    Raises:
        SourceError: it cannot be read or is damaged.
        TooLargeError: of more pixels; its header alone was read.
    """
    try:
        length, size = path.stat().st_size, encoded_size(path)
        check_pixels(size or (0, 0), most)
        if length > MOST_BYTES_A_PIXEL * most:
            size = None
        # OpenCV's own reader cannot open every name on every system.
        data = np.fromfile(path, np.uint8) if size else np.empty(0, np.uint8)
    except TooLargeError as error:
        raise TooLargeError(f"{path}: {error}") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    if size is None:
        raise SourceError(f"{path}: not a readable image")
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise SourceError(f"{path}: not a readable image ({error.err})") from error
    if image is None:
        raise SourceError(f"{path}: not a readable image; it is damaged or cut off")
    return np.asarray(image, np.uint8)


class OneSize:
    """Keeps all pictures of a source in the pixels of its first one, since one table of boxes has one pixel space.

    A picture of another size is scaled so that all of it is seen and nobody gets wider or slimmer; what is left over
    is black. FFmpeg scales to the first picture's size too (its option `-autoscale`).

    Args:
        name: of the source.
        report: takes a sentence at the first change.
    """

    def __init__(self, name: str, report: Callable[[str], None] = lambda _: None) -> None:
        self._name, self._report = name, report
        self.size: tuple[int, int] | None = None
        self.changed = 0

    def fit(self, image: Picture, index: int) -> Picture:
        """`image` where it has the first one's size, else a scaled copy; `index` is its frame's."""
        height, width = image.shape[:2]
        if self.size is None:
            self.size = (width, height)
        if (width, height) == self.size:
            return image
        self.changed += 1
        if self.changed == 1:
            self._report(
                f"{self._name}: frame {index + 1} is {width}×{height}; it and all others of another size are scaled "
                f"to the first one's {self.size[0]}×{self.size[1]}, in whose pixels all boxes are"
            )
        return _fitted(image, self.size)


def _fitted(image: Picture, size: tuple[int, int]) -> Picture:
    """`image` scaled to fit into `size`, centred on black."""
    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = (max(1, min(size[0], round(width * scale))), max(1, min(size[1], round(height * scale))))
    scaled = cv2.resize(image, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    if inner == size:
        return np.asarray(scaled, np.uint8)
    whole = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    whole[top : top + inner[1], left : left + inner[0]] = scaled
    return whole
