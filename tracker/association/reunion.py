"""Who comes back: newcomers beside those who are out of sight, by looks alone. Compiled.

A newcomer is a track that has no id yet. In every frame all newcomers are compared with all who were lost before they
came and who are known well; the best assignment decides who is whom, and who is somebody goes on under his id. A pair
must be alike, the more so the less was seen of the newcomer, and no other pair may be nearly as good. Meanwhile the
newcomer waits for its id.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.association import layout as at
from tracker.association import memory as mem
from tracker.association.appearance import similarity
from tracker.association.assignment import solve
from tracker.association.pairing import grown, write
from tracker.compiled import compiled

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]


@compiled
def is_known(track: Float64, rules: Float64) -> bool:
    """Whether a track was seen so well that it can be found again by its looks."""
    return bool(rules[at.R_EVIDENCE] > 0 and track[at.EVIDENCE] >= rules[at.R_EVIDENCE])


@compiled
def reunite(where: Index, now: float, recording: bool, record: Float64) -> Float64:
    """Let newcomers go on as those who they are; they themselves end (`dead`).

    Says in `waits` which tracks wait for their id; returns the record with what was thought of the pairs.
    """
    table, looks, quality = mem.sheet(where, mem.TABLE), mem.looks_of(where), mem.sheet(where, mem.QUALITY)
    rules, matched, n = mem.line(where, mem.RULES), mem.indices(where, mem.MATCHED), mem.tracks_in(where)
    dead, waits = mem.flags(where, mem.DEAD), mem.flags(where, mem.WAITS)
    waits[:n] = False
    if rules[at.R_LOOKS] == 0 or rules[at.R_EVIDENCE] == 0:
        return record
    new = rows_of(table, n, at.TENTATIVE, at.TENTATIVE)
    new = new[matched[new] >= 0]
    gone = rows_of(table, n, at.LOST, at.REMEMBERED)
    gone = gone[~dead[gone]]
    if len(new) == 0 or len(gone) == 0:
        return record
    begin = len(record)
    first, column, cost, record = compare(table, looks, rules, matched, new, gone, waits, now, recording, record)
    chosen = solve(first, column, cost - rules[at.R_SAME], n)
    clear = are_clear(first, column, cost, chosen, n, rules[at.R_LEAD])
    for i in range(len(new)):
        if clear[i]:
            row = column[chosen[i]]
            matched[row], matched[new[i]], dead[new[i]] = matched[new[i]], -1, True
            go_on(table, looks, quality, rules, row, new[i])
    for e in range(begin, len(record)):
        row = int(record[e, at.E_ROW])
        if matched[row] == record[e, at.E_DETECTION]:
            record[e, at.E_VERDICT] = at.MATCHED
        record[e, at.E_ROW] = table[row, at.SERIAL]
    return record


@compiled
def compare(
    table: Float64, looks: Float32, rules: Float64, matched: Index, new: Index, gone: Index, waits: Flags, now: float,
    recording: bool, record: Float64,
) -> tuple[Index, Index, Float64, Float64]:  # fmt: skip
    """All pairs that are alike enough, as the edges of a graph, and the record; says in `waits` who waits."""
    first, column, cost = np.zeros(len(new) + 1, np.int64), np.empty(16, np.int64), np.empty(16)
    recorded, edges = len(record), 0
    terms, stage = np.full(at.E_WIDTH, np.nan), np.zeros(at.S_WIDTH)
    stage[at.S_NUMBER] = rules[at.R_STAGES]
    for i in range(len(new)):
        newcomer = table[new[i]]
        sure = min(newcomer[at.EVIDENCE] / rules[at.R_EVIDENCE], 1.0)
        gate = rules[at.R_SAME] * (rules[at.R_AT_FIRST] + (1 - rules[at.R_AT_FIRST]) * sure)
        for row in gone:
            if not could_be(table[row], newcomer, rules):
                continue
            waits[new[i]] = True
            unlike = 1.0 - similarity(looks[row], False, looks[new[i], 0])
            if recording:
                terms[at.E_COST], terms[at.E_LOOK], stage[at.S_GATE] = unlike, unlike / 2, gate
                verdict = at.OUTBID if unlike <= gate else at.UNLIKE
                record = write(record, recorded, terms, stage, row, matched[new[i]], verdict)
                recorded += 1
            if unlike <= gate:
                if edges == len(cost):
                    column, cost = grown(column, 2 * edges), grown(cost, 2 * edges)
                column[edges], cost[edges] = row, unlike
                edges += 1
        first[i + 1] = edges
        stranger = sure >= 1 and first[i + 1] == first[i]
        if stranger or now - newcomer[at.BORN] > rules[at.R_WAIT] - 1e-6:
            waits[new[i]] = False
    return first, column[:edges], cost[:edges], record[:recorded]


@compiled
def rows_of(table: Float64, n: int, one: int, other: int) -> Index:
    """Tracks in one state or the other."""
    rows, count = np.empty(n, np.int64), 0
    for row in range(n):
        if table[row, at.STATE] == one or table[row, at.STATE] == other:
            rows[count] = row
            count += 1
    return rows[:count]


@compiled
def could_be(lost: Float64, newcomer: Float64, rules: Float64) -> bool:
    """Whether nothing but looks can speak against a newcomer being somebody who was lost."""
    if rules[at.R_CLASS_AGNOSTIC] == 0 and lost[at.CLASS] != newcomer[at.CLASS]:
        return False
    return bool(is_known(lost, rules) and lost[at.SEEN] < newcomer[at.BORN])  # nobody is in two places at once


@compiled
def are_clear(first: Index, column: Index, cost: Float64, chosen: Index, columns: int, lead: float) -> Flags:
    """Which rows' pairs are better by `lead` than every other of their row and of their column."""
    rows = len(chosen)
    best, second = np.full(columns, np.inf), np.full(columns, np.inf)
    for edge in range(first[rows]):
        j = column[edge]
        if cost[edge] < best[j]:
            best[j], second[j] = cost[edge], best[j]
        elif cost[edge] < second[j]:
            second[j] = cost[edge]
    clear = np.zeros(rows, np.bool_)
    for i in range(rows):
        if chosen[i] < 0:
            continue
        mine = cost[chosen[i]]
        rival = second[column[chosen[i]]] if mine == best[column[chosen[i]]] else -np.inf
        for edge in range(first[i], first[i + 1]):
            if edge != chosen[i]:
                rival = min(rival, cost[edge])
        clear[i] = rival >= mine + lead
    return clear


@compiled
def go_on(table: Float64, looks: Float32, quality: Float64, rules: Float64, row: int, newcomer: int) -> None:
    """The lost track `row` goes on where the newcomer is, and learns how it looks now."""
    lost = table[row].copy()
    table[row] = table[newcomer]
    for column in (at.SERIAL, at.ID, at.BORN):
        table[row, column] = lost[column]
    for column in (at.HITS, at.SCORES, at.EVIDENCE):
        table[row, column] += lost[column]
    table[row, at.STATE] = at.CONFIRMED
    mean, kept, total = looks[row, 0], rules[at.R_MOMENTUM] ** table[newcomer, at.EVIDENCE], 0.0
    for i in range(len(mean)):
        mean[i] = kept * mean[i] + (1 - kept) * looks[newcomer, 0, i]
        total += mean[i] ** 2
    if total > 0:
        mean /= np.float32(np.sqrt(total))
    budget = looks.shape[1] - 1
    for k in range(1, budget + 1):
        if quality[newcomer, k] >= 0:
            slot = 1 + int(quality[row, 0]) % budget
            looks[row, slot], quality[row, slot] = looks[newcomer, k], quality[newcomer, k]
            quality[row, 0] += 1
