"""How good a crop is as a likeness of somebody: learned from how far embeddings are from their person's mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

CUES = ("height", "width", "sharpness", "contrast", "hidden", "cut_off", "score")
"""What is seen of a crop, in the columns of `cues`."""
_GREY = (64, 32)
"""Height and width at which sharpness is measured, so that it says what a network sees."""
RIDGE = 100.0
"""Of the regression, in crops: a cue that few of them vary in says little."""
FEWEST = 100
"""Crops from which something is learned."""
FEWEST_OF_ONE = 6
"""Crops of a person from which one learns which of them are good."""


def cues(
    image: NDArray[np.uint8],
    xyxy: NDArray[np.floating],
    *,
    hidden: NDArray[np.floating] | None = None,
    score: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """What is seen of crops without embedding them.

    Args:
        image: ``(H, W, 3)`` uint8 BGR.
        xyxy: ``(N, 4)`` pixels.
        hidden: ``(N,)`` share behind others (`reid.overlap`); nothing is hidden when None.
        score: ``(N,)`` of the detector; 1 when None.

    Returns:
        ``(N, 7)`` float32 by `CUES`: logarithms of height and width in pixels and of sharpness (standard deviation of
        the Laplacian of the grey crop at 64×32) and contrast (of its grey values), shares hidden and outside of the
        picture, and the score.
    """
    import cv2

    boxes = np.asarray(xyxy, np.float32).reshape(-1, 4)
    found = np.zeros((len(boxes), len(CUES)), np.float32)
    height, width = image.shape[:2]
    inside = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    sides, seen = (np.clip(b[:, 2:] - b[:, :2], 0, None) for b in (boxes, inside))
    found[:, 0], found[:, 1] = np.log(np.maximum(sides[:, 1], 1)), np.log(np.maximum(sides[:, 0], 1))
    found[:, 4] = 0 if hidden is None else hidden
    found[:, 5] = 1 - seen.prod(1) / np.maximum(sides.prod(1), 1e-6)
    found[:, 6] = 1 if score is None else score
    whole = np.concatenate([np.floor(inside[:, :2]), np.ceil(inside[:, 2:])], 1).astype(np.int64)
    for row, (left, top, right, bottom) in enumerate(whole.tolist()):
        crop = image[top:bottom, left:right]
        if crop.size:
            grey = cv2.resize(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), _GREY[::-1], interpolation=cv2.INTER_AREA)
            found[row, 2] = np.log1p(cv2.Laplacian(grey, cv2.CV_32F).std())
            found[row, 3] = np.log1p(grey.std())
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Quality:
    """Predicts how far an embedding is from its person's mean.

    Attributes:
        weight: ``(8,)`` of the cues, and of 1, in the logarithm of the distance.
        low: ``(7,)`` of each cue as it was learned from; what is beyond counts as the end.
        high: ``(7,)``.
    """

    weight: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def spread(self, seen: NDArray[np.floating]) -> NDArray[np.float64]:
        """``(N,)`` expected cosine distance of embeddings from the mean of their person, of `cues` ``(N, 7)``."""
        inside = np.clip(np.asarray(seen, np.float64), self.low, self.high)
        return np.asarray(np.exp(inside @ self.weight[:-1] + self.weight[-1]), np.float64)

    def weigh(self, seen: NDArray[np.floating]) -> NDArray[np.float32]:
        """``(N,)`` how much embeddings count in a mean (`reid.tracklets.prototype`), and which are worth keeping.

        The inverse of the expected distance, which is half the squared error of unit vectors: so the mean of
        independent errors is as exact as can be.
        """
        return np.asarray(1 / self.spread(seen), np.float32)

    @classmethod
    def fitted(
        cls, seen: NDArray[np.floating], distance: NDArray[np.floating], person: NDArray[np.int64]
    ) -> Self | None:
        """By ridge regression on what differs among the crops of one person.

        Between people and places distances differ for reasons of their own, which say nothing of a crop: a person's
        mean is taken from cues and logarithms of distances (a fixed-effects regression).

        Args:
            seen: ``(N, 7)`` cues.
            distance: ``(N,)`` cosine distances from the person's mean (`from_mean`), NaN where there is none.
            person: ``(N,)`` whose crop each is.

        Returns:
            None of too few crops.
        """
        rows = np.flatnonzero(np.isfinite(distance) & np.isfinite(seen).all(1))
        _, of, crops = np.unique(person[rows], return_inverse=True, return_counts=True)
        rows, of = rows[crops[of] >= FEWEST_OF_ONE], of[crops[of] >= FEWEST_OF_ONE]
        if len(rows) < FEWEST:
            return None
        known = np.asarray(seen, np.float64)[rows]
        low, high = np.quantile(known, [0.01, 0.99], axis=0)
        known = np.clip(known, low, high)
        wanted = np.log(np.maximum(distance[rows], 1e-3))
        own, own_wanted = _without_mean(known, of), _without_mean(wanted[:, None], of)[:, 0]
        scale = np.where(own.std(0) > 1e-6, own.std(0), 1.0)
        square = (own / scale).T @ (own / scale) + RIDGE * np.eye(len(CUES))
        weight = np.linalg.solve(square, (own / scale).T @ own_wanted) / scale
        return cls(np.append(weight, wanted.mean() - known.mean(0) @ weight), low, high)

    def to_plain(self) -> dict[str, Any]:
        """As lists of numbers."""
        numbers = {"weight": self.weight, "low": self.low, "high": self.high}
        return {"cues": list(CUES)} | {name: np.round(values, 5).tolist() for name, values in numbers.items()}

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> Self:
        """What `to_plain` gave.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        if content["cues"] != list(CUES):
            raise ValueError(f"quality by other cues than {', '.join(CUES)}")
        lengths = {"weight": len(CUES) + 1, "low": len(CUES), "high": len(CUES)}
        values = {name: np.array(content[name], np.float64) for name in lengths}
        for name, length in lengths.items():
            if values[name].shape != (length,) or not (np.abs(values[name]) < 1e3).all():
                raise ValueError(f"quality: {name} is no list of {length} numbers")
        return cls(**values)


def _without_mean(values: NDArray[np.float64], of: NDArray[np.int64]) -> NDArray[np.float64]:
    """``(N, C)`` less the mean of each group."""
    _, group, count = np.unique(of, return_inverse=True, return_counts=True)
    total = np.zeros((len(count), values.shape[1]))
    np.add.at(total, group, values)
    return np.asarray(values - (total / count[:, None])[group], np.float64)


def from_mean(vectors: NDArray[np.float32], groups: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """How far each embedding is from the mean of the others of its person.

    Args:
        vectors: ``(N, D)`` of unit length.
        groups: rows of each person.

    Returns:
        ``(N,)`` cosine distances, NaN for those who are alone.
    """
    found = np.full(len(vectors), np.nan)
    for rows in groups:
        if len(rows) > 1:
            others = vectors[rows].sum(0) - vectors[rows]
            length = np.linalg.norm(others, axis=1)
            found[rows] = 1 - np.einsum("nd,nd->n", vectors[rows], others) / np.maximum(length, 1e-12)
    return found
