"""An embedder's distances on labelled crops, as what a calibration is made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reid.calibration.counts import PairCounts
from reid.calibration.labelled import count_in_sets
from reid.data.cropset import CropSet
from reid.embedder import Embedder


def count_labelled(
    embedder: Embedder, sets: Sequence[CropSet], *, progress: Callable[[int], None] = lambda _: None
) -> PairCounts:
    """Pairs of tracklets of each of several data sets, added up; strangers are of one set.

    Args:
        embedder: whose distances.
        sets: where a camera is not known (-1), all of a set's crops of that kind are taken for one camera's.
        progress: told how many more crops are embedded.
    """
    counts = PairCounts.none()
    for crops in sets:
        known = CropSet(crops.paths, crops.identity, np.maximum(crops.camera, 0))
        counts = counts + count_in_sets([known], [embedder.embed_files(known.paths, progress=progress)])
    return counts
