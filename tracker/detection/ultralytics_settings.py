"""How Ultralytics is set up before it is imported: it sends and installs nothing, and leaves its user's settings."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from reid.runtime import cache_folder

OFFLINE = "YOLO_OFFLINE"


def prepare() -> None:
    """Set the environment that Ultralytics reads when it is imported; call it before that.

    Otherwise it looks up two hosts at once, and sends what was done to its makers where they are found. Its settings
    file is one of our own, in this user's cache, unless `YOLO_CONFIG_DIR` names another folder.
    """
    os.environ[OFFLINE] = "true"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ.setdefault("YOLO_VERBOSE", "false")
    if "YOLO_CONFIG_DIR" not in os.environ:
        os.environ["YOLO_CONFIG_DIR"] = str(cache_folder() or tempfile.mkdtemp(prefix="reacquire-"))
    if (reports := sys.modules.get("ultralytics.utils.events")) is not None:  # somebody was here before
        reports.events.enabled = False


@contextmanager
def online() -> Iterator[None]:
    """Let Ultralytics fetch what its user asked for by name."""
    os.environ[OFFLINE] = "false"
    try:
        yield
    finally:
        os.environ[OFFLINE] = "true"
