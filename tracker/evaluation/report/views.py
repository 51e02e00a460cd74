"""What an error looks like: a window of one frame around one identity, its boxes, and where frames are, its picture."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.evaluation.errors import MERGE, SPLIT, SWITCH, IdentityError
from tracker.evaluation.evaluate import PreparedSequence
from tracker.sources import open_source

STRIP = 6
"""Views of a split or a merge at the most."""
PICTURE = (132, 176)
"""Width and height of a picture, in pixels, at the most."""
AROUND = 1.5
"""Height of a window, in heights of what it shows."""
QUALITY = 72
TRUE, ITS, OTHER = 0, 1, 2
"""Kinds of boxes in a view: the true one; the track it is about; other tracks."""
MOST_OTHERS = 12
GOLDEN = (5**0.5 - 1) / 2
BEYOND = 127
"""Grey of what a window shows outside the frame."""


@dataclass(frozen=True, slots=True)
class View:
    """A window of a frame.

    Attributes:
        frame: 1-based.
        window: left, top, width and height in the frame, whole pixels; it may stick out of the frame.
        boxes: ``[left, top, width, height, id, kind]``, in pixels from the window's corner.
    """

    frame: int
    window: tuple[int, int, int, int]
    boxes: list[list[int]]


def views_of(prepared: PreparedSequence, error: IdentityError) -> list[View]:
    """The last box of what went before, and the first of each stretch after it."""
    s = error.stretches
    views = []
    for i in range(min(len(s), STRIP)):
        ends = (s.last_gt, s.last_pred) if i == 0 else (s.first_gt, s.first_pred)
        views.append(_view(prepared, int(ends[0][i]), int(ends[1][i])))
    return views


def _view(prepared: PreparedSequence, true: int, found: int) -> View:
    frame = int(prepared.gt.frame[true])
    both = np.stack([prepared.gt.xyxy[true], prepared.pred.xyxy[found]])
    window = _window(np.concatenate([both[:, :2].min(0), both[:, 2:].max(0)]))
    a, b = np.searchsorted(prepared.pred.frame, [frame, frame + 1]).tolist()
    near = np.arange(a, b)[_touches(prepared.pred.xyxy[a:b], window)]
    boxes = [_box(prepared.gt.xyxy[true], int(prepared.gt.id[true]), TRUE, window)]
    boxes += [
        _box(prepared.pred.xyxy[row], int(prepared.pred.id[row]), OTHER, window)
        for row in near[near != found][:MOST_OTHERS].tolist()
    ]
    boxes.append(_box(prepared.pred.xyxy[found], int(prepared.pred.id[found]), ITS, window))
    return View(frame + 1, window, boxes)


def _window(xyxy: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """All windows have one shape, so that before and after can be laid side by side."""
    shape = PICTURE[0] / PICTURE[1]
    width, height = (xyxy[2:] - xyxy[:2]).tolist()
    high = AROUND * max(height, width / shape)
    centre = (xyxy[:2] + xyxy[2:]) / 2
    w, h = max(8, round(high * shape)), max(8, round(high))
    return round(centre[0] - w / 2), round(centre[1] - h / 2), w, h


def _touches(xyxy: NDArray[np.float64], window: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    x, y, w, h = window
    inside = (xyxy[:, 0] < x + w) & (xyxy[:, 2] > x) & (xyxy[:, 1] < y + h) & (xyxy[:, 3] > y)
    return np.asarray(inside)


def _box(xyxy: NDArray[np.float64], identity: int, kind: int, window: tuple[int, int, int, int]) -> list[int]:
    x1, y1, x2, y2 = np.rint(xyxy).astype(int).tolist()
    return [x1 - window[0], y1 - window[1], x2 - x1, y2 - y1, identity, kind]


def cut(image: NDArray[np.uint8], window: tuple[int, int, int, int]) -> bytes:
    """A window of a frame as a small JPEG."""
    x, y, w, h = window
    height, width = image.shape[:2]
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
    if right <= left or bottom <= top:
        crop = np.full((8, 6, 3), BEYOND, np.uint8)
    else:
        # Scaled first, so that a window far larger than the frame costs no memory.
        scale = min(1.0, PICTURE[0] / w, PICTURE[1] / h)
        out_w, out_h = max(1, round(w * scale)), max(1, round(h * scale))
        seen = image[top:bottom, left:right]
        a, b = round((left - x) * scale), round((top - y) * scale)
        c, d = max(a + 1, round((right - x) * scale)), max(b + 1, round((bottom - y) * scale))
        crop = np.full((max(out_h, d), max(out_w, c), 3), BEYOND, np.uint8)
        crop[b:d, a:c] = cv2.resize(seen, (c - a, d - b), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])


@dataclass(slots=True)
class Pictures:
    """Pictures of views, each once, and no more than a page can hold.

    Attributes:
        most: pictures at the most.
        found: JPEGs in base64, by sequence, frame and window.
        wanted: views that could have had one.
    """

    most: int
    found: dict[tuple[str, int, tuple[int, int, int, int]], str] = field(default_factory=dict)
    wanted: int = 0

    def take(
        self,
        views: Mapping[str, Iterable[View]],
        folders: Mapping[str, Path],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Cut as many as there may be, as evenly over the sequences as can be.

        Args:
            views: by sequence, the most important first.
            folders: of the sequences that have frames; what `open_source` can open.
            progress: takes frames that are read, and how many will be.

        Raises:
            SourceError: a folder holds no frames, or a video is none.
        """
        chosen = self._choose({name: list(views[name]) for name in views if name in folders})
        per_frame = {name: _by_frame(of_one) for name, of_one in chosen.items()}
        total, done = sum(map(len, per_frame.values())), 0
        for name, of_frames in per_frame.items():
            with open_source(folders[name]) as source:
                for frame in source.at(set(of_frames)):
                    for view in of_frames[frame.index]:
                        jpeg = cut(frame.image, view.window)
                        self.found[name, view.frame, view.window] = base64.b64encode(jpeg).decode("ascii")
                    done += 1
                    progress(done, total)

    def _choose(self, views: Mapping[str, Sequence[View]]) -> dict[str, list[View]]:
        unique = {name: list({(v.frame, v.window): v for v in of_one}.values()) for name, of_one in views.items()}
        self.wanted = sum(map(len, unique.values()))
        ranked = [(rank, name, view) for name, of_one in unique.items() for rank, view in enumerate(of_one)]
        ranked.sort(key=lambda item: item[0])
        chosen: dict[str, list[View]] = {}
        for _, name, view in ranked[: self.most]:
            chosen.setdefault(name, []).append(view)
        return chosen

    def of(self, name: str, view: View) -> str | None:
        """The picture of a view, as base64, where there is one."""
        return self.found.get((name, view.frame, view.window))


def _by_frame(views: Iterable[View]) -> dict[int, list[View]]:
    """Views by index of the frame, from 0."""
    frames: dict[int, list[View]] = {}
    for view in views:
        frames.setdefault(view.frame - 1, []).append(view)
    return frames


def by_importance(errors: Sequence[IdentityError]) -> list[int]:
    """Rows of the errors, switches first, then splits; of each kind any first part is spread over the whole time."""
    order: list[int] = []
    for kind in (SWITCH, SPLIT, MERGE):
        rows = [i for i, error in enumerate(errors) if error.kind == kind]
        # Multiples of the golden ratio fill the interval evenly, however many of them are taken.
        order += [rows[k] for k in np.argsort(np.arange(len(rows)) * GOLDEN % 1).tolist()]
    return order
