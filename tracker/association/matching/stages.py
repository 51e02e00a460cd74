"""The stages of a frame: who takes part, which pairs there are, and the assignment. Compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.association import records as rc
from tracker.association.buffers import Buffers
from tracker.association.grid import Grid
from tracker.association.matching.assignment import solve
from tracker.association.matching.candidates import Edges, collect
from tracker.association.sorting import sort_rows
from tracker.compiled import Record, compiled, kernel
from tracker.compiled_arrays import integers, numbers
from tracker.motion import kalman

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.int64]


@compiled
def associate(buffers: Buffers, embedding: Float32, grid: Grid, parts: Any) -> None:
    """Find the detection of every track, `tracks.detection`, -1 for none."""
    tracks, detections, counters, rows = buffers.tracks, buffers.detections, buffers.counters[0], buffers.rows
    n = counters.tracks
    for row in range(n):
        tracks[row].detection = -1
    if n == 0 or counters.detections == 0:
        return
    expect(buffers, buffers.rules[0].motion.state, n)
    for s in range(len(buffers.stages)):
        stage = buffers.stages[s]
        if not choose_detections(buffers, stage):
            continue
        chosen = choose_tracks(buffers, stage)
        start = 0
        while start < chosen:
            end = chosen
            if stage.cascade:
                end = start + 1
                while end < chosen and tracks[rows[end]].seen == tracks[rows[start]].seen:
                    end += 1
            assign_group(buffers, stage, rows[start:end], embedding, grid, parts)
            start = end
        for i in range(chosen):
            if tracks[rows[i]].detection >= 0:
                detections[tracks[rows[i]].detection].taken = True


@kernel
def expect(buffers: Buffers, kind: int, count: int) -> None:
    """Write down where the filters expect the first `count` tracks."""
    for row in range(count):
        box = kalman.corners(kind, buffers.tracks[row].state)
        for i in range(4):
            buffers.expected[row, i] = box[i]


@kernel
def choose_detections(buffers: Buffers, stage: Record) -> bool:
    """Mark as free the detections that a stage is for and that no earlier one took; whether there are any."""
    low, high, any_free = stage.detections.score[0], stage.detections.score[1], False
    for j in range(buffers.counters[0].detections):
        detection = buffers.detections[j]
        in_band = low <= detection.score and (detection.score < high or high >= 1)
        detection.free = in_band and not detection.taken
        any_free |= detection.free
    return any_free


@kernel
def choose_tracks(buffers: Buffers, stage: Record) -> int:
    """Put the tracks that a stage is for in `rows`, in a cascade those seen last first; returns how many."""
    tracks, rows, counters, chosen = buffers.tracks, buffers.rows, buffers.counters[0], 0
    for row in range(counters.tracks):
        track = tracks[row]
        age = counters.now - track.seen
        in_state = (stage.tracks >> track.status) & 1
        # Seen in the last frame is recent, however slow the camera.
        recent = age <= stage.seen_within or track.streak > 0
        if in_state and track.detection < 0 and stage.gone_for <= age and recent:
            rows[chosen] = row
            chosen += 1
    if stage.cascade:
        for i in range(chosen):
            buffers.keys[rows[i]] = tracks[rows[i]].seen
        sort_rows(rows, chosen, buffers.keys, buffers.scratch)
    return chosen


@compiled
def assign_group(buffers: Buffers, stage: Record, rows: Index, embedding: Float32, grid: Grid, parts: Any) -> None:
    """One stage on the tracks `rows`: gives them detections, which are free no longer."""
    tracks, detections, begin = buffers.tracks, buffers.detections, buffers.counters[0].pairs
    edges = collect(buffers, stage, rows, embedding, grid, parts)
    if stage.weighs_later:
        edges = parts.weigh(buffers, stage, edges, begin)
    chosen = parts.assign(stage, edges, buffers.counters[0].detections)
    for i in range(len(rows)):
        if chosen[i] >= 0:
            j = edges.detection[chosen[i]]
            tracks[rows[i]].detection = j
            detections[j].free = False
    note_matches(buffers, begin)


@kernel
def note_matches(buffers: Buffers, begin: int) -> None:
    """Of the pairs written down since there were `begin`, mark those that were matched."""
    pairs = buffers.pairs
    for e in range(begin + 1, min(buffers.counters[0].pairs + 1, len(pairs))):
        matched = buffers.tracks[pairs[e].track].detection == pairs[e].detection
        if pairs[e].verdict == rc.UNASSIGNED and matched:
            pairs[e].verdict = rc.MATCHED


@compiled
def assign_exactly(stage: Record, edges: Edges, columns: int) -> Index:
    """The edge of each row in the assignment of least cost, -1 for none; the costs change."""
    for edge in range(len(edges.cost)):
        edges.cost[edge] -= stage.gate  # in place: it is the last use of them
    return solve(edges.first, edges.detection, edges.cost, columns)


@compiled
def assign_mutually(stage: Record, edges: Edges, columns: int) -> Index:
    """The edge of each row: pairs that prefer each other, round after round, the gate falling.

    Track-perspective association (Shim et al., CVPR 2025, section 3.2).
    """
    n, gate, new = len(edges.first) - 1, stage.gate, True
    chosen, taken = integers(n, -1), integers(columns, -1)
    while new:
        by_row, by_column, new = integers(n, -1), integers(columns, -1), False
        for row in range(n):
            if chosen[row] >= 0:
                continue
            for edge in range(edges.first[row], edges.first[row + 1]):
                j = edges.detection[edge]
                if taken[j] >= 0:
                    continue
                if by_row[row] < 0 or edges.cost[edge] < edges.cost[by_row[row]]:
                    by_row[row] = edge
                if by_column[j] < 0 or edges.cost[edge] < edges.cost[by_column[j]]:
                    by_column[j] = edge
        for row in range(n):
            edge = by_row[row]
            if edge >= 0 and by_column[edges.detection[edge]] == edge and edges.cost[edge] < gate:
                chosen[row], taken[edges.detection[edge]], new = edge, row, True
        gate -= stage.mutual_step
    return chosen


@compiled
def assign_either(stage: Record, edges: Edges, columns: int) -> Index:
    """As the stage says."""
    if stage.mutual_step > 0:
        return assign_mutually(stage, edges, columns)
    return assign_exactly(stage, edges, columns)


@compiled
def no_weights(buffers: Buffers, stage: Record, edges: Edges, begin: int) -> Edges:
    """For recipes in which no cost is known only when all are."""
    return edges


@compiled
def weigh_adaptively(buffers: Buffers, stage: Record, edges: Edges, begin: int) -> Edges:
    """Add embeddings, weighted by how well they tell the candidates apart; the pairs that are within the gate then."""
    adapt(stage, edges, buffers.counters[0].detections)
    edge, pairs = 0, buffers.pairs
    for e in range(begin + 1, min(buffers.counters[0].pairs + 1, len(pairs))):
        if pairs[e].verdict == rc.UNASSIGNED:
            pairs[e].cost = edges.cost[edge]
            if edges.cost[edge] > stage.gate:
                pairs[e].verdict = rc.BEYOND_GATE
            edge += 1
    return within(edges, stage.gate)


@compiled
def adapt(stage: Record, edges: Edges, columns: int) -> None:
    """Adaptive weighting (Maggiolino et al., Deep OC-SORT, ICIP 2023, section 3.3).

    The weight of a pair grows by half the lead of the best similarity over the second, of its row and of its
    column, each at most 0.5.
    """
    best, second = numbers(columns, -1.0), numbers(columns, -1.0)
    for edge in range(len(edges.cost)):
        like, j = 1 - 2 * edges.embedding[edge], edges.detection[edge]
        if like > best[j]:
            best[j], second[j] = like, best[j]
        elif like > second[j]:
            second[j] = like
    for row in range(len(edges.first) - 1):
        top, next_ = -1.0, -1.0
        for edge in range(edges.first[row], edges.first[row + 1]):
            like = 1 - 2 * edges.embedding[edge]
            if like > top:
                top, next_ = like, top
            elif like > next_:
                next_ = like
        for edge in range(edges.first[row], edges.first[row + 1]):
            j = edges.detection[edge]
            lead = min(max(top - next_, 0.0), 0.5) + min(max(best[j] - second[j], 0.0), 0.5)
            edges.cost[edge] += (stage.weight + lead / 2) * 2 * edges.embedding[edge]


@compiled
def within(edges: Edges, gate: float) -> Edges:
    """Only the edges within the gate, moved to the front of the same arrays."""
    first, detection, cost, distance = edges
    begin, count = 0, 0
    for i in range(len(first) - 1):
        for edge in range(begin, first[i + 1]):
            if cost[edge] <= gate:
                detection[count], cost[count], distance[count] = detection[edge], cost[edge], distance[edge]
                count += 1
        begin, first[i + 1] = first[i + 1], count
    return Edges(first, detection[:count], cost[:count], distance[:count])
