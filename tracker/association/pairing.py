"""Which track takes which detection: candidate pairs, their costs, the stages. Compiled."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tracker.association import costs
from tracker.association import layout as at
from tracker.association import memory as mem
from tracker.association.appearance import is_set, similarity
from tracker.association.assignment import solve
from tracker.association.grid import Grid, box_at, held, touching
from tracker.compiled import borrowed, compiled
from tracker.motion import kalman

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]
Column = TypeVar("Column", Float64, Index)


@compiled
def direction(track: Float64, box: costs.Box, now: float, rules: Float64, by_corners: bool) -> float:
    """Angle between where a track was heading and where the detection lies from its past, 0–1.

    The past is the match `direction_steps` nominal frames ago, or the nearest to it since (observation-centric
    momentum; Cao et al., CVPR 2023, section 4.2); by corners as in Hybrid-SORT (Yang et al., AAAI 2024).
    """
    past = past_at(track, now, rules[at.R_DIRECTION_STEPS] * rules[at.R_NOMINAL], rules[at.R_NOMINAL])
    if past < 0:
        return 0.5
    x1, y1, x2, y2 = track[past], track[past + 1], track[past + 2], track[past + 3]
    h = at.HEADING
    if not by_corners:
        dx, dy = (box[0] + box[2] - x1 - x2) / 2, (box[1] + box[3] - y1 - y2) / 2
        return costs.angle_between(track[h], track[h + 1], dx, dy)
    total = costs.angle_between(track[h], track[h + 1], box[0] - x1, box[1] - y1)
    total += costs.angle_between(track[h + 2], track[h + 3], box[0] - x1, box[3] - y2)
    total += costs.angle_between(track[h + 4], track[h + 5], box[2] - x2, box[1] - y1)
    return (total + costs.angle_between(track[h + 6], track[h + 7], box[2] - x2, box[3] - y2)) / 4


@compiled
def past_at(track: Float64, now: float, ago: float, nominal: float) -> int:
    """Column of the box matched `ago` seconds before now, or as soon after as there is one; -1 without any.

    Where all are older, the newest.
    """
    found = -1
    for k in range(at.PASTS):
        column = at.PAST + 5 * k
        if math.isnan(track[column]):
            break
        if found < 0 or now - track[column] <= ago + nominal / 2:
            found = column + 1
    return found


@compiled
def candidate_margin(stage: Float64, box: costs.Box, widest: float, tallest: float, age: float) -> float:
    """Pixels on every side of a track's box beyond which no pair of this stage can exist; infinite where any can."""
    if stage[at.S_REACH] < np.inf:
        allowed = stage[at.S_SLACK] + stage[at.S_REACH] * age
        return float(allowed * (box[3] - box[1] + tallest) / 2 + widest)
    if stage[at.S_LEAST_OVERLAP] > 0 and stage[at.S_MODE] != at.LEAST:
        return 0.0
    if stage[at.S_MODE] == at.LEAST and not stage[at.S_LEAST_OVERLAP] > 0:
        return np.inf
    if stage[at.S_MODE] == at.LOOK or stage[at.S_MODE] == at.FUSED or stage[at.S_MODE] == at.ADAPTIVE:
        return np.inf
    if stage[at.S_OVERLAP] == costs.BUFFERED_IOU and stage[at.S_GATE] < 1:
        return float(stage[at.S_BUFFER] * max(box[2] - box[0] + widest, box[3] - box[1] + tallest))
    plain = stage[at.S_OVERLAP] == costs.IOU or stage[at.S_OVERLAP] == costs.HEIGHT_IOU
    return 0.0 if plain and stage[at.S_GATE] < 1 else np.inf


@compiled
def refused_by_place(
    stage: Float64, track: Float64, box: costs.Box, found: costs.Box, plain: float, now: float, out: Float64
) -> int:
    """The verdict on a pair by where and how large its boxes are; `OUTBID` where nothing speaks against it."""
    if plain < stage[at.S_LEAST_OVERLAP] and stage[at.S_MODE] != at.LEAST:
        return at.LITTLE_OVERLAP
    if stage[at.S_SIZE_RATIO] > 0 and costs.height_ratio(box, found) < stage[at.S_SIZE_RATIO]:
        return at.OTHER_SIZE
    if stage[at.S_REACH] < np.inf:
        away = costs.distance_in_heights(box, found)
        out[at.E_DISTANCE] = away
        if away > stage[at.S_SLACK] + stage[at.S_REACH] * (now - track[at.SEEN]):
            return at.OUT_OF_REACH
    return at.OUTBID


@compiled
def with_look(stage: Float64, cost: float, plain: float, look: float) -> float:
    """Cost of motion and appearance together; infinite where the appearance forbids the pair."""
    unlike = look > stage[at.S_LOOK_GATE]
    if stage[at.S_MODE] == at.LEAST:
        return cost if unlike or plain < stage[at.S_LEAST_OVERLAP] else min(cost, look)
    if unlike:
        return np.inf
    if stage[at.S_MODE] == at.LOOK:
        return look
    return cost + stage[at.S_WEIGHT] * (look - cost) if stage[at.S_MODE] == at.FUSED else cost


@compiled
def extras(
    stage: Float64,
    rules: Float64,
    track: Float64,
    box: costs.Box,
    found: costs.Box,
    score: float,
    now: float,
    out: Float64,
) -> float:
    """What direction, score and shape add to the cost."""
    cost = 0.0
    if stage[at.S_DIRECTION] > 0:
        turn = direction(track, found, now, rules, stage[at.S_CORNERS] > 0) * score
        out[at.E_DIRECTION] = turn
        cost += stage[at.S_DIRECTION] * turn
    if stage[at.S_SCORE_CHANGE] > 0:
        off = abs(2 * track[at.SCORE] - track[at.SCORE_BEFORE] - score)
        out[at.E_SCORE_CHANGE] = off
        cost += stage[at.S_SCORE_CHANGE] * off
    if stage[at.S_SHAPE] > 0:
        cost += stage[at.S_SHAPE] * costs.shape_difference(box, found)
    return cost + (stage[at.S_LOW_PENALTY] if score < stage[at.S_LOW_BELOW] else 0.0)


@compiled
def judge(
    stage: Float64, rules: Float64, track: Float64, box: costs.Box, memory: Float32, found: costs.Box, score: float,
    class_id: int, embedding: Float32, now: float, out: Float64,
) -> int:  # fmt: skip
    """The verdict on one pair; its terms, and its cost (infinite where refused), go to `out` (columns of a record)."""
    out[at.E_COST] = np.inf
    if rules[at.R_CLASS_AGNOSTIC] == 0 and track[at.CLASS] != class_id:
        return at.OTHER_CLASS
    plain = costs.pair_iou(box, found)
    kind = int(stage[at.S_OVERLAP])
    overlap = plain if kind == costs.IOU else costs.overlap_of(kind, box, found, stage[at.S_BUFFER])
    cost = 1.0 - (overlap * score if stage[at.S_TIMES_SCORE] > 0 else overlap)
    out[at.E_OVERLAP], out[at.E_MOTION] = plain, cost
    verdict = refused_by_place(stage, track, box, found, plain, now, out)
    if verdict != at.OUTBID:
        return verdict
    if stage[at.S_MAHALANOBIS_GATE] < np.inf or stage[at.S_MAHALANOBIS] > 0:
        state = int(rules[at.R_KIND])
        z = kalman.measure(state, found[0], found[1], found[2], found[3])
        belief = track[at.BELIEF : at.BELIEF + kalman.SIZE]
        squared = kalman.squared_mahalanobis(state, belief, z, rules[at.R_MEASUREMENT_NOISE])
        out[at.E_MAHALANOBIS] = squared
        if squared > stage[at.S_MAHALANOBIS_GATE]:
            return at.IMPROBABLE
        cost += stage[at.S_MAHALANOBIS] * min(squared / 13.2767, 1.0)  # chi-square, 4 degrees of freedom, 99 %
    looks = stage[at.S_MODE] != at.MOTION or stage[at.S_LOOK_GATE] < np.inf
    if looks and stage[at.S_MODE] == at.FUSED:  # who has no look yet, or none in this frame, is judged by motion
        looks = is_set(memory[0]) and is_set(embedding)
    if looks:
        look = (1.0 - similarity(memory, stage[at.S_SAMPLES] > 0, embedding)) / 2
        out[at.E_LOOK] = look
        cost = with_look(stage, cost, plain, look)
        if cost == np.inf:
            return at.UNLIKE
    cost += extras(stage, rules, track, box, found, score, now, out)
    out[at.E_COST] = cost
    return at.OUTBID if cost <= stage[at.S_GATE] or stage[at.S_MODE] == at.ADAPTIVE else at.BEYOND_GATE


@compiled
def adapt(stage: Float64, first: Index, column: Index, look: Float64, cost: Float64, columns: int) -> None:
    """Add appearance, weighted by how well it tells the candidates apart (Maggiolino et al., ICIP 2023, section 3.3).

    The weight of a pair grows by half the lead of the best similarity over the second, of its row and of its
    column, each at most 0.5.
    """
    best, second = np.full(columns, -1.0), np.full(columns, -1.0)
    for row in range(len(first) - 1):
        for edge in range(first[row], first[row + 1]):
            like, j = 1 - 2 * look[edge], column[edge]
            if like > best[j]:
                best[j], second[j] = like, best[j]
            elif like > second[j]:
                second[j] = like
    for row in range(len(first) - 1):
        top, next_ = -1.0, -1.0
        for edge in range(first[row], first[row + 1]):
            like = 1 - 2 * look[edge]
            if like > top:
                top, next_ = like, top
            elif like > next_:
                next_ = like
        for edge in range(first[row], first[row + 1]):
            j = column[edge]
            lead = min(max(top - next_, 0.0), 0.5) + min(max(best[j] - second[j], 0.0), 0.5)
            cost[edge] += (stage[at.S_WEIGHT] + lead / 2) * 2 * look[edge]


@compiled
def nearest_pairs(first: Index, column: Index, cost: Float64, columns: int, gate: float, step: float) -> Index:
    """Pairs that prefer each other, round after round, the gate falling (Shim et al., CVPR 2025, section 3.2)."""
    n = len(first) - 1
    chosen, taken = np.full(n, -1, np.int64), np.zeros(columns, np.bool_)
    while True:
        by_column = np.full(columns, -1, np.int64)
        by_row = np.full(n, -1, np.int64)
        for row in range(n):
            if chosen[row] >= 0:
                continue
            for edge in range(first[row], first[row + 1]):
                j = column[edge]
                if taken[j]:
                    continue
                if by_row[row] < 0 or cost[edge] < cost[by_row[row]]:
                    by_row[row] = edge
                if by_column[j] < 0 or cost[edge] < cost[by_column[j]]:
                    by_column[j] = edge
        new = False
        for row in range(n):
            edge = by_row[row]
            if edge >= 0 and by_column[column[edge]] == edge and cost[edge] < gate:
                chosen[row], taken[column[edge]], new = edge, True, True
        if not new:
            return chosen
        gate -= step


@compiled
def collect(
    where: Index, stage: Float64, rows: Index, boxes: Float64, score: Float64, class_id: Index, embedding: Float32,
    grid: Grid, now: float, recording: bool, record: Float64, recorded: int,
) -> tuple[Index, Index, Float64, Float64, Float64, int]:  # fmt: skip
    """All pairs within their gates.

    Returns:
        The edges of each row (`first`), of each edge the detection, the cost and the appearance; the record.
    """
    where, rows, boxes, score = borrowed(where), borrowed(rows), borrowed(boxes), borrowed(score)
    stage, class_id, embedding, grid = borrowed(stage), borrowed(class_id), borrowed(embedding), held(grid)
    table, looks, rules = mem.sheet(where, mem.TABLE), mem.looks_of(where), mem.line(where, mem.RULES)
    found, free, terms = mem.indices(where, mem.FOUND), mem.flags(where, mem.FREE), mem.line(where, mem.TERMS)
    first = np.empty(len(rows) + 1, np.int64)
    room, edges = 4 * len(rows) + 16, 0
    column, cost, look = np.empty(room, np.int64), np.empty(room), np.empty(room)
    for i in range(len(rows)):
        row = rows[i]
        first[i] = edges
        box = box_at(boxes, row)
        margin = candidate_margin(stage, box, grid.widest, grid.tallest, now - table[row, at.SEEN])
        around = box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin
        for k in range(touching(grid, around, found)):
            j = found[k]
            if not free[j]:
                continue
            if recording:
                terms[:] = np.nan
            verdict = judge(
                stage, rules, table[row], box, looks[row], box_at(grid.boxes, j), score[j], class_id[j], embedding[j],
                now, terms,
            )  # fmt: skip
            if recording:
                record = write(record, recorded, terms, stage, row, j, verdict)
                recorded += 1
            if verdict == at.OUTBID:
                if edges == room:
                    room *= 2
                    column, cost, look = grown(column, room), grown(cost, room), grown(look, room)
                column[edges], cost[edges], look[edges] = j, terms[at.E_COST], terms[at.E_LOOK]
                edges += 1
    first[len(rows)] = edges
    return first, column[:edges], cost[:edges], look, record, recorded


@compiled
def write(
    record: Float64, recorded: int, terms: Float64, stage: Float64, row: int, detection: int, verdict: int
) -> Float64:
    """Put down what was thought of a pair; the record grows as it must."""
    if recorded == len(record):
        longer = np.empty((2 * recorded + 64, at.E_WIDTH))
        longer[:recorded] = record
        record = longer
    record[recorded] = terms
    record[recorded, at.E_STAGE], record[recorded, at.E_GATE] = stage[at.S_NUMBER], stage[at.S_GATE]
    record[recorded, at.E_ROW], record[recorded, at.E_DETECTION], record[recorded, at.E_VERDICT] = (
        row,
        detection,
        verdict,
    )
    return record


@compiled
def pair_group(
    where: Index, stage: Float64, rows: Index, boxes: Float64, score: Float64, class_id: Index, embedding: Float32,
    grid: Grid, now: float, recording: bool, record: Float64, recorded: int,
) -> tuple[Float64, int]:  # fmt: skip
    """One stage on the tracks `rows`; fills memory's `matched` and `free`, returns the record and its length."""
    begin, columns = recorded, len(score)
    matched, free = mem.indices(where, mem.MATCHED), mem.flags(where, mem.FREE)
    first, column, cost, look, record, recorded = collect(
        where, stage, rows, boxes, score, class_id, embedding, grid, now, recording, record, recorded
    )
    if stage[at.S_MODE] == at.ADAPTIVE:
        adapt(stage, first, column, look, cost, columns)
        correct(record[begin:recorded], cost, stage[at.S_GATE])
        first, column, cost = within(first, column, cost, stage[at.S_GATE])
    if stage[at.S_STEP] > 0:
        chosen = nearest_pairs(first, column, cost, columns, stage[at.S_GATE], stage[at.S_STEP])
    else:
        for edge in range(len(cost)):
            cost[edge] -= stage[at.S_GATE]  # in place: it is the last use of them
        chosen = solve(first, column, cost, columns)
    for i in range(len(rows)):
        if chosen[i] >= 0:
            matched[rows[i]] = column[chosen[i]]
            free[column[chosen[i]]] = False
    for e in range(begin, recorded):
        if record[e, at.E_VERDICT] == at.OUTBID and matched[int(record[e, at.E_ROW])] == record[e, at.E_DETECTION]:
            record[e, at.E_VERDICT] = at.MATCHED
    return record, recorded


@compiled
def correct(record: Float64, cost: Float64, gate: float) -> None:
    """Put down what the pairs of a stage cost after all, where that is known only when all are."""
    edge = 0
    for pair in record:
        if pair[at.E_VERDICT] == at.OUTBID:
            pair[at.E_COST] = cost[edge]
            if cost[edge] > gate:
                pair[at.E_VERDICT] = at.BEYOND_GATE
            edge += 1


@compiled
def grown(array: Column, size: int) -> Column:
    """The array with room for more."""
    larger = np.empty(size, array.dtype)
    larger[: len(array)] = array
    return larger


@compiled
def within(first: Index, column: Index, cost: Float64, gate: float) -> tuple[Index, Index, Float64]:
    """Only the edges within the gate."""
    kept = np.empty(len(first), np.int64)
    count = 0
    for i in range(len(first) - 1):
        kept[i] = count
        for edge in range(first[i], first[i + 1]):
            if cost[edge] <= gate:
                column[count], cost[count] = column[edge], cost[edge]
                count += 1
    kept[len(first) - 1] = count
    return kept, column[:count], cost[:count]


@compiled
def associate(
    where: Index, score: Float64, class_id: Index, embedding: Float32, grid: Grid, now: float, recording: bool
) -> Float64:
    """Find the detection of every track, memory's `matched`, -1 for none; returns what was thought of pairs."""
    record, n, count = np.empty((0, at.E_WIDTH)), mem.tracks_in(where), len(score)
    recorded = len(record)  # no literal 0, for which numba would compile the stages a second time
    table, rules, stages = mem.sheet(where, mem.TABLE), mem.line(where, mem.RULES), mem.sheet(where, mem.STAGES)
    matched, expected = mem.indices(where, mem.MATCHED), mem.sheet(where, mem.EXPECTED)
    taken, free = mem.flags(where, mem.TAKEN), mem.flags(where, mem.FREE)
    matched[: n + count] = -1
    if n == 0 or count == 0:
        return record
    expect(table, int(rules[at.R_KIND]), expected[:n])
    taken[:count] = False
    for s in range(len(stages)):
        stage = stages[s]
        rows = rows_for(stage, table, n, matched, now, mem.indices(where, mem.ROWS))
        for j in range(count):
            in_band = stage[at.S_LOW] <= score[j] and (score[j] < stage[at.S_HIGH] or stage[at.S_HIGH] >= 1)
            free[j] = in_band and not taken[j]
        boxes = table[:n, at.BOX : at.BOX + 4].copy() if stage[at.S_AGAINST] > 0 else expected
        start = 0
        while start < len(rows):
            end = len(rows)
            if stage[at.S_BY_AGE] > 0:
                end = start + 1
                while end < len(rows) and table[rows[end], at.SEEN] == table[rows[start], at.SEEN]:
                    end += 1
            record, recorded = pair_group(
                where, stage, rows[start:end], boxes, score, class_id, embedding, grid, now, recording, record, recorded
            )
            start = end
        for row in rows:
            if matched[row] >= 0:
                taken[matched[row]] = True
    record = record[:recorded]
    for e in range(recorded):  # rows move when tracks die: serials do not
        record[e, at.E_ROW] = table[int(record[e, at.E_ROW]), at.SERIAL]
    return record


@compiled
def expect(table: Float64, kind: int, boxes: Float64) -> None:
    """Where the filters expect the first of the tracks, as many as there are `boxes`."""
    for row in range(len(boxes)):
        box = kalman.corners(kind, table[row, at.BELIEF : at.BELIEF + kalman.SIZE])
        boxes[row, 0], boxes[row, 1], boxes[row, 2], boxes[row, 3] = box


@compiled
def rows_for(stage: Float64, table: Float64, n: int, matched: Index, now: float, rows: Index) -> Index:
    """The tracks a stage is for that have no detection yet, in `rows`; with `by_age`, those seen last first."""
    chosen = 0
    wanted = int(stage[at.S_TRACKS])
    for row in range(n):
        age = now - table[row, at.SEEN]
        in_state = (wanted >> int(table[row, at.STATE])) & 1
        # Seen in the last frame is recent, however slow the camera.
        recent = age <= stage[at.S_SEEN_WITHIN] or table[row, at.STREAK] > 0
        if in_state and matched[row] < 0 and stage[at.S_GONE_FOR] <= age and recent:
            rows[chosen] = row
            chosen += 1
    rows = rows[:chosen]
    if stage[at.S_BY_AGE] > 0:
        seen = np.empty(chosen)
        for i in range(chosen):
            seen[i] = -table[rows[i], at.SEEN]
        rows = rows[np.argsort(seen, kind="mergesort")]
    return rows
