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


@compiled
def learn_look(memory: Float32, quality: Float64, rules: Float64, seen: Float32, score: float, hidden: float) -> None:
    """Teach a track what it looks like: its running mean, and its samples.

    Args:
        memory: ``(1 + S, D)``, the mean and the samples.
        quality: ``(1 + S,)``: how many samples there were, then the quality of each, -1 where free.
        hidden: how much of the box others cover.
    """
    known = False
    for i in range(len(seen)):
        known = known or memory[0, i] != 0
    good = score >= rules[at.R_LOOK_SCORE] and hidden <= rules[at.R_LOOK_HIDDEN]
    if known and not good:
        return
    momentum = rules[at.R_MOMENTUM] if known else 0.0
    if known and rules[at.R_MOMENTUM_BY_SCORE] > 0:  # Deep OC-SORT, section 3.2: less of what is less sure
        trust = (score - rules[at.R_LOOK_SCORE]) / max(1 - rules[at.R_LOOK_SCORE], 1e-6)
        momentum += (1 - momentum) * (1 - trust)
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
def hidden_shares(grid: Grid) -> Float64:
    """How much of every box another in front of it (lower in the picture) covers, at most, in 0–1."""
    n = len(grid.boxes)
    out, found = np.zeros(n), np.empty(n, np.int64)
    for i in range(n):
        box = box_at(grid.boxes, i)
        area = max((box[2] - box[0]) * (box[3] - box[1]), 1e-6)
        for j in found[: touching(grid, box, found)]:
            other = box_at(grid.boxes, j)
            if other[3] > box[3]:
                width, height = min(box[2], other[2]) - max(box[0], other[0]), box[3] - max(box[1], other[1])
                out[i] = max(out[i], width * height / area)
    return out
