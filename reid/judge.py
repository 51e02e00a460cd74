"""Weights on a data set: ranks and thresholds, in numbers that a command can print."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from reid.data.crops import read_crops
from reid.data.sets import CropSet
from reid.evaluate import OperatingPoint, Ranking, evaluate_ranking, verification
from reid.models import EmbeddingNetwork
from reid.train import embed_crops

RATES = (1e-2, 1e-3)
"""False match rates at which verification is reported."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """How good a network is on a query and a gallery.

    Attributes:
        ranking: CMC, mAP, mINP.
        points: verification at each of `RATES`, over pairs from different cameras.
        milliseconds: of the network a crop, on this machine.
    """

    ranking: Ranking
    points: tuple[OperatingPoint, ...]
    milliseconds: float

    @property
    def threshold(self) -> float:
        """The cosine distance to recommend: one wrong match in a hundred different pairs."""
        return self.points[0].threshold

    def summary(self) -> dict[str, Any]:
        """As plain values."""
        ranks = {f"rank{r}": float(self.ranking.cmc[r - 1]) for r in (1, 5, 10)}
        points = [
            {"false_match_rate": rate, "false_non_match_rate": p.false_non_match_rate, "threshold": p.threshold}
            for rate, p in zip(RATES, self.points, strict=True)
        ]
        return ranks | {
            "mAP": self.ranking.mean_ap,
            "mINP": self.ranking.mean_inp,
            "queries": self.ranking.queries,
            "verification": points,
            "milliseconds_per_crop": self.milliseconds,
        }


def judge(
    network: EmbeddingNetwork, size: tuple[int, int], query: CropSet, gallery: CropSet, *, device: str = "cpu"
) -> Judgement:
    """Embed query and gallery and score them.

    Args:
        network: trained.
        size: height and width of its crops.
        query: what is looked for.
        gallery: where.
        device: of torch.

    Raises:
        DataError: no query has a match, or there are no pairs of one kind.
    """
    crops = [read_crops(s.paths, size) for s in (query, gallery)]
    started = time.perf_counter()
    q, g = (embed_crops(network, c, device=device) for c in crops)
    milliseconds = 1e3 * (time.perf_counter() - started) / (len(q) + len(g))
    ranking = evaluate_ranking(q, g, query.identity, gallery.identity, query.camera, gallery.camera)
    other = (query.camera[:, None] != gallery.camera[None]) | (query.camera[:, None] < 0)
    usable = other & (gallery.identity != -1)[None]
    same = query.identity[:, None] == gallery.identity[None]
    distance = (1 - q @ g.T)[usable].astype(np.float64)
    points = tuple(verification(distance, same[usable], false_match_rate=rate) for rate in RATES)
    return Judgement(ranking, points, milliseconds)
