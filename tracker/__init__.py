"""Reacquire: track everything in a video, and keep each identity.

engine = load_tracker("bytetrack")
tracks = engine.update(detections, timestamp=seconds)

for frame, tracks in Pipeline.from_config("default").stream("street.mp4"): ...
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tracker.errors import ConfigError, DataError, ReacquireError, SourceError, WeightsError
from tracker.types import Detections, Frame, Tracks, TrackState

if TYPE_CHECKING:
    from tracker.factory import load_tracker
    from tracker.pipeline import Pipeline, Step
    from tracker.sources import open_source

__version__ = "0.2.0"

__all__ = [
    "ConfigError",
    "DataError",
    "Detections",
    "Frame",
    "Pipeline",
    "ReacquireError",
    "SourceError",
    "Step",
    "TrackState",
    "Tracks",
    "WeightsError",
    "load_tracker",
    "open_source",
]

_LAZY = {
    "Pipeline": "tracker.pipeline",
    "Step": "tracker.pipeline",
    "load_tracker": "tracker.factory",
    "open_source": "tracker.sources",
}


def __getattr__(name: str) -> Any:
    # What needs more than numpy is imported when it is first asked for.
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'tracker' has no attribute {name!r}")
