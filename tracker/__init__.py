"""Reacquire: track everything in a video, and keep each identity."""

from tracker.errors import ConfigError, DataError, ReacquireError, SourceError, WeightsError
from tracker.types import Detections, Frame, Tracks, TrackState

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "DataError",
    "Detections",
    "Frame",
    "ReacquireError",
    "SourceError",
    "TrackState",
    "Tracks",
    "WeightsError",
]
