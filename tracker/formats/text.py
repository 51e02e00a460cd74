"""What text files of all formats have in common: how they are decoded, and what counts as a number in them."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from tracker.errors import DataError

SHOWN = 40
"""Characters of a bad value that a message repeats."""
NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]{1,6})?|nan|inf|infinity)", re.ASCII | re.I)
"""What counts as a number: `float` alone would also take `1_000` and the digits of every script."""
LINE_END = re.compile(r"\r\n|\r|\n")


def read_bytes(path: Path) -> bytes:
    """A file's content.

    Raises:
        DataError: missing, a folder, or not to be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # a name with a zero in it is a ValueError
        raise DataError(f"{path}: cannot be read: {error}") from None


def lines_of(data: bytes) -> list[str]:
    """The lines of a text file, whichever system wrote it; a byte-order mark is none of its text."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return LINE_END.split(data.decode("utf-16" if wide else "utf-8-sig", errors="replace"))


def number(text: str) -> float | None:
    """A number as every tool writes it, or None: `float` would also take `1_000`, `١٢` and `１２`."""
    return float(text) if NUMBER.fullmatch(text) else None
