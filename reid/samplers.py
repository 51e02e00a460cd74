"""Which images come together in a batch: P identities with K images each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


class IdentitySampler:
    """Batches of P identities × K images (Hermans et al. 2017, section 2).

    An epoch goes once over the images, as near as K allows: the images of an identity are dealt in groups of
    K, those of an identity with fewer than K are repeated, each as often as the others, to fill one group, and
    every batch holds P different identities. The order depends on seed and epoch alone, so that several processes
    agree on it: each takes its part of a batch.

    Args:
        labels: ``(N,)`` identity of every image.
        p: identities in a batch, at least 2.
        k: images of each, at least 2.
        seed: of the order.
        cameras: ``(N,)`` of every image, for a camera-aware order: an identity's cameras are spread over its groups,
            so that anchors have positives from other cameras where they can.
    """

    def __init__(
        self,
        labels: NDArray[np.int64],
        *,
        p: int = 16,
        k: int = 4,
        seed: int = 0,
        cameras: NDArray[np.int64] | None = None,
    ) -> None:
        if p < 2 or k < 2:
            raise ValueError(f"P×K sampling needs at least 2×2, got {p}×{k}")
        self.p, self.k, self.seed, self.cameras = p, k, seed, cameras
        order = np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.diff(labels[order], prepend=labels[order][:1] - 1))
        self._members = np.split(order, starts[1:])
        if len(self._members) < p:
            raise ValueError(f"P={p} identities a batch, but the data has only {len(self._members)}")

    def _groups(self, members: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
        """The members of an identity in groups of K, ``(G, K)``; fewer than K are repeated in turn."""
        count = max(len(members) // self.k, 1)
        dealt = np.resize(random.permutation(members), count * self.k)
        if self.cameras is not None:
            # Sorted by camera and dealt like cards, every group gets its share of every camera.
            dealt = dealt[np.argsort(self.cameras[dealt], kind="stable")]
            return dealt.reshape(self.k, count).T[random.permutation(count)]
        return dealt.reshape(count, self.k)

    def epoch(self, number: int) -> Iterator[NDArray[np.int64]]:
        """The batches of an epoch, each ``(P*K,)`` indices, grouped by identity."""
        random = np.random.default_rng((self.seed, number))
        groups = [list(self._groups(members, random)) for members in self._members]
        # The identities with most groups left go first, so that few are left over without P partners.
        while True:
            left = np.array([len(g) for g in groups])
            able = np.flatnonzero(left)
            if len(able) < self.p:
                return
            weight = left[able] / left[able].sum()
            chosen = random.choice(able, self.p, replace=False, p=weight)
            yield np.concatenate([groups[i].pop() for i in chosen])
