"""Compile ahead what the first run of each recipe would wait for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np

from tracker.config import config_names
from tracker.factory import load_tracker
from tracker.types import Detections


def warm_up(recipes: Iterable[str] | None = None) -> Iterator[tuple[str, float]]:
    """Have recipes, all shipped ones if none are named, take a frame; yields each name, and the seconds it took.

    What it compiles is kept for this user's environments; where nothing can be kept, a message says so.
    """
    found = Detections([[0, 0, 40, 90]], [0.9], embedding=np.eye(1, 8))
    for name in config_names("trackers") if recipes is None else recipes:
        begin = time.perf_counter()
        load_tracker(name).update(found, timestamp=0.0)
        yield name, time.perf_counter() - begin
