"""How the camera moved between two frames, so that tracks can move with it.

A measurement that cannot be trusted (black or textureless pictures, cuts, too few points that agree) counts as no
motion: a track is better off with its own prediction than with a jump.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.errors import DataError
from tracker.motion.kalman import STILL
from tracker.types import FARTHEST

Image = NDArray[np.uint8]
Affine = NDArray[np.float64]
Method = Literal["flow", "ecc", "orb"]

LONG_SIDE = 320
"""Pixels of the picture in which motion is measured."""
POINTS = 200
LEAST_POINTS = 12
LEAST_AGREEING = 0.4
LARGEST_SHIFT = 0.3  # of the long side, between two frames
LARGEST_TURN = 0.3  # radians
LARGEST_ZOOM = 1.3
TREMBLE = 0.25
"""Pixels (of the small picture) anywhere in it, below which the camera counts as still."""
STILL_AFTER = 30
LOOK_EVERY = 10
"""A camera that was still for 30 frames is looked at every tenth frame, until it moves. A picture is compared with
for as many, so that a slow drift adds up until it is seen."""


class CameraMotion(Protocol):
    """Tells how the camera moved since the last call."""

    @property
    def needs_image(self) -> bool:
        """Whether it measures in pictures."""
        ...

    def reset(self) -> None:
        """Forget the last frame."""
        ...

    def estimate(self, image: Image | None, boxes: NDArray[np.float32]) -> Affine:
        """``(2, 3)`` affine from the last frame's pixels to this one's; `STILL` without motion."""
        ...

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """What the next estimate depends on."""
        ...

    def load_state_dict(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue where `state_dict` was taken.

        Raises:
            ValueError: it is no such state; nothing changes.
        """
        ...


class MeasuredCamera:
    """Camera motion measured in the pictures.

    Args:
        method: "flow" follows corners by sparse optical flow (Lucas and Kanade; pyramids by Bouguet); "orb" matches
            ORB features (Rublee et al., ICCV 2011); "ecc" aligns the whole picture (Evangelidis and Psarakis,
            PAMI 2008). The first two leave out what detections cover, and keep what most points agree on (RANSAC).
            On a picture of a street the three find shifts between two frames of up to 12, 16 and 8 % of its width.
    """

    needs_image = True

    def __init__(self, method: Method = "flow") -> None:
        self.method = method
        self.reset()

    def reset(self) -> None:
        """Forget the last frame."""
        self._last: Image | None = None
        self._covered: Image | None = None
        self._still = 0
        self._since = 0

    def estimate(self, image: Image | None, boxes: NDArray[np.float32]) -> Affine:
        """``(2, 3)`` affine from the last frame's pixels to this one's.

        Args:
            image: ``(H, W, 3)`` uint8 BGR; without one the camera counts as still until the next.
            boxes: ``(N, 4)`` of the moving things in it.

        Raises:
            DataError: it is no such picture.
        """
        if image is None:
            return STILL
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise DataError(f"image: expected (H, W, 3) uint8, got {image.dtype} of {image.shape}")
        self._since += 1
        if self._last is not None and self._still >= STILL_AFTER and self._since % LOOK_EVERY:
            return STILL
        small, scale = shrink(image)
        last, covered = self._last, self._covered
        if last is None or covered is None or last.shape != small.shape:
            self._remember(small, boxes, scale)
            return STILL
        found = self._measure(last, covered, small)
        if found is None:
            self._remember(small, boxes, scale)
            return STILL
        if moves_at_most(found, small.shape) < TREMBLE:
            self._still += 1
            if self._since >= LOOK_EVERY:
                self._remember(small, boxes, scale)
            return STILL
        self._still = 0
        self._remember(small, boxes, scale)
        found[:, 2] /= scale
        return found

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """What the next estimate depends on."""
        nothing = np.zeros((0, 0), np.uint8)
        return {
            "last": nothing if self._last is None else self._last.copy(),
            "covered": nothing if self._covered is None else self._covered.copy(),
            "counts": np.array([self._still, self._since]),
        }

    def load_state_dict(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue where `state_dict` was taken."""
        last, covered, counts = (np.asarray(state[name]) for name in ("last", "covered", "counts"))
        pictures = last.dtype == covered.dtype == np.uint8 and last.ndim == 2 and last.shape == covered.shape
        if not (pictures and counts.dtype.kind == "i" and counts.shape == (2,) and counts.min() >= 0):
            raise ValueError("it holds no small pictures and two counts")
        self._last, self._covered = (last.copy(), covered.copy()) if last.size else (None, None)
        self._still, self._since = (int(count) for count in counts)

    def _remember(self, small: Image, boxes: NDArray[np.float32], scale: float) -> None:
        covered = np.zeros(small.shape, np.uint8)
        limit = max(small.shape)
        for x1, y1, x2, y2 in np.clip(boxes * scale, -1, limit).astype(np.int64).tolist():
            covered[max(y1, 0) : y2 + 1, max(x1, 0) : x2 + 1] = 255
        self._last, self._covered, self._since = small, covered, 0

    def _measure(self, last: Image, covered: Image, small: Image) -> Affine | None:
        """Motion in pixels of the small picture, None where it cannot be told."""
        try:
            if self.method == "ecc":
                found = by_alignment(last, small)
            else:
                pairs = follow_corners if self.method == "flow" else match_features
                found = agreed(*pairs(last, np.where(covered, 0, 255).astype(np.uint8), small))
        except cv2.error:  # a picture without any structure, to some of OpenCV's functions
            return None
        return found if found is not None and is_credible(found, small.shape) else None


class RecordedCamera:
    """Camera motion that was measured before: one affine a frame.

    Args:
        motions: ``(F, 2, 3)``; frame `i` holds the motion from frame `i - 1` to `i`.
    """

    needs_image = False

    def __init__(self, motions: Affine | Sequence[Affine]) -> None:
        self._motions = np.asarray(motions, np.float64)
        if self._motions.ndim != 3 or self._motions.shape[1:] != (2, 3):
            raise DataError(f"camera motions: expected (F, 2, 3), got {self._motions.shape}")
        bad = np.flatnonzero(~(np.abs(self._motions) <= FARTHEST).all(axis=(1, 2)))
        if len(bad):
            raise DataError(f"camera motion {bad[0]}: a number is none, or beyond {FARTHEST:.0f}")
        self._next = 0

    def reset(self) -> None:
        """Begin with the first frame again."""
        self._next = 0

    def estimate(self, image: Image | None = None, boxes: NDArray[np.float32] | None = None) -> Affine:
        """The next frame's motion; `STILL` itself where there was none, and after the last."""
        at, self._next = self._next, self._next + 1
        moved = at < len(self._motions) and not np.array_equal(self._motions[at], STILL)
        return self._motions[at] if moved else STILL

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Where it is."""
        return {"next": np.array([self._next])}

    def load_state_dict(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from there."""
        following = np.asarray(state["next"])
        if following.dtype.kind != "i" or following.shape != (1,) or following[0] < 0:
            raise ValueError("it holds no number of a frame")
        self._next = int(following[0])


def shrink(image: Image) -> tuple[Image, float]:
    """A small grey copy, and its scale. Whole pixels are left out first: averaging costs more than it gives."""
    skip = max(max(image.shape[:2]) // (2 * LONG_SIDE), 1)
    part = image[::skip, ::skip]
    scale = min(LONG_SIDE / max(image.shape[:2]), 1.0)
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    small = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8), scale


def follow_corners(last: Image, free: Image, small: Image) -> tuple[Affine, Affine]:
    """``(P, 2)`` places of corners in both pictures, by sparse optical flow."""
    corners = cv2.goodFeaturesToTrack(last, POINTS, 0.01, 8, mask=free)
    nothing = np.empty((0, 2))
    if corners is None or len(corners) < LEAST_POINTS:
        return nothing, nothing
    moved, status, _ = cv2.calcOpticalFlowPyrLK(last, small, corners, None, winSize=(15, 15), maxLevel=3)  # type: ignore[call-overload]
    kept = status.ravel() == 1
    return corners.reshape(-1, 2)[kept], moved.reshape(-1, 2)[kept]


def match_features(last: Image, free: Image, small: Image) -> tuple[Affine, Affine]:
    """``(P, 2)`` places of ORB features in both pictures that prefer each other."""
    orb = cv2.ORB.create(2 * POINTS)
    here, described = orb.detectAndCompute(last, free)
    there, described_there = orb.detectAndCompute(small, None)
    nothing = np.empty((0, 2))
    if not len(here) or not len(there):
        return nothing, nothing
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(described, described_there)
    if not matches:
        return nothing, nothing
    return np.array([here[m.queryIdx].pt for m in matches]), np.array([there[m.trainIdx].pt for m in matches])


def agreed(before: Affine, after: Affine) -> Affine | None:
    """Shift, turn and zoom that most points agree on; None where too few do."""
    if len(before) < LEAST_POINTS:
        return None
    found, inside = cv2.estimateAffinePartial2D(before, after, method=cv2.RANSAC, ransacReprojThreshold=1.5)
    if found is None or inside.sum() < max(LEAST_POINTS, LEAST_AGREEING * len(before)):
        return None
    return np.asarray(found, np.float64)


def by_alignment(last: Image, small: Image) -> Affine | None:
    """Shift and turn that align the whole pictures best (ECC)."""
    if last.std() < 2 or small.std() < 2:
        return None
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    start = np.eye(2, 3, dtype=np.float32)
    quality, found = cv2.findTransformECC(last, small, start, cv2.MOTION_EUCLIDEAN, criteria, None, 5)  # type: ignore[call-overload]
    return np.asarray(found, np.float64) if quality > 0.5 else None


def is_credible(found: Affine, shape: tuple[int, ...]) -> bool:
    """Whether a camera could have moved so between two frames."""
    zoom = float(np.hypot(found[0, 0], found[1, 0]))
    turn = abs(float(np.arctan2(found[1, 0], found[0, 0])))
    sane = np.isfinite(found).all() and 1 / LARGEST_ZOOM < zoom < LARGEST_ZOOM and turn < LARGEST_TURN
    return bool(sane) and moves_at_most(found, shape) < LARGEST_SHIFT * max(shape)


def moves_at_most(found: Affine, shape: tuple[int, ...]) -> float:
    """The farthest that a corner or the middle of the picture moves, in pixels."""
    height, width = shape
    places = np.array([[0, 0], [width, 0], [0, height], [width, height], [width / 2, height / 2]])
    return float(np.linalg.norm(places @ found[:, :2].T + found[:, 2] - places, axis=1).max())
