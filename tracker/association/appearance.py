"""How tracks remember what they look like: a running mean, and samples. Compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tracker.association import layout as at
from tracker.association.grid import Grid, box_at, touching
from tracker.compiled import compiled

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.int64]


@compiled
def is_set(embedding: Float32) -> bool:
    """Whether there is one: all zeros stand for none."""
    for value in embedding:  # noqa: SIM110  # a generator is not compiled
        if value != 0:
            return True
    return False


@compiled
def similarity(memory: Float32, samples: bool, seen: Float32) -> float:
    """Cosine of a detection's embedding with what a track remembers: its mean, or the most alike of its samples.

    Args:
        memory: ``(1 + S, D)``: the mean, then samples; those not taken yet are zero.
        seen: ``(D,)``.
    """
    best: float = -2.0
    for k in range(1 if samples else 0, len(memory) if samples else 1):
        dot = np.float32(0)
        for i in range(len(seen)):
            dot += memory[k, i] * seen[i]
        if dot != 0:
            best = max(best, float(dot))
    return best if best > -2 else 0.0


@compiled
def learn_look(
    memory: Float32, quality: Float64, rules: Float64, seen: Float32, score: float, hidden: float, evidence: float
) -> float:
    """Teach a track what it looks like: its running mean, and its samples.

    Args:
        memory: ``(1 + S, D)``, the mean and the samples.
        quality: ``(1 + S,)``: how many samples there were, then the quality of each, -1 where free.
        hidden: how much of the box others cover.
        evidence: how often it was seen well, each time as far as it could be trusted.

    Returns:
        How far this could be trusted, 0–1.
    """
    if not is_set(seen):
        return 0.0
    known = is_set(memory[0])
    good = score >= rules[at.R_LOOK_SCORE] and hidden <= rules[at.R_LOOK_HIDDEN]
    if known and not good:
        return 0.0
    trust = 1.0
    if rules[at.R_MOMENTUM_BY_SCORE] > 0:  # Deep OC-SORT, section 3.2: less of what is less sure
        trust = (score - rules[at.R_LOOK_SCORE]) / max(1 - rules[at.R_LOOK_SCORE], 1e-6)
    share = (1 - rules[at.R_MOMENTUM]) * trust if known else 1.0
    if known and rules[at.R_EVIDENCE] > 0:  # the first count alike: a newcomer's very first look is its worst
        share = max(share, trust / max(evidence + trust, 1e-6))
    momentum = 1 - share
    total = 0.0
    for i in range(len(seen)):
        memory[0, i] = momentum * memory[0, i] + (1 - momentum) * seen[i]
        total += memory[0, i] ** 2
    total = math.sqrt(total)
    if total > 0:
        for i in range(len(seen)):
            memory[0, i] /= total
    if len(memory) > 1:
        add_sample(memory, quality, rules, seen, score * (1 - hidden))
    return trust if good else 0.0


@compiled
def add_sample(memory: Float32, quality: Float64, rules: Float64, seen: Float32, value: float) -> None:
    """Keep a sample: the newest in turn, or, with `novelty`, what is new or better than what it resembles most."""
    budget = len(memory) - 1
    if rules[at.R_NOVELTY] <= 0:
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
                dot += memory[k, i] * seen[i]
            if dot > like:
                slot, like = k, float(dot)
        if (1 - like) / 2 > rules[at.R_NOVELTY]:  # new: takes the place of the worst
            if quality[worst] > value:
                return
            slot = worst
        elif value <= quality[slot]:
            return
    memory[slot] = seen
    quality[slot] = value
    quality[0] += 1


@compiled
def find_hidden(grid: Grid, found: Index, out: Float64) -> None:
    """How much of every box another in front of it (lower in the picture) covers, at most, in 0–1, to `out`."""
    for i in range(len(grid.boxes)):
        box = box_at(grid.boxes, i)
        area = max((box[2] - box[0]) * (box[3] - box[1]), 1e-6)
        for j in found[: touching(grid, box, found)]:
            other = box_at(grid.boxes, j)
            if other[3] > box[3]:
                width, height = min(box[2], other[2]) - max(box[0], other[0]), box[3] - max(box[1], other[1])
                out[i] = max(out[i], width * height / area)
