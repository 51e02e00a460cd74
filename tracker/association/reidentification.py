"""Who comes back: newcomers beside those who are out of sight, by their embeddings alone. Compiled.

A newcomer is a track that has no id yet. In every frame all newcomers are compared with all who were lost before they
came and who are known well; the best assignment decides who is whom, and who is somebody continues under his id. A pair
must be alike, the more so the less was seen of the newcomer, and no other pair may be nearly as good. Meanwhile the
newcomer waits for its id.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tracker.association import records as rc
from tracker.association.appearance import similarity
from tracker.association.buffers import Buffers
from tracker.association.matching.assignment import solve
from tracker.association.matching.candidates import Edges, forget_terms
from tracker.compiled import Record, compiled, kernel
from tracker.compiled_arrays import grown, integers, longer, numbers

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.int64]


@kernel
def is_known(track: Record, rules: Record) -> bool:
    """Whether a track was seen so well that it can be found again by its embedding."""
    evidence = rules.reidentification.evidence
    return bool(evidence > 0 and track.evidence >= evidence)


@compiled
def reidentify_nobody(buffers: Buffers) -> None:
    """For recipes in which whoever was lost for too long is a new person."""


@compiled
def reidentify(buffers: Buffers) -> None:
    """Let newcomers continue as those who they are; they themselves end (`dead`). Says who waits for its id."""
    tracks, rules, n = buffers.tracks, buffers.rules[0], buffers.counters[0].tracks
    new, gone, newcomers, lost = buffers.rows, buffers.scratch, 0, 0
    if not rules.embeddings:
        return
    for row in range(n):
        status = tracks[row].status
        if status == rc.TENTATIVE and tracks[row].detection >= 0:
            new[newcomers] = row
            newcomers += 1
        elif (status == rc.LOST or status == rc.REMEMBERED) and not tracks[row].dead:
            gone[lost] = row
            lost += 1
    if newcomers == 0 or lost == 0:
        return
    begin, settings = buffers.counters[0].pairs, rules.reidentification
    edges = compare(buffers, new[:newcomers], gone[:lost])
    gain = numbers(len(edges.cost), 0.0)
    for edge in range(len(edges.cost)):
        gain[edge] = edges.cost[edge] - settings.gate * settings.threshold
    chosen = solve(edges.first, edges.detection, gain, n)
    clear_pairs(edges, chosen, n, settings.margin * settings.threshold)
    for i in range(newcomers):
        if chosen[i] >= 0:
            row = edges.detection[chosen[i]]
            tracks[row].detection, tracks[new[i]].detection = tracks[new[i]].detection, -1
            tracks[new[i]].dead = True
            merge(buffers, row, new[i])
    pairs = buffers.pairs
    for e in range(begin + 1, min(buffers.counters[0].pairs + 1, len(pairs))):
        if tracks[pairs[e].track].detection == pairs[e].detection:
            pairs[e].verdict = rc.MATCHED


@compiled
def compare(buffers: Buffers, new: Index, gone: Index) -> Edges:
    """All pairs that are alike enough; their `detection` is the row of the lost track. Says in `waits` who waits."""
    tracks, rules, now = buffers.tracks, buffers.rules[0], buffers.counters[0].now
    first, row_of = integers(len(new) + 1, 0), integers(16, 0)
    cost, settings, count = numbers(16, 0.0), rules.reidentification, 0
    for i in range(len(new)):
        newcomer, first[i] = tracks[new[i]], count
        sure = min(newcomer.evidence / settings.evidence, 1.0)
        gate = settings.gate * settings.threshold * (settings.at_first + (1 - settings.at_first) * sure)
        for k in range(len(gone)):
            row = gone[k]
            if not could_be(tracks[row], newcomer, rules):
                continue
            newcomer.waits = True
            unlike = 1.0 - similarity(buffers.gallery[row], False, buffers.gallery[new[i], 0])
            write_down(buffers, row, newcomer.detection, unlike, gate)
            if unlike <= gate:
                if count == len(cost):
                    row_of, cost = grown(row_of, 2 * count), longer(cost, 2 * count)
                row_of[count], cost[count] = row, unlike
                count += 1
        stranger = sure >= 1 and count == first[i]
        if stranger or now - newcomer.born > settings.wait_seconds - 1e-6:
            newcomer.waits = False
    first[len(new)] = count
    return Edges(first, row_of[:count], cost[:count], cost[:count])


@kernel
def write_down(buffers: Buffers, row: int, detection: int, unlike: float, gate: float) -> None:
    """Keep what was thought of a pair, for explanations."""
    pairs, counters = buffers.pairs, buffers.counters[0]
    if len(pairs) == 1:
        return
    counters.pairs += 1
    pair = pairs[0]
    forget_terms(pair)
    pair.stage, pair.track, pair.detection = buffers.rules[0].stage_count, row, detection
    pair.cost, pair.embedding, pair.gate = unlike, unlike / 2, gate
    pair.verdict = rc.UNASSIGNED if unlike <= gate else rc.UNLIKE
    if counters.pairs < len(pairs):
        pairs[counters.pairs] = pair


@kernel
def could_be(lost: Record, newcomer: Record, rules: Record) -> bool:
    """Whether nothing but the embedding can speak against a newcomer being somebody who was lost.

    Classes have to agree even where `class_agnostic` lets boxes of different classes match: without overlap nothing
    but the embedding is left to tell a truck from the person who left before it came.
    """
    if lost.class_id != newcomer.class_id:
        return False
    return bool(is_known(lost, rules) and lost.seen < newcomer.born)  # nobody is in two places at once


@compiled
def clear_pairs(edges: Edges, chosen: Index, columns: int, margin: float) -> None:
    """Leave in `chosen` only the pairs that are better by `margin` than every other of their row and column."""
    best, second, cost = numbers(columns, np.inf), numbers(columns, np.inf), edges.cost
    for edge in range(edges.first[len(chosen)]):
        j = edges.detection[edge]
        if cost[edge] < best[j]:
            best[j], second[j] = cost[edge], best[j]
        elif cost[edge] < second[j]:
            second[j] = cost[edge]
    for i in range(len(chosen)):
        if chosen[i] < 0:
            continue
        mine, j = cost[chosen[i]], edges.detection[chosen[i]]
        rival = second[j] if mine == best[j] else -np.inf
        for edge in range(edges.first[i], edges.first[i + 1]):
            if edge != chosen[i]:
                rival = min(rival, cost[edge])
        if rival < mine + margin:
            chosen[i] = -1


@kernel
def merge(buffers: Buffers, row: int, newcomer: int) -> None:
    """The lost track `row` continues where the newcomer is, and learns how it looks now."""
    tracks, lost, new = buffers.tracks, buffers.tracks[row], buffers.tracks[newcomer]
    serial, track_id, born = lost.serial, lost.id, lost.born
    hits, score_sum, evidence = lost.hits, lost.score_sum, lost.evidence
    new_evidence, detection, dead = new.evidence, lost.detection, lost.dead
    tracks[row] = tracks[newcomer]
    lost.serial, lost.id, lost.born, lost.status = serial, track_id, born, rc.CONFIRMED
    lost.detection, lost.dead, lost.waits = detection, dead, False
    lost.hits += hits
    lost.score_sum += score_sum
    lost.evidence += evidence
    gallery, quality = buffers.gallery, buffers.quality
    mean, seen = gallery[row, 0], gallery[newcomer, 0]
    kept, total = buffers.rules[0].appearance.momentum ** new_evidence, 0.0
    for i in range(len(mean)):
        mean[i] = kept * mean[i] + (1 - kept) * seen[i]
        total += mean[i] ** 2
    if total > 0:
        length = np.float32(math.sqrt(total))
        for i in range(len(mean)):
            mean[i] /= length
    budget = gallery.shape[1] - 1
    for k in range(1, budget + 1):
        if quality[newcomer, k] >= 0:
            slot = 1 + int(quality[row, 0]) % budget
            for i in range(len(mean)):
                gallery[row, slot, i] = gallery[newcomer, k, i]
            quality[row, slot] = quality[newcomer, k]
            quality[row, 0] += 1
