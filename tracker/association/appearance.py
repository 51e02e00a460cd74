"""How tracks remember what they look like: a running mean of embeddings, and a gallery. Compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tracker.association.buffers import Buffers
from tracker.association.grid import Grid, box_at, touching
from tracker.compiled import kernel

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@kernel
def is_set(embedding: Float32) -> bool:
    """Whether there is one: all zeros stand for none."""
    for value in embedding:  # noqa: SIM110  # a generator is not compiled
        if value != 0:
            return True
    return False


@kernel
def similarity(gallery: Float32, by_gallery: bool, seen: Float32) -> float:
    """Cosine of a detection's embedding with what a track remembers: its mean, or the most alike of its gallery.

    Args:
        gallery: ``(1 + S, D)``: the mean, then the gallery; entries not taken yet are zero.
        seen: ``(D,)``.
    """
    best: float = -2.0
    for k in range(1 if by_gallery else 0, len(gallery) if by_gallery else 1):
        dot = np.float32(0)
        for i in range(len(seen)):
            dot += gallery[k, i] * seen[i]
        if dot != 0:
            best = max(best, float(dot))
    return best if best > -2 else 0.0


@kernel
def learn_nothing(buffers: Buffers, row: int, j: int, seen: Float32) -> float:
    """For recipes that compare no embeddings."""
    return 0.0


@kernel
def learn_embedding(buffers: Buffers, row: int, j: int, seen: Float32) -> float:
    """Teach track `row` the embedding `seen` of detection `j`: its running mean, and its gallery.

    Returns:
        How far this could be trusted, 0–1.
    """
    gallery, track, detection = buffers.gallery[row], buffers.tracks[row], buffers.detections[j]
    rules, settings = buffers.rules[0], buffers.rules[0].appearance
    if not is_set(seen):
        return 0.0
    known, score = is_set(gallery[0]), detection.score
    good = score >= settings.score and detection.occluded <= settings.overlap
    if known and not good:
        return 0.0
    trust = 1.0
    if settings.momentum_by_score:  # Deep OC-SORT, section 3.2: less of what is less sure
        trust = (score - settings.score) / max(1 - settings.score, 1e-6)
    share = (1 - settings.momentum) * trust if known else 1.0
    if known and rules.reidentification.evidence > 0:
        # The first count alike: the very first embedding of a newcomer is its worst.
        share = max(share, trust / max(track.evidence + trust, 1e-6))
    _move_mean(gallery[0], seen, 1 - share)
    if len(gallery) > 1:
        _add_to_gallery(gallery, buffers.quality[row], seen, score * (1 - detection.occluded), settings.novelty)
    return trust if good else 0.0


@kernel
def _move_mean(mean: Float32, seen: Float32, momentum: float) -> None:
    """Move a running mean, and bring it to unit length."""
    total = 0.0
    for i in range(len(seen)):
        mean[i] = momentum * mean[i] + (1 - momentum) * seen[i]
        total += mean[i] ** 2
    total = math.sqrt(total)
    if total > 0:
        for i in range(len(seen)):
            mean[i] /= total


@kernel
def _add_to_gallery(gallery: Float32, quality: Float64, seen: Float32, value: float, novelty: float) -> None:
    """Keep an embedding: the newest in turn, or, with `novelty`, what is new or better than what it resembles most.

    Args:
        quality: ``(1 + S,)``: how many there were, then the quality of each, -1 where free.
        value: its quality.
    """
    budget = len(gallery) - 1
    if novelty <= 0:
        slot = 1 + int(quality[0]) % budget
    else:
        slot, like, worst = -1, -2.0, 1
        for k in range(1, budget + 1):
            if quality[k] < quality[worst]:
                worst = k
            if quality[k] < 0:
                continue
            dot = np.float32(0)
            for i in range(len(seen)):
                dot += gallery[k, i] * seen[i]
            if dot > like:
                slot, like = k, float(dot)
        if (1 - like) / 2 > novelty:  # new: takes the place of the worst
            if quality[worst] > value:
                return
            slot = worst
        elif value <= quality[slot]:
            return
    for i in range(len(seen)):
        gallery[slot, i] = seen[i]
    quality[slot] = value
    quality[0] += 1


@kernel
def measure_no_occlusion(buffers: Buffers, grid: Grid) -> None:
    """For recipes that do not ask who is hidden."""


@kernel
def measure_occlusion(buffers: Buffers, grid: Grid) -> None:
    """How much of every box another in front of it (lower in the picture) covers, at most, 0–1."""
    for i in range(buffers.counters[0].detections):
        box = box_at(grid.boxes, i)
        area, occluded = max((box[2] - box[0]) * (box[3] - box[1]), 1e-6), 0.0
        for k in range(touching(grid, box, buffers.found)):
            other = box_at(grid.boxes, buffers.found[k])
            if other[3] > box[3]:
                width, height = min(box[2], other[2]) - max(box[0], other[0]), box[3] - max(box[1], other[1])
                occluded = max(occluded, width * height / area)
        buffers.detections[i].occluded = occluded
