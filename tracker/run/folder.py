"""The folder of a run: a new one each time, with `run.json` about what happened in it."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from reid.files import writing
from tracker.errors import ReacquireError

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
