"""A map of vectors: one dot a crop, near where its neighbours are."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from reid.data.pair import joined, subset
from reid.judge import Judgement
from reid.report.projection import tsne

CROPS = 800
"""So many are placed at most: whole identities, in a random order that is always the same."""
WIDTH, HEIGHT, EDGE = 900, 620, 24


def map_of(judgement: Judgement) -> str:
    """An SVG of query and gallery crops; identities have a colour and a number, and a dot tells its crop's name."""
    crops = joined([judgement.query, judgement.gallery])
    rows = _whole_identities(crops.identity)
    crops, vectors = subset(crops, rows), np.concatenate(judgement.vectors)[rows]
    is_query = rows < len(judgement.query)
    place = _fitted(tsne(vectors))
    numbers = {identity: n for n, identity in enumerate(dict.fromkeys(crops.identity.tolist()))}
    dots, labels = [], []
    for (x, y), identity, path, queried in zip(place, crops.identity.tolist(), crops.paths, is_query, strict=True):
        hue = numbers[identity] * 137.5 % 360  # the golden angle: neighbours in number differ in colour
        ring = 'class="rim"' if queried else ""
        dots.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4.5 if queried else 3.5}" fill="hsl({hue:.0f} 65% 55%)" '
            f'fill-opacity="0.8" {ring}><title>{escape(f"{path.parent.name}/{path.name}")}</title></circle>'
        )
    for identity in numbers:
        own = place[crops.identity == identity]
        x, y = own[np.abs(own - np.median(own, axis=0)).sum(1).argmin()]  # at a dot, even where there are two islands
        labels.append(f'<text x="{x:.1f}" y="{y:.1f}">{_short(identity, numbers[identity])}</text>')
    return (
        f'<svg class="map" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Map of {len(rows)} crops">'
        f"{''.join(dots)}{''.join(labels)}</svg>"
    )


def _short(identity: int, number: int) -> str:
    """The number that is in the files' names, where it is short enough to be one."""
    return str(identity) if identity < 1_000_000 else f"#{number + 1}"


def _whole_identities(identity: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of some identities, all of each; distractors and junk are nobody."""
    known = np.random.default_rng(0).permutation(np.unique(identity[identity > 0]))
    sizes = np.array([(identity == i).sum() for i in known])
    return np.flatnonzero(np.isin(identity, known[: max(int((np.cumsum(sizes) <= CROPS).sum()), 1)]))


def _fitted(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Into the picture."""
    low, high = place.min(0), place.max(0)
    inside = np.array([WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE])
    return np.asarray(EDGE + (place - low) / np.maximum(high - low, 1e-12) * inside, np.float64)
