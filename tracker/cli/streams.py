"""Standard streams that may be closed, full, or of an encoding that cannot say everything.

Results go to stdout and must arrive: a failure to write them is an error. What goes to stderr is for people who
watch: if nobody can read it, the work goes on.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import threading
import traceback
from contextlib import suppress

ESCAPES = "reacquire-escapes"
PLAIN = {"–": "-", "—": "-", "…": "...", "·": "-", "×": "x", "→": "->", "✓": "ok", "✗": "bad", "°": " degrees"}
"""What an encoding without them shows instead."""
BROKEN_PIPE = 141


class LostOutputError(Exception):
    """Results could not be written to stdout. Not an `OSError`: libraries would take that for theirs and leave."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"stdout: cannot be written: {cause.strerror or cause}")
        self.reader_left = cause.errno == errno.EPIPE


class _Results(io.TextIOWrapper):
    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise LostOutputError(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise LostOutputError(error) from error


class _Remarks(io.TextIOWrapper):
    def write(self, text: str, /) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def prepare_streams() -> None:
    """Make both streams say everything in every encoding, and fail as their purpose asks; closed ones take anything.

    A file that is opened while stdout is closed would get its number, and whatever prints would write into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    codecs.register_error(ESCAPES, _escaped)
    if sys.stdout is sys.__stdout__:  # and not what somebody else has put in its place
        sys.stdout = _over(sys.stdout, 1, _Results)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _over(sys.stderr, 2, _Remarks)
    threading.excepthook = _of_a_thread


def deliver() -> None:
    """Write out what waits for stdout.

    Raises:
        LostOutputError: it cannot be written; nothing waits any longer.
    """
    try:
        sys.stdout.flush()
    except LostOutputError:
        discard()
        raise


def discard() -> None:
    """Send what still waits for stdout, or comes later, nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def say_fault(error: BaseException) -> None:
    """A traceback on stderr, without passwords: of a fault that nobody foresaw."""
    from tracker.redact import redact

    sys.stderr.write(redact("".join(traceback.format_exception(error))))


def _of_a_thread(about: threading.ExceptHookArgs) -> None:
    if about.exc_value is not None and not isinstance(about.exc_value, SystemExit):
        say_fault(about.exc_value)


def _over(stream: io.TextIOWrapper | None, number: int, kind: type[io.TextIOWrapper]) -> io.TextIOWrapper:
    """A stream of another kind over the same file; a new one where the process was started without."""
    if not isinstance(stream, io.TextIOWrapper):
        return kind(os.fdopen(number, "wb", closefd=False), "utf-8", ESCAPES, line_buffering=number == 2)
    if isinstance(stream, kind):
        return stream
    encoding, buffering = stream.encoding, stream.line_buffering
    return kind(stream.detach(), encoding, ESCAPES, line_buffering=buffering)


def _escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    """What cannot be encoded: bytes of file names as they are, the rest in plain characters or as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode("ascii"), error.start + 1
