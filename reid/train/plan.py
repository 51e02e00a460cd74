"""Which images come together in each batch of an epoch: P×K, or triplets chosen offline."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reid.data.cropset import CropSet
from reid.errors import DataError, TrainingError
from reid.miners import Triplets
from reid.offline import offline_triplets
from reid.samplers import IdentitySampler
from reid.train import distributed
from reid.train.settings import TrainSettings

Embed = Callable[[], NDArray[np.float32]]
"""All training crops as ``(N, D)`` unit vectors of the present network."""


class Batch(NamedTuple):
    """Rows of the data set over all processes, and the triplets among them where they were chosen beforehand."""

    rows: NDArray[np.int64]
    triplets: Triplets | None


class Plan:
    """The batches of every epoch; they depend on seed, epoch and, offline, on the triplets that were chosen.

    Args:
        settings: P, K, mining.
        data: what is trained on.

    Raises:
        DataError: fewer identities than a batch needs.
        ConfigError: a batch that cannot be dealt to the processes evenly.
    """

    def __init__(self, settings: TrainSettings, data: CropSet) -> None:
        self.settings, self.identity = settings, data.identity
        self.chosen: NDArray[np.int64] | None = None
        distributed.part(settings.p)
        try:
            self._sampler = IdentitySampler(
                data.identity,
                p=settings.p,
                k=settings.k,
                seed=settings.seed,
                cameras=data.camera if settings.camera_aware else None,
            )
        except ValueError as error:
            raise DataError(f"{error}; lower `p` in the settings, or add data") from error

    def batches(self, epoch: int, embed: Embed) -> list[Batch]:
        """Of an epoch. Offline there are as many, of that size, as by P×K, so that epochs cost the same."""
        plain = [Batch(rows, None) for rows in self._sampler.epoch(epoch)]
        if self.settings.mining != "offline":
            return plain
        if self.chosen is None or epoch % self.settings.refresh_epochs == 0:
            self.chosen = distributed.from_first(self._choose(epoch, embed) if distributed.rank() == 0 else None)
        assert self.chosen is not None
        return list(self._offline(self.chosen, epoch, len(plain)))

    def _choose(self, epoch: int, embed: Embed) -> NDArray[np.int64]:
        """Triplets over the whole data set, one an image, by what the network makes of it now."""
        seed = self.settings.seed * 100_003 + epoch
        found = offline_triplets(embed(), self.identity, margin=self.settings.width, seed=seed)
        chosen = np.concatenate(list(found))
        if not len(chosen):
            raise TrainingError("offline mining finds no triplet that is neither trivial nor hopeless: raise `margin`")
        return chosen

    def _offline(self, chosen: NDArray[np.int64], epoch: int, count: int) -> Iterator[Batch]:
        random = np.random.default_rng((self.settings.seed, epoch))
        each = distributed.processes() * max(self.settings.p * self.settings.k // (3 * distributed.processes()), 1)
        drawn = np.concatenate([random.permutation(len(chosen)) for _ in range(math.ceil(count * each / len(chosen)))])
        places = Triplets(*torch.arange(3 * each).view(3, each))
        for part in np.split(drawn[: count * each], count):
            yield Batch(chosen[part].T.ravel(), places)
