"""How files are written, for both packages: what has its final name is whole and on the disk, whatever happens."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

from reid.errors import WriteError


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Turn a failure to write into an error that says what to do.

    Raises:
        WriteError: instead of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = os.strerror(error.errno) if error.errno else str(error)  # Arrow's own words for it are long
        hint = "the disk is full; what was written before stays readable" if full else reason
        raise WriteError(f"{path}: cannot be written: {hint}") from error


def partial_name(path: Path) -> Path:
    """The name of a file until it is whole: `tracks.mp4` is `tracks.partial.mp4`."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


@contextmanager
def replacing(path: Path, *, mode: int | None = None, contended: bool = False) -> Generator[Path]:
    """Yield the name that a file has while it is written; it gets its own when the block ends and all is on the disk.

    Where the block fails, what was there before stays, and nothing of the new file does.

    Args:
        path: the file's own name.
        mode: who may read and write it, from its first byte on (0o600: its owner alone); it is made before the block
            begins, and where a link stands in its way that is removed, not followed.
        contended: other processes or threads may write the same file now; the last one that is whole stays.

    Raises:
        WriteError: it cannot be written.
    """
    own = path.with_stem(f"{path.stem}.{os.getpid()}-{threading.get_ident()}") if contended else path
    partial = partial_name(own)
    with writing(path):
        try:
            if mode is not None:
                partial.unlink(missing_ok=True)  # one that others may read
                os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
            yield partial
            sync(partial)
            partial.replace(path)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise


def write_text(path: Path, text: str) -> None:
    """Write a whole file of UTF-8 text.

    Raises:
        WriteError: it cannot be written; the one before stays.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def as_json(content: Any, encoding: str = "utf-8") -> str:
    """JSON for people: readable characters, or escapes where the encoding lacks one, as for bytes of a file's name."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(content, indent=2)
    return text


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file that is always whole: the old one or the new one.

    Raises:
        WriteError: it cannot be written; the old one stays.
    """
    with writing(path):
        _write_partial(path, (as_json(content) + "\n").encode())
        partial_name(path).replace(path)


def reserve(path: Path, size: int) -> None:
    """Keep place on the disk for the next `write_json` of a file, which so succeeds on a disk that is full by then.

    Raises:
        WriteError: there is no place.
    """
    with writing(path):
        _write_partial(path, b" " * size)


def _write_partial(path: Path, content: bytes) -> None:
    """Write a file under its other name, in the place that may be kept there already."""
    partial = partial_name(path)
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        with open(descriptor, "r+b", buffering=0) as file:
            write_all(file, content)
            file.truncate()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def sync(path: Path) -> None:
    """Have a file on the disk; what the system could not write after all comes out here, as an `OSError`."""
    with path.open("rb" if os.name == "posix" else "rb+") as file:  # it may be one that its owner only reads
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have new names in a folder on the disk, where systems know such a thing."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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
        WriteError: it cannot be opened.
    """

    def __init__(self, path: Path, mode: str = "wb") -> None:
        self.path = path
        with writing(path):
            self._file: FileIO = path.open(mode, buffering=0)  # type: ignore[assignment]
            self.size = os.fstat(self._file.fileno()).st_size

    def append(self, piece: bytes) -> None:
        """Add a piece; it has reached the system when this returns.

        Raises:
            WriteError: it cannot be written.
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
            WriteError: the system could not write what it had taken.
        """
        with writing(self.path):
            self._file.close()
