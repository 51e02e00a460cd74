"""k-reciprocal re-ranking (Zhong et al., CVPR 2017, "Re-ranking Person Re-identification with k-reciprocal Encoding").

Two images that are near in truth are each among the other's nearest, and so are their neighbours. Each image is
encoded by who its k-reciprocal neighbours are, and two images are compared by the Jaccard distance of those
encodings, mixed with the distance that they had before.

The encodings are sparse, and the distances come block by block: memory is that of N × k2 × k1 numbers and a block,
never N × N.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reid.errors import ConfigError

ROWS_AT_ONCE = 512
"""Bounds memory: so many rows of N distances at once."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the re-ranking; the defaults are the paper's.

    Attributes:
        k1: neighbours that may be reciprocal, at least 1.
        k2: neighbours whose encodings are averaged (local query expansion); 1 for none.
        weight: of the distance before, lambda, in 0–1.

    Raises:
        ConfigError: out of range.
    """

    k1: int = 20
    k2: int = 6
    weight: float = 0.3

    def __post_init__(self) -> None:
        if self.k1 < 1 or not 1 <= self.k2 <= self.k1 + 1 or not 0 <= self.weight <= 1:
            raise ConfigError(
                f"re-ranking: expected k1 >= 1, 1 <= k2 <= k1 + 1 and a weight in 0-1, "
                f"got k1 {self.k1}, k2 {self.k2}, weight {self.weight}"
            )


class Reranker:
    """Re-ranked distances of a query from a gallery; call it with rows of the query (see `evaluate.Distances`).

    As in the authors' code, the distance before is the squared Euclidean one, divided by the largest of its row.

    Args:
        query: ``(Q, D)`` unit vectors.
        gallery: ``(G, D)`` unit vectors, without junk: every image votes for its neighbours.
        settings: k1, k2, lambda.
    """

    def __init__(
        self, query: NDArray[np.float32], gallery: NDArray[np.float32], settings: Settings | None = None
    ) -> None:
        self.settings = settings or Settings()
        self._vectors = np.concatenate([query, gallery])
        self._queries = len(query)
        self._near, self._largest = _neighbours(self._vectors, self.settings.k1 + 1)
        encoding = self._encode()
        if self.settings.k2 > 1:
            around = self._near[:, : self.settings.k2]
            encoding = sparse.csr_array(_incidence(around) @ encoding)
            encoding.data /= around.shape[1]
        self._query = encoding[: self._queries]
        self._gallery = sparse.csc_array(encoding[self._queries :])

    def _encode(self) -> sparse.csr_array:
        """``(N, N)`` weights of the expanded k-reciprocal neighbours, of sum 1 in each row (equations 5 and 7)."""
        k1 = self.settings.k1
        reciprocal = _reciprocal(self._near)
        half = _reciprocal(self._near[:, : round(k1 / 2) + 1])
        size = half.sum(1)
        parts = []
        for start in range(0, len(self._vectors), ROWS_AT_ONCE):
            own = reciprocal[start : start + ROWS_AT_ONCE]
            # A neighbour brings its own neighbours in where two thirds of them are here already.
            shared = sparse.coo_array((own @ half.T).multiply(own))
            joins = 3 * shared.data > 2 * size[shared.col]
            joining = sparse.csr_array(
                (np.ones(joins.sum(), np.int32), (shared.row[joins], shared.col[joins])), own.shape
            )
            expanded = sparse.coo_array(own + joining @ half)
            rows, columns = expanded.coords
            weight = np.exp(-self._before(start + rows, columns))
            total = np.bincount(rows, weight, minlength=own.shape[0])
            parts.append(sparse.csr_array(((weight / total[rows]).astype(np.float32), (rows, columns)), own.shape))
        return sparse.csr_array(sparse.vstack(parts))

    def _before(self, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> NDArray[np.float32]:
        """Distances before, of pairs."""
        cosines = np.einsum("nd,nd->n", self._vectors[rows], self._vectors[columns])
        return np.asarray(np.where(rows == columns, 0, (1 - cosines) / self._largest[rows]), np.float32)

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """``(R,)`` rows of the query to ``(R, G)`` distances in 0–1."""
        weight = self.settings.weight
        before = 1 - self._vectors[rows] @ self._vectors[self._queries :].T
        before /= self._largest[rows, None]
        jaccard = np.stack([self._jaccard(int(row)) for row in rows]) if len(rows) else before
        return np.asarray((1 - weight) * jaccard + weight * before, np.float32)

    def _jaccard(self, row: int) -> NDArray[np.float32]:
        """``(G,)`` of one query (equation 10); only images that share a neighbour with it are touched."""
        own = self._query[[row]]
        start, stop = self._gallery.indptr[own.indices], self._gallery.indptr[own.indices + 1]
        length = stop - start
        # All entries of the columns that the query has, one after the other.
        entries = np.repeat(start - np.cumsum(length) + length, length) + np.arange(length.sum())
        least = np.minimum(np.repeat(own.data, length), self._gallery.data[entries])
        shared = np.bincount(self._gallery.indices[entries], least, minlength=self._gallery.shape[0])
        return np.asarray(1 - shared / (2 - shared), np.float32)


def _neighbours(vectors: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """``(N, count)`` nearest of each vector, itself first; and its largest distance from any."""
    count = min(count, len(vectors))
    near = np.empty((len(vectors), count), np.int64)
    largest = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        distance = 1 - vectors[start : start + ROWS_AT_ONCE] @ vectors.T
        here = np.arange(len(distance))
        distance[here, start + here] = -1  # before any duplicate
        chosen = np.argpartition(distance, count - 1, axis=1)[:, :count] if count < len(vectors) else None
        if chosen is None:
            chosen = np.broadcast_to(np.arange(count), distance.shape)
        order = np.argsort(np.take_along_axis(distance, chosen, 1), axis=1, kind="stable")
        near[start : start + ROWS_AT_ONCE] = np.take_along_axis(chosen, order, 1)
        largest[start : start + ROWS_AT_ONCE] = distance.max(1)
    return near, np.maximum(largest, np.finfo(np.float32).tiny)


def _incidence(near: NDArray[np.int64]) -> sparse.csr_array:
    """``(N, N)`` ones where an image lists another as near."""
    count, k = near.shape
    starts = np.arange(count + 1) * k
    return sparse.csr_array((np.ones(near.size, np.int32), near.ravel(), starts), shape=(count, count))


def _reciprocal(near: NDArray[np.int64]) -> sparse.csr_array:
    """``(N, N)`` ones where two images list each other (equation 3)."""
    listed = _incidence(near)
    return sparse.csr_array(listed.multiply(listed.T))
