"""The folder of a run: a new one each time, with `run.json` about what happened in it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tracker.errors import ReacquireError
from tracker.sinks.base import partial_name, write_all, writing

RECORD = "run.json"


@contextmanager
def run_folder(wanted: Path, *, overwrite: bool = False) -> Generator[Path]:
    """A new folder for one run: `wanted`, or `wanted-2`, `wanted-3`, … where that is taken or holds something.

    It is this run's alone, whoever asks at the same time: `run.json` is made in it by whoever gets it, and while the
    block lasts nobody empties it.

    Args:
        wanted: its name.
        overwrite: empty and take the existing one instead. Only a folder that holds a `run.json` is emptied.

    Raises:
        ReacquireError: it cannot be made, or it is to be overwritten while a run writes there.
    """
    with writing(wanted):
        folder, lock = _claim(wanted, overwrite=overwrite)
    try:
        yield folder
    finally:
        if lock is not None:
            os.close(lock)


def create_run_folder(wanted: Path, *, overwrite: bool = False) -> Path:
    """As `run_folder`, for those who overwrite nothing later.

    Raises:
        ReacquireError: see `run_folder`.
    """
    with run_folder(wanted, overwrite=overwrite) as folder:
        return folder


def _claim(wanted: Path, *, overwrite: bool) -> tuple[Path, int | None]:
    """A folder that nobody else gets, and what keeps it from being emptied while it is open."""
    for number in itertools.count(1):
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:  # a file
            continue
        try:
            lock = _lock(folder)
        except BlockingIOError:
            if overwrite:
                raise ReacquireError(
                    f"{folder}: another run writes there now; wait for its end, or give this one `--out`"
                ) from None
            continue
        try:
            if overwrite and number == 1 and (folder / RECORD).is_file():
                _empty(folder)
            if not any(folder.iterdir()):
                with (folder / RECORD).open("x") as file:
                    file.write('{"status": "running"}\n')
                return folder, lock
        except FileExistsError:  # somebody was faster, on a file system without locks
            pass
        except BaseException:
            if lock is not None:
                os.close(lock)
            raise
        if lock is not None:
            os.close(lock)
    raise AssertionError("unreachable: numbers do not end")


def as_json(content: Any, encoding: str = "utf-8") -> str:
    """JSON for people: readable characters, or escapes where the encoding lacks one, as for bytes of a file's name."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(content, indent=2)
    return text


def _lock(folder: Path) -> int | None:
    """Lock a folder until the descriptor is closed, or the process dies; None where there are no such locks.

    Raises:
        BlockingIOError: somebody holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _empty(folder: Path) -> None:
    """Delete what is in it; `run.json` last, so that a killed process leaves a folder that can be overwritten."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == RECORD):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file that is always whole: the old one or the new one.

    Raises:
        ReacquireError: it cannot be written; the old one stays.
    """
    with writing(path):
        _write_partial(path, (as_json(content) + "\n").encode())
        partial_name(path).replace(path)


def reserve(path: Path, size: int) -> None:
    """Keep place on the disk for the next `write_json` of a file, which so succeeds on a disk that is full by then.

    Raises:
        ReacquireError: there is no place.
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
