"""`seqinfo.ini`: what a MOTChallenge sequence says of itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from tracker.errors import DataError
from tracker.formats.text import SHOWN, lines_of, number, read_bytes

FILE = "seqinfo.ini"
MOST_FRAMES = 10_000_000
"""Above it, a number is no frame."""
MOST_PIXELS = 1_000_000
"""Above it, a number is no side of a picture."""
SLOWEST, FASTEST = 1e-3, 1e6
"""Frames a second that can be."""
IMAGES = "img1"
KEYS = {key.lower(): key for key in ("name", "imDir", "frameRate", "seqLength", "imWidth", "imHeight", "imExt")}
"""As they are spelled, by how they are compared."""


@dataclass(frozen=True, slots=True)
class SequenceInfo:
    """What `seqinfo.ini` says; empty or zero where it does not.

    Attributes:
        length: frames.
        size: width and height of the pictures.
        rate: frames a second.
        name: of the sequence.
        images: folder of the pictures, inside the sequence's.
    """

    length: int = 0
    size: tuple[int, int] = (0, 0)
    rate: float = 0.0
    name: str = ""
    images: str = IMAGES


def read_sequence_info(folder: Path) -> SequenceInfo:
    """`seqinfo.ini` of a sequence's folder; nothing where there is none.

    Keys may be written in any case, and twice if they say the same; other keys and sections are passed over.

    Raises:
        DataError: no section `[Sequence]`, a key twice with two values, or a value that cannot be; names the line.
    """
    path = folder / FILE
    if not path.is_file():
        return SequenceInfo()
    values = _Values(path)
    width, height = (values.whole(key, MOST_PIXELS) for key in ("imwidth", "imheight"))
    return SequenceInfo(
        length=values.whole("seqlength", MOST_FRAMES),
        size=(width, height) if width and height else (0, 0),
        rate=values.rate(),
        name=values.text("name"),
        images=values.inside("imdir") or IMAGES,
    )


class _Values:
    """The keys of the section, in small letters, with their lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, tuple[int, str]] = {}
        section = None
        for place, line in enumerate(map(str.strip, lines_of(read_bytes(path))), 1):
            if not line or line[0] in "#;":
                continue
            if line[0] == "[" and line[-1] == "]":
                section = line[1:-1].strip().lower()
            elif section is None:
                raise self._fail(place, f"expected the section [Sequence] first, got {line[:60]!r}")
            elif section == "sequence":
                self._take(place, line)
        if section is None:
            raise DataError(f"{path}: expected the section [Sequence]")

    def _take(self, place: int, line: str) -> None:
        split = min((i for i in (line.find("="), line.find(":")) if i >= 0), default=-1)
        if split < 0:
            raise self._fail(place, f"expected key=value, got {line[:60]!r}")
        key, value = line[:split].strip().lower(), line[split + 1 :].strip()
        before = self._found.get(key)
        if key in KEYS and before is not None and before[1] != value:
            raise self._fail(
                place, f"{KEYS[key]} is {value[:SHOWN]!r} here and {before[1][:SHOWN]!r} in line {before[0]}"
            )
        self._found[key] = place, value

    def _fail(self, place: int, reason: str) -> DataError:
        return DataError(f"{self._path}, line {place}: {reason}")

    def _number(self, key: str) -> float:
        place, text = self._found.get(key, (0, ""))
        value = number(text) if text else 0.0
        if value is None or not math.isfinite(value) or value < 0:
            raise self._fail(place, f"expected a number of 0 or more as {KEYS[key]}, got {text[:SHOWN]!r}")
        return value

    def whole(self, key: str, most: int) -> int:
        """A whole number, 0 where there is none."""
        value = self._number(key)
        if value != int(value) or value > most:
            place, text = self._found[key]
            raise self._fail(place, f"expected a whole number of up to {most:,} as {KEYS[key]}, got {text[:SHOWN]!r}")
        return int(value)

    def rate(self) -> float:
        """Frames a second, 0 where nothing is said."""
        value = self._number("framerate")
        if value and not SLOWEST <= value <= FASTEST:
            place, text = self._found["framerate"]
            raise self._fail(place, f"{text[:SHOWN]} frames a second cannot be ({SLOWEST:g} to {FASTEST:g})")
        return value

    def text(self, key: str) -> str:
        """A name that can be printed."""
        place, text = self._found.get(key, (0, ""))
        if not text.isprintable() or len(text) > 255:
            raise self._fail(place, f"{text[:SHOWN]!r} is no {KEYS[key]}")
        return text

    def inside(self, key: str) -> str:
        """The name of a folder inside the sequence's."""
        place, text = self._found.get(key, (0, ""))
        outside = any(
            p.is_absolute() or p.drive or ".." in p.parts for p in (PurePosixPath(text), PureWindowsPath(text))
        )
        if outside or not text.isprintable() or len(text) > 255:
            raise self._fail(place, f"{KEYS[key]} is {text[:SHOWN]!r}, and must be a folder in the sequence's own")
        return text


def sequence_info_text(info: SequenceInfo) -> str:
    """The content of a `seqinfo.ini`; what is not known is 0."""
    lines = [f"name={info.name}", f"imDir={info.images}", f"frameRate={info.rate:g}", f"seqLength={info.length}"]
    lines += [f"imWidth={info.size[0]}", f"imHeight={info.size[1]}", "imExt=.jpg"]
    return "\n".join(["[Sequence]", *lines, ""])
