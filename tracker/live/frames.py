"""What goes from a camera to those who record or store it."""

from __future__ import annotations

from dataclasses import dataclass

from tracker.types import Detections, Frame, Tracks


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """One tracked picture."""

    camera: str
    frame: Frame
    detections: Detections
    tracks: Tracks
