"""Ranks on data sets that a training left out, and on others: rank-1 and mAP across cameras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid.data.cropset import CropSet
from reid.data.sets import read_set
from reid.evaluate import Ranking, evaluate_ranking
from tools.training.embedder.people import LABELLED

JUDGED = {"cuhk01": 200, "pku": 74, "cuhk03": 300, "market1501": 50}
"""Identities of each: the last ones, but of Market-1501 its validation, which nobody trains on."""

Embed = Callable[[CropSet], NDArray[np.float32]]


class Judged(NamedTuple):
    """Crops that are looked for, and where."""

    query: CropSet
    gallery: CropSet


def judged(data: Path, name: str) -> Judged:
    """Query and gallery of a data set; without queries of its own, one crop by each camera is looked for."""
    folder = data / "reid" / name
    if name == "market1501":
        return Judged(*(read_set(name, folder / "val" / role) for role in ("query", "gallery")))
    crops = read_set(LABELLED[name], folder / "train")
    identities = len(np.unique(crops.identity[crops.identity > 0]))
    crops = crops.without(max(identities - JUDGED[name], 0))
    return Judged(crops.per_camera(1), crops)


def ranking_of(sets: Judged, embed: Embed) -> Ranking:
    """By the cosine of vectors ``(N, D)``."""
    query, gallery = sets
    vectors = embed(query), embed(gallery)
    labels = (query.identity, gallery.identity, query.camera, gallery.camera)
    return evaluate_ranking(*vectors, *labels)
