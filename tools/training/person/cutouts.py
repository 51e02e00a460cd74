"""People cut out of pictures (GrabCut, Rother et al., SIGGRAPH 2004), for pasting."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.training.person.gallery import CUTOUT
from tools.training.person.pack import Boxes, Image


def cut_out(image: Image, box: NDArray[np.float32], border: float) -> Image | None:
    """``(H, W, 4)`` BGRA of the person in ``box``; None where the segmentation is not credible.

    The search begins with an upright ellipse as the person, a strip of the trunk as certain, and all beyond the box,
    ``border`` of its width and half of that of its height, as background.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (float(v) for v in box)
    grow_x, grow_y = border * (x2 - x1), border * (y2 - y1) / 2
    left, top = max(int(x1 - grow_x), 0), max(int(y1 - grow_y), 0)
    patch = np.ascontiguousarray(
        image[top : min(int(y2 + grow_y) + 1, height), left : min(int(x2 + grow_x) + 1, width)]
    )
    x1, x2, y1, y2 = x1 - left, x2 - left, y1 - top, y2 - top
    w, h = x2 - x1, y2 - y1
    if w < 14 or h < 40:
        return None
    rows, columns = np.mgrid[: patch.shape[0], : patch.shape[1]]
    across, down = (columns + 0.5 - x1) / w - 0.5, (rows + 0.5 - y1) / h - 0.5
    labels = np.full(patch.shape[:2], cv2.GC_BGD, np.uint8)
    labels[(abs(across) < 0.5) & (abs(down) < 0.5)] = cv2.GC_PR_BGD
    labels[(across / 0.36) ** 2 + (down / 0.49) ** 2 < 1] = cv2.GC_PR_FGD
    labels[(abs(across) < 0.09) & (down > -0.32) & (down < 0.02)] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    # The stub knows no call without a rectangle, which a mask takes the place of.
    cv2.grabCut(patch, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    return _credible(patch, (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), w, h)


def _credible(patch: Image, person: NDArray[np.bool_], w: float, h: float) -> Image | None:
    """The largest part, if it has the height, the width and the fullness of a person."""
    opened = cv2.morphologyEx(person.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(opened)
    if count < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    x, y, width, height, area = (int(v) for v in stats[largest])
    share = area / (w * h)
    if not 0.33 < share < 0.78 or height < 0.88 * h or width < 0.55 * w:
        return None
    silhouette = (parts == largest).astype(np.uint8)
    outline = max(cv2.findContours(silhouette, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len)
    filled = cv2.drawContours(np.zeros_like(silhouette), [outline], 0, 1, cv2.FILLED)
    hull = cv2.contourArea(cv2.convexHull(outline))
    # A ragged outline, or a silhouette full of holes, is no person.
    if area < 0.9 * filled.sum() or area < 0.55 * hull or len(outline) > 4.2 * (w + h):
        return None
    # The top of a person is a head: narrower than the body and near the middle.
    head = silhouette[y : y + max(height // 12, 2), x : x + width].any(0)
    if head.mean() > 0.75 or abs(np.flatnonzero(head).mean() / width - 0.5) > 0.33:
        return None
    # A little inside the outline, so that no rim of the old background comes along.
    alpha = np.clip(1.5 * cv2.GaussianBlur(silhouette.astype(np.float32), (0, 0), max(height / 150, 0.6)) - 0.5, 0, 1)
    cut = np.dstack([patch, (255 * alpha).astype(np.uint8)])[y : y + height, x : x + width]
    factor = min(CUTOUT[0] / height, CUTOUT[1] / width, 1.0)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    return np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA), np.uint8)


def of_picture(image: Image, boxes: Boxes) -> Iterator[Image]:
    """People who stand free: of 60 pixels and more, hardly overlapped by another box, upright, inside the picture."""
    height, width = image.shape[:2]
    for index, box in enumerate(boxes):
        w, h = box[2:] - box[:2]
        inside = box[0] > 1 and box[1] > 1 and box[2] < width - 1 and box[3] < height - 1
        others = np.delete(boxes, index, axis=0)
        low, high = np.maximum(others[:, :2], box[:2]), np.minimum(others[:, 2:], box[2:])
        shared = np.clip(high - low, 0, None).prod(1)
        if h >= 60 and 1.5 < h / w < 4.5 and inside and (shared < 0.06 * w * h).all():
            found = cut_out(image, box, 0.15)
            if found is not None:
                yield found
