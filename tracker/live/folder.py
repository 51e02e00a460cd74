"""One service a folder: a second one would write over the first one's checkpoint and tables."""

from __future__ import annotations

import errno
import logging
import sys
from io import TextIOWrapper
from pathlib import Path

from tracker.errors import ReacquireError

log = logging.getLogger("reacquire.live")


class FolderLock:
    """Held while a service runs; the system lets go of it when the process dies, however it does.

    Args:
        folder: of the service; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: TextIOWrapper | None = None

    def take(self) -> None:
        """Take it. A full disk is no reason not to track.

        Raises:
            ReacquireError: somebody else holds it, or the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = (self._folder / "lock").open("a")
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                log.warning("%s: the disk is full; nothing is written until it is not", self._folder)
                return
            raise ReacquireError(
                f"{self._folder}: cannot be written: {error.strerror}; `--out` or `folder` names another"
            ) from error
        if sys.platform == "win32":  # has no such locks
            return
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise ReacquireError(
                f"{self._folder}: another `reacquire live` writes there; stop it, or give this one `--out` or `folder`"
            ) from error
        except OSError:  # a file system without locks
            pass

    def release(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()
            self._file = None
