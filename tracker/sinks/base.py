"""What every sink is, and how files come to their final name only when they are whole."""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from tracker.errors import ReacquireError
from tracker.types import Detections, Frame, Tracks


class Sink(ABC):
    """Takes results, frame by frame. Open on creation; close it, or use it as a context.

    Attributes:
        path: the file that it writes, or None.
    """

    path: Path | None = None

    @abstractmethod
    def write(self, frame: Frame, detections: Detections, tracks: Tracks) -> None:
        """Take one frame's results."""

    def close(self) -> None:  # noqa: B027  # a sink without a file has nothing to close
        """Finish the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Turn a failure to write into an error that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = os.strerror(error.errno) if error.errno else str(error)  # Arrow's own words for it are long
        hint = "the disk is full; what was written before stays readable" if full else reason
        raise ReacquireError(f"{path}: cannot be written: {hint}") from error


def partial_name(path: Path) -> Path:
    """The name of a file until it is whole: `tracks.mp4` is `tracks.partial.mp4`."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Yield the name that a file has while it is written; it gets its own when the block ends and all is on the disk.

    Where the block fails, what was there before stays, and nothing of the new file does.

    Raises:
        ReacquireError: it cannot be written.
    """
    partial = partial_name(path)
    with writing(path):
        try:
            yield partial
            sync(partial)
            partial.replace(path)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise


def sync(path: Path) -> None:
    """Have a file on the disk; what the system could not write after all comes out here, as an `OSError`."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_all(file: FileIO, content: bytes | memoryview) -> None:
    """Write all of it; a disk that is nearly full takes a part and says so only when asked again."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) or 0 :]


class Growing:
    """A file that grows piece by piece; of a piece that cannot be written nothing stays.

    Args:
        path: the file.
        mode: `wb` begins it anew, `ab` goes on.

    Raises:
        ReacquireError: it cannot be opened.
    """

    def __init__(self, path: Path, mode: str = "wb") -> None:
        self.path = path
        with writing(path):
            self._file: FileIO = path.open(mode, buffering=0)  # type: ignore[assignment]
            self.size = os.fstat(self._file.fileno()).st_size

    def append(self, piece: bytes) -> None:
        """Add a piece; it has reached the system when this returns.

        Raises:
            ReacquireError: it cannot be written.
        """
        with writing(self.path):
            try:
                write_all(self._file, piece)
            except OSError:
                with suppress(OSError):
                    self._file.truncate(self.size)
                    self._file.seek(self.size)
                raise
        self.size += len(piece)

    def close(self) -> None:
        """Close it.

        Raises:
            ReacquireError: the system could not write what it had taken.
        """
        with writing(self.path):
            self._file.close()
