"""Processes that end with the one that started them, however it ended: a kill -9 runs no clean-up."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable

SET_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux's prctl(2)."""


def end_with_parent() -> None:
    """Called in a process that multiprocessing spawned: it ends at once when its parent has.

    The parent holds the other end of a pipe that every system closes with it. Only for processes that were spawned:
    those that were forked hold the ends of one another's pipes.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="watch the parent", daemon=True).start()


def killed_with_parent() -> Callable[[], None] | None:
    """What `subprocess.Popen` takes as `preexec_fn`, so that Linux kills the process when this one is gone.

    None on other systems, where such a process goes on. Call Popen from a thread that lives as long as the process:
    Linux counts the thread as the parent.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it died between the fork and now
            os._exit(1)

    return ask
