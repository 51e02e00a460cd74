"""How the network does while it trains: ranks, and distances of the same against distances of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.data.crops import CropStore, read_crops
from reid.data.cropset import CropSet
from reid.errors import DataError
from reid.evaluate import Ranking, evaluate_ranking
from reid.models import EmbeddingNetwork
from reid.train.embedding import embed_crops
from reid.train.settings import TrainSettings, read

BINS = np.linspace(0, 2, 81)
"""Edges of histograms of the Euclidean distance of unit vectors."""
SAMPLE = 2000
"""Training crops that are looked at where there is nothing to validate on."""


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """What the run page shows of an epoch.

    Attributes:
        ranking: CMC, mAP, mINP; None without query and gallery.
        positives: ``(B,)`` pairs of one identity by distance, counted in `BINS`.
        negatives: ``(B,)`` pairs of two identities by distance, counted in `BINS`.
        of: what was looked at, in words.
    """

    ranking: Ranking | None
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]
    of: str


def validate(
    network: EmbeddingNetwork, query: CropSet, gallery: CropSet, stores: tuple[CropStore, CropStore], *, device: str
) -> Validation:
    """Ranks of a query in a gallery, whose crops lie in two stores, and the distances between the two."""
    q, g = (
        embed_crops(network, store[np.arange(len(crops))], device=device)
        for store, crops in zip(stores, (query, gallery), strict=True)
    )
    ranking = evaluate_ranking(q, g, query.identity, gallery.identity, query.camera, gallery.camera)
    known = [s.identity > 0 for s in (query, gallery)]
    same_camera = (query.camera[:, None] == gallery.camera[None]) & (query.camera[:, None] >= 0)
    counts = _histograms(q, g, query.identity, gallery.identity, np.outer(*known) & ~same_camera)
    return Validation(ranking, *counts, of=f"{len(query)} query and {len(gallery)} gallery crops, not trained on")


def validate_on_training(
    network: EmbeddingNetwork, data: CropSet, size: tuple[int, int], *, device: str, seed: int
) -> Validation:
    """The distances between some of the crops that are trained on."""
    rows = np.random.default_rng(seed).permutation(len(data))[:SAMPLE]
    vectors = embed_crops(network, read_crops([data.paths[i] for i in rows], size), device=device)
    identity = data.identity[rows]
    pairs = np.triu(np.ones((len(rows), len(rows)), bool), 1)
    counts = _histograms(vectors, vectors, identity, identity, pairs)
    return Validation(None, *counts, of=f"{len(rows)} crops that are trained on")


def _histograms(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    a_identity: NDArray[np.int64],
    b_identity: NDArray[np.int64],
    usable: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts over `BINS` of pairs of the same and of different identities, a block of rows at a time."""
    totals = np.zeros((2, len(BINS) - 1), np.int64)
    for start in range(0, len(a), 256):
        rows = slice(start, start + 256)
        distance = np.sqrt(np.clip(2 - 2 * a[rows] @ b.T, 0, 4))
        same = a_identity[rows, None] == b_identity[None]
        for kind, chosen in enumerate((same, ~same)):
            totals[kind] += np.histogram(distance[chosen & usable[rows]], BINS)[0]
    return totals[0], totals[1]


class Validator:
    """Judges networks on the query and gallery of the settings, or where they name none on crops of the training.

    Args:
        settings: of the training.
        data: what is trained on.
        device: of torch.

    Raises:
        DataError: a set that cannot be read, or nobody of the query is in the gallery.
    """

    def __init__(self, settings: TrainSettings, data: CropSet, device: str) -> None:
        self._settings, self._data, self._device = settings, data, device
        self.sets = self._read()
        self._stores: tuple[CropStore, CropStore] | None = None

    def _read(self) -> tuple[CropSet, CropSet] | None:
        s = self._settings
        if s.query is None or s.gallery is None:
            return None
        query, gallery = read(s.query, "query"), read(s.gallery, "gallery")
        if not np.isin(query.identity[query.identity > 0], gallery.identity).any():
            raise DataError(f"no identity of the query {s.query.path} is in the gallery {s.gallery.path}")
        return query, gallery

    def judge(self, network: EmbeddingNetwork, size: tuple[int, int]) -> Validation:
        """How a network does on crops of a size."""
        if self.sets is None:
            return validate_on_training(network, self._data, size, device=self._device, seed=self._settings.seed)
        query, gallery = self.sets
        if self._stores is None or self._stores[0].size != size:
            memory = self._settings.memory_gb * 1e9 / 4
            first, second = (CropStore(crops.paths, size, memory=memory) for crops in self.sets)
            self._stores = first, second
        return validate(network, query, gallery, self._stores, device=self._device)
