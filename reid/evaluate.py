"""How good embeddings are at finding the same identity again: CMC, mAP and mINP by the field's rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.errors import DataError

QUERIES_AT_ONCE = 256
"""Bounds memory: a block of distances is this many rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Scores of a retrieval, fractions in 0–1.

    Attributes:
        cmc: ``(R,)`` cumulative match curve: `cmc[0]` is rank-1.
        mean_ap: mean average precision.
        mean_inp: mean inverse negative penalty (Ye et al., TPAMI 2021, section 4.2).
        queries: how many queries had a match in the gallery.
    """

    cmc: NDArray[np.float64]
    mean_ap: float
    mean_inp: float
    queries: int


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
    """Rank a gallery for every query by cosine.

    Gallery images of the query's identity from the query's camera are ignored, as are junk images (identity
    -1); identity 0 is a distractor and stays, and never is a query. A query without a match is left out.

    Args:
        query: ``(Q, D)`` unit vectors.
        gallery: ``(G, D)`` unit vectors.
        query_identity: ``(Q,)``; likewise the other labels. Camera -1 is unknown and never "the same".
        ranks: length of the curve.

    Raises:
        DataError: no query has a match.
    """
    kept = gallery_identity != -1
    gallery, gallery_identity, gallery_camera = gallery[kept], gallery_identity[kept], gallery_camera[kept]
    valid = np.flatnonzero(query_identity > 0)
    first_hit: list[NDArray[np.int64]] = []
    precisions: list[NDArray[np.float64]] = []
    penalties: list[NDArray[np.float64]] = []
    for start in range(0, len(valid), QUERIES_AT_ONCE):
        rows = valid[start : start + QUERIES_AT_ONCE]
        order = np.argsort(-(query[rows] @ gallery.T), axis=1, kind="stable")
        same = gallery_identity[order] == query_identity[rows, None]
        camera = query_camera[rows, None]
        ignored = same & (gallery_camera[order] == camera) & (camera >= 0)
        hit = same & ~ignored
        found = hit.any(1)
        hit, ignored = hit[found], ignored[found]
        position = np.cumsum(~ignored, axis=1)  # 1-based rank among what counts
        number = np.cumsum(hit, axis=1)
        total = number[:, -1]
        precisions.append((hit * number / np.maximum(position, 1)).sum(1) / total)
        first_hit.append(position[np.arange(len(hit)), hit.argmax(1)])
        last = hit.shape[1] - 1 - hit[:, ::-1].argmax(1)
        penalties.append(total / position[np.arange(len(hit)), last])
    if not sum(map(len, precisions)):
        raise DataError("no query has an image of its identity from another camera in the gallery")
    first = np.concatenate(first_hit)
    curve = (first[:, None] <= np.arange(1, ranks + 1)).mean(0)
    return Ranking(
        cmc=curve,
        mean_ap=float(np.concatenate(precisions).mean()),
        mean_inp=float(np.concatenate(penalties).mean()),
        queries=len(first),
    )


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold of "the same identity", and what it costs.

    Attributes:
        threshold: largest distance that is called the same.
        false_match_rate: share of different pairs called the same.
        false_non_match_rate: share of same pairs called different.
    """

    threshold: float
    false_match_rate: float
    false_non_match_rate: float


def verification(
    distance: NDArray[np.floating], same: NDArray[np.bool_], *, false_match_rate: float = 1e-2
) -> OperatingPoint:
    """The largest threshold whose false match rate is no more than wanted (ISO/IEC 19795-1).

    Args:
        distance: of any number of pairs.
        same: which of them show one identity.
        false_match_rate: wanted, in 0–1.

    Raises:
        DataError: no pair of one kind.
    """
    impostors = np.sort(np.asarray(distance, np.float64)[~same], axis=None)
    genuine = np.asarray(distance, np.float64)[same]
    if not len(impostors) or not len(genuine):
        raise DataError("verification needs both pairs of the same and pairs of different identities")
    allowed = int(false_match_rate * len(impostors))
    # Just under the first impostor that is one too many.
    threshold = float(np.nextafter(impostors[allowed], -np.inf)) if allowed < len(impostors) else float(impostors[-1])
    return OperatingPoint(
        threshold=threshold,
        false_match_rate=float((impostors <= threshold).mean()),
        false_non_match_rate=float((genuine > threshold).mean()),
    )
