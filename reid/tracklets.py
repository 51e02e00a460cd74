"""Tracklets as evidence: what stands for several embeddings of one track, and how far two tracklets are apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid.errors import DataError


def prototype(embeddings: NDArray[np.floating], weight: NDArray[np.floating] | None = None) -> NDArray[np.float32]:
    """What stands for the embeddings of a tracklet: their mean, of unit length again.

    Args:
        embeddings: ``(…, K, D)`` of unit length.
        weight: ``(…, K)`` at least 0, how much each counts; all the same when None. `Quality.weight` gives them.

    Returns:
        ``(…, D)`` float32 of unit length; zeros where the mean is zero, as for K = 0.

    Raises:
        DataError: a weight of another shape.
    """
    vectors = np.asarray(embeddings, np.float32)
    if weight is None:
        total = vectors.sum(-2)
    elif np.shape(weight) != vectors.shape[:-1]:
        raise DataError(f"weights of shape {np.shape(weight)} for embeddings of shape {vectors.shape}")
    else:
        total = np.einsum("...k,...kd->...d", np.asarray(weight, np.float32), vectors)
    length = np.linalg.norm(total, axis=-1, keepdims=True)
    return np.asarray(np.divide(total, length, out=np.zeros_like(total), where=length > 0), np.float32)


def tracklet_distance(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distances of every tracklet from every other: the cosine distance of their prototypes.

    Of the distances that were tried it tells people apart best (docs/calibration.md), and it costs one product of
    matrices, however many embeddings stand behind a prototype. `Calibration` says what a distance means.

    Args:
        left: ``(M, D)`` of `prototype`.
        right: ``(N, D)``.

    Returns:
        ``(M, N)`` float32 in 0–2.
    """
    return np.asarray(np.clip(1 - left @ right.T, 0, 2), np.float32)
