"""Boxes, ids and trails on a picture, by supervision's annotators; a colour stays with its id.

Who was seen has a whole outline, who is only expected a dashed one.
"""

from __future__ import annotations

import cv2
import numpy as np
import supervision as sv
from numpy.typing import NDArray

from tracker.types import Frame, Tracks

TRAIL_SECONDS = 3.0
COLOURS = sv.ColorPalette.from_hex(
    [
        *("e6194b", "3cb44b", "ffe119", "4363d8", "f58231", "c65bff", "42d4f4", "f032e6", "bfef45", "fabed4"),
        *("469990", "dcbeff", "cd8b3e", "fffac8", "ff5c5c", "aaffc3", "9fb04b", "ffd8b1", "6f7dff", "00d0a0"),
    ]
)


class Annotator:
    """Draws tracks on copies of frames; one for each video, because it remembers the trails.

    Args:
        size: width and height of the pictures, which set the widths of lines and letters.
        frame_rate: of the video; sets the trails' length.
        trails: draw where each track came from.
        letters: how big, in relation to what suits a video that is seen in its own size.
    """

    def __init__(
        self, size: tuple[int, int], frame_rate: float = 30.0, *, trails: bool = True, letters: float = 1.0
    ) -> None:
        unit = min(size)
        lookup = sv.ColorLookup.TRACK
        self._line = line = max(2, round(unit / 300))
        self._boxes = sv.BoxAnnotator(COLOURS, thickness=line, color_lookup=lookup)
        self._labels = sv.LabelAnnotator(
            COLOURS,
            text_color=sv.Color.BLACK,
            text_scale=letters * max(0.35, unit / 1500),
            text_thickness=max(1, round(unit / 800)),
            text_padding=max(2, round(unit / 250)),
            text_position=sv.Position.TOP_LEFT,
            color_lookup=lookup,
        )
        self._draws_trails = trails
        self._trails = sv.TraceAnnotator(
            COLOURS,
            position=sv.Position.BOTTOM_CENTER,
            trace_length=max(2, round(TRAIL_SECONDS * frame_rate)),
            thickness=line,
            color_lookup=lookup,
        )

    def draw(self, frame: Frame, tracks: Tracks) -> NDArray[np.uint8]:
        """A copy of the frame's image with the tracks on it."""
        image = frame.image.copy()
        objects, seen = _for_supervision(tracks), ~tracks.predicted
        if self._draws_trails:
            image = self._trails.annotate(image, objects)
        for track_id, xyxy in zip(tracks.id[~seen].tolist(), tracks.xyxy[~seen], strict=True):
            dashed(image, xyxy, COLOURS.by_idx(track_id).as_bgr(), self._line)
        image = self._boxes.annotate(image, _for_supervision(tracks[seen]))
        drawn: NDArray[np.uint8] = self._labels.annotate(image, objects, labels=[f"#{i}" for i in tracks.id.tolist()])
        return drawn


def _for_supervision(tracks: Tracks) -> sv.Detections:
    return sv.Detections(xyxy=tracks.xyxy, class_id=tracks.class_id, tracker_id=tracks.id)


def dashed(
    image: NDArray[np.uint8],
    xyxy: NDArray[np.floating],
    colour: tuple[int, int, int],
    thickness: int,
    *,
    step: int | None = None,
) -> None:
    """Draw the outline of a box in dashes, in place.

    Args:
        image: ``(H, W, 3)`` uint8.
        xyxy: ``(4,)`` pixels; may lie outside.
        colour: of the dashes.
        thickness: of the line, pixels.
        step: pixels from one dash to the next, half of them drawn; what suits the thickness when None.
    """
    x1, y1, x2, y2 = np.rint(xyxy).astype(int).tolist()
    height, width = image.shape[:2]
    step = step or 4 * thickness + 4
    for y in (y1, y2):
        for x in range(max(x1, x1 % step - step), min(x2, width), step):
            cv2.line(image, (x, y), (min(x + step // 2, x2), y), colour, thickness)
    for x in (x1, x2):
        for y in range(max(y1, y1 % step - step), min(y2, height), step):
            cv2.line(image, (x, y), (x, min(y + step // 2, y2)), colour, thickness)
