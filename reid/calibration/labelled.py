"""Pairs of tracklets from crops of which somebody said who is who."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid.calibration.counts import SIZES, PairCounts
from reid.data.cropset import CropSet
from reid.tracklets import prototype

STRANGERS = 50
"""Pairs of two identities for each pair of one: in every folder the same, so that, where several are added up, each has
the same share in both distributions."""
DRAWS = 4
"""Tracklets of one size that are drawn at most of what a camera saw of somebody."""


class Drawn(NamedTuple):
    """Tracklets of one size.

    Attributes:
        vector: ``(T, D)`` prototypes.
        identity: ``(T,)``.
        camera: ``(T,)``.
        half: ``(T,)`` 0 and 1 of the first and the second half of what a camera saw of somebody, -1 of all of it.
    """

    vector: NDArray[np.float32]
    identity: NDArray[np.int64]
    camera: NDArray[np.int64]
    half: NDArray[np.int64]


def count_pairs(
    vectors: NDArray[np.float32],
    identity: NDArray[np.int64],
    camera: NDArray[np.int64],
    *,
    apart: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> PairCounts:
    """Pairs of tracklets of labelled crops.

    What one camera saw of one identity is taken for a track, its crops in the order of time. Within a camera, pairs
    of one identity are of its first and its second half.

    Args:
        vectors: ``(N, D)`` of unit length, those of a camera and an identity in the order of time.
        identity: ``(N,)``; below 1 (junk, distractors) is left out.
        camera: ``(N,)``; below 0 (unknown) is left out.
        apart: ``(I, I)`` which identities, by their numbers, are certainly two; all that differ when None.
        seed: of the draws.
    """
    counts, random = PairCounts.none(), np.random.default_rng(seed)
    groups = list(_groups(identity, camera))
    for size in SIZES:
        for across in (False, True):
            drawn = _draw(vectors, groups, size, random, halves=not across)
            left, right = _same(drawn, across)
            if not len(left):
                continue
            counts.add(_distance(drawn, left, right), np.ones(len(left), bool), size=size, across=across)
            left, right = _different(drawn, across, STRANGERS * len(left), random, apart)
            counts.add(_distance(drawn, left, right), np.zeros(len(left), bool), size=size, across=across)
    return counts


def count_in_sets(sets: Sequence[CropSet], vectors: Sequence[NDArray[np.float32]]) -> PairCounts:
    """Pairs of tracklets of all crops of several sets that show the same people, like a query and a gallery.

    Args:
        sets: a crop that is in several counts once; the names of files say their order in time.
        vectors: ``(N, D)`` of each.
    """
    crops = [(path, s, row) for s, crops in enumerate(sets) for row, path in enumerate(crops.paths)]
    once = {path: (s, row) for path, s, row in sorted(crops, key=lambda crop: (crop[0].name, crop[0]))}
    places = list(once.values())
    return count_pairs(
        np.stack([vectors[s][row] for s, row in places]),
        np.array([sets[s].identity[row] for s, row in places], np.int64),
        np.array([sets[s].camera[row] for s, row in places], np.int64),
    )


class _Group(NamedTuple):
    rows: NDArray[np.int64]
    identity: int
    camera: int


def _groups(identity: NDArray[np.int64], camera: NDArray[np.int64]) -> Iterator[_Group]:
    """What each camera saw of each identity."""
    rows = np.flatnonzero((identity > 0) & (camera >= 0))
    order = rows[np.lexsort((rows, camera[rows], identity[rows]))]
    pairs = np.stack([identity[order], camera[order]], 1)
    if not len(order):
        return
    starts = np.flatnonzero((np.diff(pairs, axis=0) != 0).any(1)) + 1
    for part in np.split(order, starts):
        yield _Group(part, int(identity[part[0]]), int(camera[part[0]]))


def _draw(
    vectors: NDArray[np.float32], groups: list[_Group], size: int, random: np.random.Generator, *, halves: bool
) -> Drawn:
    rows, about = [], []
    for group in groups:
        middle = len(group.rows) // 2
        parts = ((0, group.rows[:middle]), (1, group.rows[middle:])) if halves else ((-1, group.rows),)
        if min(len(part) for _, part in parts) < size:
            continue
        for half, part in parts:
            for _ in range(min(DRAWS, len(part) // size)):
                rows.append(random.choice(part, size, replace=False))
                about.append((group.identity, group.camera, half))
    if not rows:
        return Drawn(np.empty((0, vectors.shape[1]), np.float32), *np.empty((3, 0), np.int64))
    return Drawn(prototype(vectors[np.stack(rows)]), *np.array(about, np.int64).T)


def _same(drawn: Drawn, across: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of one identity: of two cameras, or the two halves of one camera's."""
    order = np.argsort(drawn.identity, kind="stable")
    pairs = []
    for part in np.split(order, np.flatnonzero(np.diff(drawn.identity[order])) + 1):
        a, b = np.triu_indices(len(part), 1)
        left, right = part[a], part[b]
        apart = drawn.camera[left] != drawn.camera[right]
        chosen = apart if across else ~apart & (drawn.half[left] != drawn.half[right])
        pairs.append(np.stack([left[chosen], right[chosen]]))
    left, right = np.concatenate(pairs, 1) if pairs else np.empty((2, 0), np.int64)
    return left, right


def _different(
    drawn: Drawn, across: bool, wanted: int, random: np.random.Generator, apart: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of two identities, drawn at random; fewer where there are not as many."""
    tracklets = len(drawn.identity)
    if apart is not None or tracklets**2 <= 8 * wanted:
        left, right = np.triu_indices(tracklets, 1)
    else:
        drawn_pairs = np.sort(random.integers(tracklets, size=(2, 8 * wanted)), 0)
        left, right = np.divmod(np.unique(drawn_pairs[0] * tracklets + drawn_pairs[1]), tracklets)
    good = drawn.identity[left] != drawn.identity[right]
    if apart is not None:
        good &= apart[drawn.identity[left], drawn.identity[right]]
    good &= (drawn.camera[left] != drawn.camera[right]) == across
    rows = random.permutation(np.flatnonzero(good))[:wanted]
    return left[rows], right[rows]


def _distance(drawn: Drawn, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.asarray(1 - np.einsum("nd,nd->n", drawn.vector[left], drawn.vector[right]), np.float32)
