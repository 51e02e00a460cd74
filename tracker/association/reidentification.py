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
from tracker.association.appearance import is_set, similarity
from tracker.association.buffers import Buffers
from tracker.association.evidence import compare_company, likeness, place
from tracker.association.grid import box_at
from tracker.association.matching.assignment import solve
from tracker.association.matching.candidates import Edges, box_of, forget_terms
from tracker.association.priors import even_distance, left_picture
from tracker.compiled import Record, compiled, kernel
from tracker.compiled_arrays import grown, integers, longer, numbers

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.int64]

CLEAR_HEIGHT = 96.0
"""Pixels; of smaller people embeddings say less."""
VISIT_SECONDS = 2.0
"""Out of sight, after which coming back is another visit."""
HOPELESS = -4.0
"""Evidence below which a newcomer does not wait to be seen better."""


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
    compare_company(buffers)
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
    gain = edges.cost.copy()
    chosen = solve(edges.first, edges.detection, gain, n)
    clear_pairs(edges, chosen, n, settings.margin)
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
    """All pairs for which more speaks than against; their cost is the evidence, negative, and their `detection` the
    row of the lost track. Says in `waits` who waits."""
    tracks, rules, now = buffers.tracks, buffers.rules[0], buffers.counters[0].now
    first, row_of = integers(len(new) + 1, 0), integers(16, 0)
    cost, settings, count = numbers(16, 0.0), rules.reidentification, 0
    for i in range(len(new)):
        newcomer, first[i] = tracks[new[i]], count
        sure = min(newcomer.evidence / settings.evidence, 1.0)
        for k in range(len(gone)):
            row = gone[k]
            if not could_be(tracks[row], newcomer, buffers.priors[0], rules):
                continue
            evidence = weigh(buffers, row, new[i])
            newcomer.waits |= evidence > HOPELESS or sure < 0.5
            if evidence >= 0:
                if count == len(cost):
                    row_of, cost = grown(row_of, 2 * count), longer(cost, 2 * count)
                row_of[count], cost[count] = row, -evidence
                count += 1
        stranger = sure >= 1 and count == first[i]
        if stranger or now - newcomer.born > settings.wait_seconds - 1e-6:
            newcomer.waits = False
    first[len(new)] = count
    return Edges(first, row_of[:count], cost[:count], cost[:count])


@kernel
def weigh(buffers: Buffers, row: int, new: int) -> float:
    """How much speaks for the newcomer `new` being the lost track `row`; kept for explanations."""
    lost, newcomer, rules = buffers.tracks[row], buffers.tracks[new], buffers.rules[0]
    settings, priors, pair = rules.reidentification, buffers.priors[0], buffers.pairs[0]
    found = box_at(buffers.xyxy, newcomer.detection)
    forget_terms(pair)
    pair.place = place(priors, rules.motion.state, lost, found, buffers.counters[0].now, rules.nominal)
    pair.likeness = 0.0
    if is_set(buffers.gallery[row, 0]) and is_set(buffers.gallery[new, 0]):
        unlike = 1.0 - similarity(buffers.gallery[row], False, buffers.gallery[new, 0])
        pair.embedding = unlike / 2
        even = even_distance(priors, settings.gate * settings.threshold)
        if even > 0:
            known = min(newcomer.evidence, lost.evidence) / settings.evidence
            clear = min(found[3] - found[1], lost.box[3] - lost.box[1]) / CLEAR_HEIGHT
            sure = min(known, 1.0) * min(clear, 1.0)
            pair.likeness = likeness(unlike, even * (settings.at_first + (1 - settings.at_first) * sure))
    evidence = pair.likeness + pair.place
    write_down(buffers, row, newcomer.detection, evidence)
    return float(evidence)


@kernel
def write_down(buffers: Buffers, row: int, detection: int, evidence: float) -> None:
    """Keep what was thought of a pair, for explanations."""
    pairs, counters = buffers.pairs, buffers.counters[0]
    if len(pairs) == 1:
        return
    counters.pairs += 1
    pair = pairs[0]
    pair.stage, pair.track, pair.detection = buffers.rules[0].stage_count, row, detection
    pair.cost, pair.gate = -evidence, 0.0
    pair.verdict = rc.UNASSIGNED if evidence >= 0 else rc.UNLIKE
    if counters.pairs < len(pairs):
        pairs[counters.pairs] = pair
    forget_terms(pair)


@kernel
def could_be(lost: Record, newcomer: Record, priors: Record, rules: Record) -> bool:
    """Whether a newcomer can be somebody who was lost at all.

    Classes have to agree even where `class_agnostic` lets boxes of different classes match: without overlap too
    little is left to tell a truck from the person who left before it came.
    """
    if lost.class_id != newcomer.class_id:
        return False
    if rules.memory == 1:
        gone = newcomer.born - lost.seen > VISIT_SECONDS
        if gone or left_picture(priors, box_of(lost), lost.state_seen.velocity[1] / rules.nominal):
            return False
    known = is_known(lost, rules) or lost.status == rc.LOST
    return bool(known and lost.seen < newcomer.born)  # nobody is in two places at once


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
