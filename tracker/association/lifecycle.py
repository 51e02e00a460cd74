"""What happens to the table of tracks in a frame, beside the pairing: predict, learn, bury, give birth. Compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tracker.association import costs
from tracker.association import layout as at
from tracker.association import memory as mem
from tracker.association import stream as st
from tracker.association.appearance import find_hidden, learn_look
from tracker.association.filtering import learn_motion, predict, steady
from tracker.association.grid import Grid, box_at, held, make_grid, touching
from tracker.association.pairing import associate, past_at
from tracker.association.reunion import is_known, reunite
from tracker.compiled import borrowed, compiled
from tracker.motion import kalman

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]


@compiled
def boosted(where: Index, grid: Grid, score: Float64) -> Float64:
    """Scores, raised where a track is expected (BoostTrack's DLO; MVA 2024, section 3.1)."""
    table, rules, found = mem.sheet(where, mem.TABLE), mem.line(where, mem.RULES), mem.indices(where, mem.FOUND)
    kind, score = int(rules[at.R_KIND]), score.copy()
    for row in range(mem.tracks_in(where)):
        if table[row, at.STATE] in (at.TENTATIVE, at.REMEMBERED):
            continue
        box = kalman.corners(kind, table[row, at.BELIEF : at.BELIEF + kalman.SIZE])
        for j in found[: touching(grid, box, found)]:
            score[j] = max(score[j], rules[at.R_BOOST] * costs.pair_iou(box, box_at(grid.boxes, j)))
    return score


@compiled
def remember(track: Float64, box: costs.Box, now: float, rules: Float64) -> None:
    """Add a matched box to a track's past, and renew its heading."""
    if rules[at.R_DIRECTIONS] > 0 and not math.isnan(track[at.PAST]):
        set_heading(track, box, now, rules)
    for column in range(at.WIDTH - 1, at.PAST + 4, -1):
        track[column] = track[column - 5]
    track[at.PAST] = now
    for i in range(4):
        track[at.PAST + 1 + i] = track[at.BOX + i] = box[i]


@compiled
def set_heading(track: Float64, box: costs.Box, now: float, rules: Float64) -> None:
    """Where the track is heading: of the centre, over `direction_steps`; of the corners, the mean over 1 to as many.

    Rules' directions: 1 the centre (OC-SORT), 2 the corners (Hybrid-SORT, TrackTrack: weighted by 1/steps).
    """
    nominal, steps = rules[at.R_NOMINAL], int(rules[at.R_DIRECTION_STEPS])
    h = at.HEADING
    if rules[at.R_DIRECTIONS] == 1:
        past = past_at(track, now, steps * nominal, nominal)
        dx = (box[0] + box[2] - track[past] - track[past + 2]) / 2
        dy = (box[1] + box[3] - track[past + 1] - track[past + 3]) / 2
        size = math.hypot(dx, dy) + 1e-6
        track[h], track[h + 1] = dx / size, dy / size
        return
    track[h : h + 8] = 0.0
    for step in range(1, steps + 1):
        past = past_at(track, now, step * nominal, nominal)
        for corner in range(4):
            x, y = 2 * (corner // 2), 1 + 2 * (corner % 2)
            dx, dy = box[x] - track[past + x], box[y] - track[past + y]
            size = (math.hypot(dx, dy) + 1e-5) * step * steps
            track[h + 2 * corner] += dx / size
            track[h + 2 * corner + 1] += dy / size


@compiled
def watch_gaps(where: Index, now: float) -> None:
    """Note which gaps lasted and which closed."""
    table, matched, xyxy = mem.sheet(where, mem.TABLE), mem.indices(where, mem.MATCHED), mem.sheet(where, mem.XYXY)
    kind, stream = int(mem.line(where, mem.RULES)[at.R_KIND]), mem.line(where, mem.STREAM)
    before = mem.line(where, mem.LEDGER)[at.L_NOW]
    for row in range(mem.tracks_in(where)):
        track = table[row]
        if track[at.STATE] == at.LOST:
            overlap = -1.0
            if matched[row] >= 0:
                expected = kalman.corners(kind, track[at.BELIEF : at.BELIEF + kalman.SIZE])
                overlap = costs.pair_iou(expected, box_at(xyxy, matched[row]))
            st.watch_gap(stream, int(track[at.GAP]), before - track[at.SEEN], now - before, overlap)


@compiled
def weigh_gaps(where: Index, xyxy: Float64, now: float) -> None:
    """Say of each lost track how likely it is still where it is expected."""
    table, stream = mem.sheet(where, mem.TABLE), mem.line(where, mem.STREAM)
    st.widen(stream, xyxy)
    kind, chances = int(mem.line(where, mem.RULES)[at.R_KIND]), st.chances_of_return(stream)
    for row in range(mem.tracks_in(where)):
        track = table[row]
        if track[at.STATE] == at.LOST:
            expected = kalman.corners(kind, track[at.BELIEF : at.BELIEF + kalman.SIZE])
            gap = st.gap_kind(stream, track[at.HITS], expected)
            track[at.GAP], track[at.CHANCE] = gap, chances[gap, st.gap_bin(now - track[at.SEEN])]


@compiled
def is_real(track: Float64, rules: Float64, stream: Float64) -> bool:
    """Whether a track that was just matched has shown that it is real."""
    if rules[at.R_BIRTH_CHANCE] < np.inf:
        proved = st.has_proved(track[at.HITS], track[at.SEEN] - track[at.BORN])
        chance = st.chance_of_being(stream, track[at.SCORES], track[at.HITS])
        return bool(proved or chance >= rules[at.R_BIRTH_CHANCE])
    return bool(track[at.HITS] >= rules[at.R_CONFIRM_HITS])


@compiled
def learn(where: Index, score: Float64, embedding: Float32, now: float) -> None:
    """Update matched tracks and all states."""
    table, rules, stream = mem.sheet(where, mem.TABLE), mem.line(where, mem.RULES), mem.line(where, mem.STREAM)
    looks, quality, hidden = mem.looks_of(where), mem.sheet(where, mem.QUALITY), mem.line(where, mem.HIDDEN)
    matched, xyxy, lag = mem.indices(where, mem.MATCHED), mem.sheet(where, mem.XYXY), mem.line(where, mem.LAG)
    before = mem.line(where, mem.LEDGER)[at.L_NOW]
    lag[:] = 0.0
    for row in range(mem.tracks_in(where)):
        track, j = table[row], matched[row]
        if j < 0:
            track[at.STREAK] = 0
            if track[at.STATE] == at.CONFIRMED:
                track[at.STATE] = at.LOST
            elif track[at.STATE] == at.TENTATIVE:
                st.note_beginning(stream, track[at.SCORES], track[at.HITS], False)
                track[at.HITS] = track[at.SCORES] = 0
            continue
        box, proved = box_at(xyxy, j), st.has_proved(track[at.HITS], track[at.SEEN] - track[at.BORN])
        learn_motion(track, box, score[j], now, before, rules, stream, lag)
        remember(track, box, now, rules)
        track[at.HITS] += 1
        track[at.STREAK] += 1
        track[at.SCORES] += score[j]
        track[at.SEEN] = now
        track[at.SCORE_BEFORE], track[at.SCORE] = track[at.SCORE], score[j]
        if rules[at.R_LOOKS] > 0:
            track[at.EVIDENCE] += learn_look(
                looks[row], quality[row], rules, embedding[j], score[j], hidden[j], track[at.EVIDENCE]
            )
        if not proved and st.has_proved(track[at.HITS], now - track[at.BORN]):
            st.note_beginning(stream, track[at.SCORES], track[at.HITS], True)
    if rules[at.R_ADAPT] > 0:
        st.tune_filter(stream, lag, rules[at.R_ADAPT])


@compiled
def confirm(where: Index) -> None:
    """Give ids to those that have been seen often enough."""
    ledger, table, rules = mem.line(where, mem.LEDGER), mem.sheet(where, mem.TABLE), mem.line(where, mem.RULES)
    stream, matched, waits = mem.line(where, mem.STREAM), mem.indices(where, mem.MATCHED), mem.flags(where, mem.WAITS)
    for row in range(mem.tracks_in(where)):
        track = table[row]
        if matched[row] < 0:
            continue
        if track[at.STATE] != at.TENTATIVE or (is_real(track, rules, stream) and not waits[row]):
            track[at.STATE] = at.CONFIRMED
            if track[at.ID] == 0:  # now, so that none is spent on a false start
                track[at.ID] = ledger[at.L_NEXT_ID]
                ledger[at.L_NEXT_ID] += 1


@compiled
def find_dead(where: Index, now: float) -> None:
    """Tentative tracks that missed, tracks too long out of sight, and lost doubles of seen ones.

    Who is known by his looks is remembered instead, and is nobody's double only because another stands there.
    """
    table, rules, stream = mem.sheet(where, mem.TABLE), mem.line(where, mem.RULES), mem.line(where, mem.STREAM)
    matched, dead, n = mem.indices(where, mem.MATCHED), mem.flags(where, mem.DEAD), mem.tracks_in(where)
    kind, before, lost = int(rules[at.R_KIND]), mem.line(where, mem.LEDGER)[at.L_NOW], False
    dead[:] = False
    for row in range(n):
        if matched[row] >= 0:
            continue
        age = now - table[row, at.SEEN]
        # Seen in the last frame: it has at least this one to come back in, however slow the camera.
        had_a_chance = table[row, at.SEEN] < before
        if table[row, at.STATE] == at.TENTATIVE:
            dead[row] = age > rules[at.R_KEEP] + 1e-6 if rules[at.R_KEEP] > 0 else True
        else:
            if had_a_chance and age > rules[at.R_LOST] + 1e-6:
                dead[row] = not is_known(table[row], rules) or age > rules[at.R_REMEMBERED] + 1e-6
                lived = table[row, at.SEEN] - table[row, at.BORN]
                if table[row, at.STATE] == at.LOST and not st.has_proved(table[row, at.HITS], lived):
                    st.note_beginning(stream, table[row, at.SCORES], table[row, at.HITS], False)
                table[row, at.STATE] = at.REMEMBERED
            lost = lost or table[row, at.STATE] == at.LOST
    if not lost or rules[at.R_DUPLICATE] >= 1:
        return
    seen = np.flatnonzero(matched[:n] >= 0)
    boxes = np.empty((len(seen), 4))
    for i in range(len(seen)):
        boxes[i] = kalman.corners(kind, table[seen[i], at.BELIEF : at.BELIEF + kalman.SIZE])
    grid, found = make_grid(boxes, n - len(seen)), mem.indices(where, mem.FOUND)
    for row in range(n):
        if matched[row] >= 0 or dead[row] or table[row, at.STATE] != at.LOST or is_known(table[row], rules):
            continue
        box = kalman.corners(kind, table[row, at.BELIEF : at.BELIEF + kalman.SIZE])
        for i in found[: touching(grid, box, found)]:
            if costs.pair_iou(box, box_at(boxes, i)) > rules[at.R_DUPLICATE]:
                dead[row] = True
                break


@compiled
def keep(where: Index) -> None:
    """Close the gaps that the dead leave."""
    table, looks, quality = mem.sheet(where, mem.TABLE), mem.looks_of(where), mem.sheet(where, mem.QUALITY)
    matched, dead, kept = mem.indices(where, mem.MATCHED), mem.flags(where, mem.DEAD), 0
    for row in range(mem.tracks_in(where)):
        if dead[row]:
            continue
        if kept < row:
            table[kept] = table[row]
            looks[kept] = looks[row]
            quality[kept] = quality[row]
            matched[kept] = matched[row]
        kept += 1
    mem.line(where, mem.LEDGER)[at.L_TRACKS] = kept


@compiled
def newborns(where: Index, grid: Grid, score: Float64) -> Index:
    """Rows of detections that nobody took and that begin a track; they follow the others in `matched`."""
    rules, matched = mem.line(where, mem.RULES), mem.indices(where, mem.MATCHED)
    n, count = mem.tracks_in(where), len(score)
    taken, free, any_free = mem.flags(where, mem.TAKEN), mem.flags(where, mem.FREE), False
    taken[:count] = False
    for row in range(n):
        if matched[row] >= 0:
            taken[matched[row]] = True
    for j in range(count):
        free[j] = score[j] >= rules[at.R_BIRTH_SCORE] and not taken[j]
        any_free |= free[j]
    if not any_free:
        return matched[n:n]
    if rules[at.R_BIRTH_OVERLAP] < 1:
        # The surest first; what overlaps a seen track, or a surer newborn, is the same object.
        found = mem.indices(where, mem.FOUND)
        for j in np.argsort(-score, kind="mergesort"):
            if not free[j]:
                continue
            box = box_at(grid.boxes, j)
            for other in found[: touching(grid, box, found)]:
                if taken[other] and costs.pair_iou(box, box_at(grid.boxes, other)) > rules[at.R_BIRTH_OVERLAP]:
                    free[j] = False
                    break
            taken[j] = free[j]
    born = 0
    for j in range(count):
        if free[j]:
            matched[n + born] = j
            born += 1
    return matched[n : n + born]


@compiled
def bear(where: Index, rows: Index, score: Float64, class_id: Index, embedding: Float32, now: float) -> None:
    """Begin a track on each of the detections `rows`."""
    ledger, table, rules = mem.line(where, mem.LEDGER), mem.sheet(where, mem.TABLE), mem.line(where, mem.RULES)
    looks, quality, hidden = mem.looks_of(where), mem.sheet(where, mem.QUALITY), mem.line(where, mem.HIDDEN)
    kind, xyxy, n = int(rules[at.R_KIND]), mem.sheet(where, mem.XYXY), mem.tracks_in(where)
    at_once = rules[at.R_AT_ONCE] > 0 and now == ledger[at.L_FIRST]
    for i in range(len(rows)):
        track, j = table[n + i], rows[i]
        track[:] = 0.0
        track[at.PAST :] = np.nan
        box = box_at(xyxy, j)
        belief = track[at.BELIEF : at.BELIEF + kalman.SIZE]
        z = kalman.measure(kind, box[0], box[1], box[2], box[3])
        kalman.initiate(kind, belief, z, rules[at.R_MEASUREMENT_NOISE], rules[at.R_START_VELOCITY])
        track[at.BELIEF_SEEN : at.BELIEF_SEEN + kalman.SIZE] = belief
        remember(track, box, now, rules)
        track[at.SERIAL], track[at.HITS], track[at.STREAK] = ledger[at.L_BORN] + i, 1, 1
        track[at.BORN] = track[at.SEEN] = now
        track[at.SCORE] = track[at.SCORE_BEFORE] = track[at.SCORES] = score[j]
        track[at.CLASS] = class_id[j]
        looks[n + i] = np.float32(0)
        quality[n + i] = -1.0
        quality[n + i, 0] = 0.0
        if rules[at.R_LOOKS] > 0:
            track[at.EVIDENCE] = learn_look(looks[n + i], quality[n + i], rules, embedding[j], score[j], hidden[j], 0.0)
        if at_once:
            track[at.STATE], track[at.ID] = at.CONFIRMED, ledger[at.L_NEXT_ID]
            ledger[at.L_NEXT_ID] += 1
    ledger[at.L_TRACKS] += len(rows)
    ledger[at.L_BORN] += len(rows)


@compiled
def report(where: Index, include_lost: bool) -> int:
    """Write the tracks to show to memory's `out`, by id; returns how many."""
    table, rules, out = mem.sheet(where, mem.TABLE), mem.line(where, mem.RULES), mem.sheet(where, mem.OUT)
    rows, matched = mem.indices(where, mem.ROWS), mem.indices(where, mem.MATCHED)
    xyxy, score, ledger = mem.sheet(where, mem.XYXY), mem.line(where, mem.SCORE), mem.line(where, mem.LEDGER)
    start, now = ledger[at.L_FIRST], ledger[at.L_NOW]
    m, kind = 0, int(rules[at.R_KIND])
    for row in range(mem.tracks_in(where)):
        if matched[row] >= 0:
            # Never missed since the first frame, or again for long enough.
            steady = table[row, at.BORN] == start and table[row, at.STREAK] == table[row, at.HITS]
            shown = steady or table[row, at.STREAK] >= rules[at.R_SHOWN_AFTER]
            shown = shown and table[row, at.STATE] == at.CONFIRMED
        else:
            shown = rules[at.R_SHOWN_LOST] > 0 and now - table[row, at.SEEN] <= rules[at.R_SHOWN_LOST] + 1e-6
            shown = shown or table[row, at.CHANCE] >= rules[at.R_SHOWN_CHANCE]
            shown = shown and table[row, at.STATE] == at.LOST
        if shown or (include_lost and table[row, at.STATE] in (at.CONFIRMED, at.LOST)):
            k = m
            while k > 0 and table[rows[k - 1], at.ID] > table[row, at.ID]:  # nearly in order already
                rows[k] = rows[k - 1]
                k -= 1
            rows[k] = row
            m += 1
    for i in range(m):
        row, j = rows[i], matched[rows[i]]
        seen = j >= 0
        if seen and rules[at.R_BOX_DETECTION] > 0:
            box = box_at(xyxy, j)
        else:
            box = kalman.corners(kind, table[row, at.BELIEF : at.BELIEF + kalman.SIZE])
        out[i, at.O_ID], out[i, at.O_CLASS], out[i, at.O_STATE] = (
            table[row, at.ID],
            table[row, at.CLASS],
            table[row, at.STATE],
        )
        out[i, at.O_BOX], out[i, at.O_BOX + 1], out[i, at.O_BOX + 2], out[i, at.O_BOX + 3] = box
        out[i, at.O_SCORE], out[i, at.O_DETECTION] = score[j] if seen else table[row, at.SCORE], j
    return m


@compiled
def fault_of(where: Index, xyxy: Float32, score: Float32, embedding: Float32, now: float) -> int:
    """Why a frame cannot be taken; `DONE` when it can."""
    for j in range(len(xyxy)):
        width, height = xyxy[j, 2] - xyxy[j, 0], xyxy[j, 3] - xyxy[j, 1]
        if not (width >= 0 and height >= 0 and 0 <= score[j] <= 1):
            return at.BAD_ROW
        if not (math.isfinite(width) and math.isfinite(height)):
            return at.BAD_ROW
        bad = False
        for i in range(embedding.shape[1]):
            bad |= embedding[j, i] - embedding[j, i] != 0  # NaN and infinities
        if bad:
            return at.BAD_ROW
    ledger, room, dimension = mem.line(where, mem.LEDGER), where[mem.TABLE, 1], where[mem.LOOKS, 3]
    if now <= ledger[at.L_NOW]:
        return at.BAD_TIME
    if int(ledger[at.L_TRACKS]) + len(xyxy) > room or (len(xyxy) and dimension < embedding.shape[1]):
        return at.NO_ROOM
    return at.DONE


@compiled
def step(
    where: Index, xyxy: Float32, score: Float32, class_id: Index, embedding: Float32, now: float, include_lost: bool,
    recording: bool,
) -> tuple[int, int, Float64 | None]:  # fmt: skip
    """One frame. The arrays of memory change in place; not when the frame is refused.

    Args:
        where: the addresses of `Memory`.
        now: seconds; NaN for a nominal step after the last frame.

    Returns:
        How it went, how many rows of memory's `out` are to be shown, and the record, if there is to be one.
    """
    where = borrowed(where)
    fault = fault_of(where, xyxy, score, embedding, now)
    if fault != at.DONE:
        return fault, 0, None
    count = len(xyxy)
    boxes, scores = mem.sheet(where, mem.XYXY)[:count], mem.line(where, mem.SCORE)
    for j in range(count):
        scores[j] = score[j]
        for i in range(4):
            boxes[j, i] = xyxy[j, i]
    grid = make_grid(boxes, mem.tracks_in(where))
    shown, record = advance(where, class_id, embedding, grid, now, include_lost, recording)
    return at.DONE, shown, record if recording else None


@compiled
def advance(
    where: Index, class_id: Index, embedding: Float32, grid: Grid, now: float, include_lost: bool, recording: bool
) -> tuple[int, Float64]:
    """A frame that can be taken; how many tracks to show, and the record."""
    where, class_id, embedding, grid = borrowed(where), borrowed(class_id), borrowed(embedding), held(grid)
    ledger, rules = mem.line(where, mem.LEDGER), mem.line(where, mem.RULES)
    score = mem.line(where, mem.SCORE)[: len(grid.boxes)]
    first = math.isnan(ledger[at.L_NOW])
    if math.isnan(now):
        now = 0.0 if first else ledger[at.L_NOW] + rules[at.R_NOMINAL]
    if first:
        ledger[at.L_FIRST] = ledger[at.L_NOW] = now
    hide(where, grid)
    if now > ledger[at.L_NOW]:
        predict(where, now)
        if rules[at.R_BY_BOXES] > 0:
            steady(where, grid)
    if rules[at.R_BOOST] > 0:
        score = boosted(where, grid, score)
    record = associate(where, score, class_id, embedding, grid, now, recording)
    if rules[at.R_SHOWN_CHANCE] < np.inf:
        watch_gaps(where, now)
    learn(where, score, embedding, now)
    rows = newborns(where, grid, score)
    find_dead(where, now)
    bear(where, rows, score, class_id, embedding, now)
    record = reunite(where, now, recording, record)
    confirm(where)
    keep(where)
    if rules[at.R_SHOWN_CHANCE] < np.inf:
        weigh_gaps(where, grid.boxes, now)
    ledger[at.L_NOW], ledger[at.L_MOVED] = now, 0.0
    return report(where, include_lost), record


@compiled
def hide(where: Index, grid: Grid) -> None:
    """Note how much of each detection others cover, for recipes that ask."""
    rules, hidden = mem.line(where, mem.RULES), mem.line(where, mem.HIDDEN)
    hidden[: len(grid.boxes)] = 0.0
    if rules[at.R_LOOKS] > 0 and (rules[at.R_LOOK_HIDDEN] < 1 or rules[at.R_SAMPLES] > 0):
        find_hidden(grid, mem.indices(where, mem.FOUND), hidden)
