"""Offline mining: triplets over a whole data set, embedded by the present network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def offline_triplets(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    margin: float = 0.3,
    each: int = 1,
    block: int = 512,
    seed: int = 0,
) -> Iterator[NDArray[np.int64]]:
    """Triplets over a whole data set that are neither trivial nor hopeless.

    For every image `each` random positives, and for each a random negative whose distance is within `margin` of
    the positive's: nearer ones are often wrong labels, farther ones teach nothing. Pairs without one are left
    out. Streams block by block: memory is `block` rows of distances, never all triplets.

    Args:
        vectors: ``(N, D)`` of unit length, embedded by the present network.
        labels: ``(N,)``.
        margin: half the width of the band, plain Euclidean.
        each: positives an image.
        block: anchors at a time.
        seed: of what is drawn.

    Yields:
        ``(T, 3)`` anchor, positive, negative, a block of anchors at a time.
    """
    random = np.random.default_rng(seed)
    n = len(vectors)
    for start in range(0, n, block):
        rows = np.arange(start, min(start + block, n))
        distance = np.sqrt(np.clip(2 - 2 * vectors[rows] @ vectors.T, 0, None))
        same = labels[rows, None] == labels[None]
        own = same.copy()
        own[np.arange(len(rows)), rows] = False
        found = []
        for _ in range(each):
            positive = np.where(own, random.random(own.shape, np.float32), -1).argmax(1)
            reach = distance[np.arange(len(rows)), positive]
            near = ~same & (np.abs(distance - reach[:, None]) < margin)
            negative = np.where(near, random.random(near.shape, np.float32), -1).argmax(1)
            usable = own.any(1) & near.any(1)
            found.append(np.stack([rows, positive, negative], axis=1)[usable])
        yield np.concatenate(found)
