"""How good embeddings are at finding the same identity again: CMC, mAP and mINP by the field's rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.errors import DataError

QUERIES_AT_ONCE = 256
"""Bounds memory: a block of distances is this many rows."""

Distances = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Rows of the query, ``(R,)``, to their distances from the whole gallery, ``(R, G)``."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Scores of a retrieval, fractions in 0–1.

    Attributes:
        cmc: ``(R,)`` cumulative match curve: `cmc[0]` is rank-1.
        mean_ap: mean average precision (the mean of the precision at each match, without interpolation).
        mean_inp: mean inverse negative penalty (Ye et al., TPAMI 2021, section 4.2).
        queries: how many queries had a match in the gallery.
        average_precision: ``(Q,)`` of every query; NaN where it had no match or was none.
    """

    cmc: NDArray[np.float64]
    mean_ap: float
    mean_inp: float
    queries: int
    average_precision: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Retrieval:
    """Who is looked for among whom, and which images count (the rules of Market-1501, Zheng et al., ICCV 2015).

    For each query, images of its identity from its own camera are ignored, as are junk images (identity -1).
    Identity 0 is a distractor: it stays in the gallery, matches nobody, and never is a query. An image never finds
    itself.

    Attributes:
        query_identity: ``(Q,)`` int64.
        gallery_identity: ``(G,)`` int64.
        query_camera: ``(Q,)`` int64; -1 is unknown and never "the same".
        gallery_camera: ``(G,)`` int64.
        itself: ``(Q,)`` int64 row of the gallery that is the very same image, -1 for none; None where no image is in
            both.
    """

    query_identity: NDArray[np.int64]
    gallery_identity: NDArray[np.int64]
    query_camera: NDArray[np.int64]
    gallery_camera: NDArray[np.int64]
    itself: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        for side in ("query", "gallery"):
            identities, cameras = getattr(self, f"{side}_identity"), getattr(self, f"{side}_camera")
            if len(identities) != len(cameras):
                raise DataError(f"{side}: {len(identities)} identities, but {len(cameras)} cameras")

    @property
    def queries(self) -> NDArray[np.int64]:
        """Rows of the query that are looked for: neither junk nor distractors."""
        return np.flatnonzero(self.query_identity > 0)

    def kinds(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """``(R, G)`` which images match, and which count but do not match."""
        same = self.gallery_identity == self.query_identity[rows, None]
        camera = self.query_camera[rows, None]
        matches = same & ((self.gallery_camera != camera) | (camera < 0))
        if self.itself is not None:
            twin = self.itself[rows]
            matches[np.flatnonzero(twin >= 0), twin[twin >= 0]] = False
        return matches, ~same & (self.gallery_identity != -1)

    def blocks(self) -> Iterator[NDArray[np.int64]]:
        """The queries, a few at a time."""
        for start in range(0, len(self.queries), QUERIES_AT_ONCE):
            yield self.queries[start : start + QUERIES_AT_ONCE]


def cosine(query: NDArray[np.float32], gallery: NDArray[np.float32]) -> Distances:
    """Cosine distances, in 0–2, computed when they are asked for.

    Args:
        query: ``(Q, D)`` unit vectors.
        gallery: ``(G, D)`` unit vectors.

    Raises:
        DataError: other shapes, NaN or infinity.
    """
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise DataError(f"expected vectors (Q, D) and (G, D), got {query.shape} and {gallery.shape}")
    for name, vectors in (("query", query), ("gallery", gallery)):
        bad = ~np.isfinite(vectors).all(1)
        if bad.any():
            raise DataError(f"{name}: vector {int(bad.argmax())} has NaN or infinity")
    return lambda rows: np.asarray(1 - query[rows] @ gallery.T, np.float32)


def evaluate_ranking(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_identity: NDArray[np.int64],
    gallery_identity: NDArray[np.int64],
    query_camera: NDArray[np.int64],
    gallery_camera: NDArray[np.int64],
    *,
    ranks: int = 50,
) -> Ranking:
    """Rank a gallery for every query by cosine, as `rank` does.

    Args:
        query: ``(Q, D)`` unit vectors.
        gallery: ``(G, D)`` unit vectors.
        query_identity: ``(Q,)``; this and the other labels are those of `Retrieval`.
        gallery_identity: ``(G,)``.
        query_camera: ``(Q,)``.
        gallery_camera: ``(G,)``.
        ranks: length of the curve.

    Raises:
        DataError: no query has a match, or vectors and labels are not of one length.
    """
    retrieval = Retrieval(query_identity, gallery_identity, query_camera, gallery_camera)
    for name, vectors, labels in (("query", query, query_identity), ("gallery", gallery, gallery_identity)):
        if len(vectors) != len(labels):
            raise DataError(f"{name}: {len(vectors)} vectors, but {len(labels)} identities")
    return rank(retrieval, cosine(query, gallery), ranks=ranks)


def rank(
    retrieval: Retrieval,
    distances: Distances,
    *,
    ranks: int = 50,
    single_shot: int = 0,
    seed: int = 0,
) -> Ranking:
    """Rank the gallery for every query that has a match in it; the others are left out.

    Among equal distances, images that do not match come first: a network that maps everything to one point
    gets what it deserves, and the gallery's order decides nothing.

    Args:
        retrieval: labels.
        distances: of the queries from the gallery.
        ranks: length of the curve.
        single_shot: 0 for the whole gallery. Otherwise each identity keeps one image that counts, drawn at random
            so many times; the scores are means over the draws (CUHK03's first protocol, Li et al., CVPR 2014).
            Distractors all stay.
        seed: of the draws.

    Raises:
        DataError: no query has a match.
    """
    draws = [_draw(retrieval.gallery_identity, seed + i) for i in range(single_shot)]
    precision = np.full(len(retrieval.query_identity), np.nan)
    penalty, curves = [], []
    for rows in retrieval.blocks():
        distance = distances(rows)
        for i, (matches, others) in enumerate(zip(*retrieval.kinds(rows), strict=True)):
            if not matches.any():
                continue
            own, wrong = distance[i, matches], np.flatnonzero(others)
            if draws:
                random = np.random.default_rng((seed, rows[i]))
                lists = [(random.choice(own, 1), distance[i, wrong[draw[wrong]]]) for draw in draws]
            else:
                lists = [(own, distance[i, wrong])]
            places = [_places(*pair) for pair in lists]
            precision[rows[i]] = np.mean([(np.arange(1, len(p) + 1) / p).mean() for p in places])
            penalty.append(np.mean([len(p) / p[-1] for p in places]))
            curves.append(np.mean([p[0] <= np.arange(1, ranks + 1) for p in places], axis=0))
    if not curves:
        raise DataError("no query has an image of its identity from another camera in the gallery")
    return Ranking(
        cmc=np.mean(curves, axis=0),
        mean_ap=float(np.nanmean(precision)),
        mean_inp=float(np.mean(penalty)),
        queries=len(curves),
        average_precision=precision,
    )


def _places(own: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.int64]:
    """1-based ranks of the matches, by rising distance."""
    own = np.sort(own)
    return np.searchsorted(np.sort(others), own, side="right") + np.arange(1, len(own) + 1)


def _draw(identity: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """``(G,)`` one image of each identity, and all distractors."""
    order = np.random.default_rng(seed).permutation(len(identity))
    drawn = np.asarray(identity == 0, np.bool_)
    drawn[order[np.unique(identity[order], return_index=True)[1]]] = True
    return drawn
