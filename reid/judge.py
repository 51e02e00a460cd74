"""Weights on a data set: ranks, thresholds and time, as they are when the weights are used."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.calibration.calibration import Calibration
from reid.calibration.labelled import count_in_sets
from reid.calibration.reliability import Reliability, reliability
from reid.data.pair import that_are_looked_for, that_may_be_found
from reid.data.sets import CropSet
from reid.embedder import Embedder, read_image
from reid.errors import DataError
from reid.evaluate import Distances, Ranking, Retrieval, cosine, rank
from reid.rerank import Reranker
from reid.rerank import Settings as RerankSettings
from reid.verify import RATES, Verification, verify

RANKS = (1, 5, 10)
"""Of the cumulative match curve that are reported."""
CROPS_TIMED = 32
"""Go through the network together when a crop's time is measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """How good an embedder is on a query and a gallery.

    Attributes:
        about: the embedder's description of itself.
        bytes: of its file.
        query: crops that were looked for, without junk and distractors.
        gallery: crops among which, without junk.
        vectors: ``(Q, D)`` and ``(G, D)`` of them.
        ranking: CMC, mAP, mINP.
        reranked: the same after k-reciprocal re-ranking; None where it was not asked for.
        verification: over all pairs that count.
        odds: how well the odds of a calibration hold for tracklets of the crops; empty where nothing is known.
        milliseconds: a crop, `CROPS_TIMED` at once, cutting included, on this machine and device.
    """

    about: dict[str, Any]
    bytes: int
    query: CropSet
    gallery: CropSet
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]]
    ranking: Ranking
    reranked: Ranking | None
    verification: Verification
    odds: list[Reliability]
    milliseconds: float

    @property
    def threshold(self) -> float:
        """The cosine distance to recommend: one wrong match in a hundred different pairs."""
        return self.verification.points[0].threshold

    @property
    def retrieval(self) -> Retrieval:
        """Labels of query and gallery."""
        return retrieval_of(self.query, self.gallery)

    @property
    def distances(self) -> Distances:
        """Cosine distances of the queries from the gallery."""
        return cosine(*self.vectors)

    def summary(self) -> dict[str, Any]:
        """As plain values."""
        points = [
            {"false_match_rate": rate, "false_non_match_rate": p.false_non_match_rate, "threshold": p.threshold}
            for rate, p in zip(RATES, self.verification.points, strict=True)
        ]
        scores = scores_of(self.ranking) | {
            "queries": self.ranking.queries,
            "gallery": len(self.gallery),
            "verification": points,
            "odds": [
                {
                    "regime": r.regime,
                    "embeddings": r.size,
                    "pairs": [r.same, r.different],
                    "ece": r.calibration_error,
                    "cllr": r.cost,
                    "least_cllr": r.least_cost,
                }
                for r in self.odds
            ],
            "equal_error": dict(zip(("threshold", "rate"), self.verification.equal_errors, strict=True)),
            "milliseconds_per_crop": self.milliseconds,
            "bytes": self.bytes,
            "weights": self.about,
        }
        return scores if self.reranked is None else scores | {"reranked": scores_of(self.reranked)}


def scores_of(ranking: Ranking) -> dict[str, float]:
    """What tables show of a ranking."""
    ranks = {f"rank{r}": float(ranking.cmc[r - 1]) for r in RANKS}
    return ranks | {"mAP": ranking.mean_ap, "mINP": ranking.mean_inp}


def retrieval_of(query: CropSet, gallery: CropSet) -> Retrieval:
    """Labels of query and gallery; a file that is in both does not find itself."""
    rows = {path: row for row, path in enumerate(gallery.paths)}
    itself = np.array([rows.get(path, -1) for path in query.paths], np.int64)
    both = itself if (itself >= 0).any() else None
    return Retrieval(query.identity, gallery.identity, query.camera, gallery.camera, both)


def judge(
    embedder: Embedder,
    query: CropSet,
    gallery: CropSet,
    *,
    rerank: RerankSettings | None = None,
    single_shot: int = 0,
    milliseconds: float | None = None,
    calibration: Calibration | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Judgement:
    """Embed query and gallery as the embedder does in use, and score them.

    Args:
        embedder: with its own preprocessing.
        query: what is looked for.
        gallery: where.
        rerank: how to re-rank; None for not.
        single_shot: see `evaluate.rank`.
        milliseconds: a crop, where it was measured already (beside others).
        calibration: whose odds are judged; none are when None.
        progress: told how many more crops are embedded.

    Raises:
        DataError: no query has a match, there are no pairs of one kind, or vectors that are not finite.
    """
    query, gallery = that_are_looked_for(query), that_may_be_found(gallery)
    retrieval = retrieval_of(query, gallery)
    if not any(retrieval.kinds(rows)[0].any() for rows in retrieval.blocks()):
        raise DataError(
            f"no query has an image of its identity from another camera in the gallery ({len(query)} queries, "
            f"{len(gallery)} gallery images): are query and gallery of the same data set, and cameras in their names?"
        )
    q, g = (embedder.embed_files(crops.paths, progress=progress) for crops in (query, gallery))
    distances = cosine(q, g)
    return Judgement(
        about=embedder.describe(),
        bytes=embedder.about.path.stat().st_size,
        query=query,
        gallery=gallery,
        vectors=(q, g),
        ranking=rank(retrieval, distances, single_shot=single_shot),
        reranked=rank(retrieval, Reranker(q, g, rerank), single_shot=single_shot) if rerank else None,
        verification=verify(retrieval, distances),
        odds=reliability(calibration, count_in_sets((query, gallery), (q, g))) if calibration is not None else [],
        milliseconds=milliseconds_per_crop([embedder], query.paths)[0] if milliseconds is None else milliseconds,
    )


def milliseconds_per_crop(embedders: Sequence[Embedder], paths: Sequence[Path], *, repeats: int = 5) -> list[float]:
    """Median of each over repeats, taken in turn, so that what else the machine does meets all alike.

    Decoding is left out, cutting is in.
    """
    images = [read_image(path) for path in (list(paths) * CROPS_TIMED)[:CROPS_TIMED]]
    boxes = [np.array([[0, 0, i.shape[1], i.shape[0]]], np.float32) for i in images]
    times: list[list[float]] = [[] for _ in embedders]
    for turn in range(repeats + 1):
        for embedder, own in zip(embedders, times, strict=True):
            started = time.perf_counter()
            embedder.embed_batch(images, boxes)
            if turn:  # the first warms up
                own.append(time.perf_counter() - started)
    return [1e3 * statistics.median(own) / CROPS_TIMED for own in times]
