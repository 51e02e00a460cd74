"""Which pairs of tracks and detections exist in a stage, and what they cost. Compiled."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracker.association import overlap as ov
from tracker.association import records as rc
from tracker.association.appearance import is_set, similarity
from tracker.association.buffers import Buffers
from tracker.association.grid import Grid, box_at, touching
from tracker.compiled import Record, compiled, kernel
from tracker.compiled_arrays import grown, integers, longer, numbers
from tracker.motion import kalman

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.int64]


class Edges(NamedTuple):
    """The pairs of a stage that exist: those of row `i` are `first[i]` up to but without `first[i + 1]`."""

    first: Index  # (R + 1,)
    detection: Index  # (E,)
    cost: Float64  # (E,)
    embedding: Float64  # (E,) half cosine distance, where it was measured


@kernel
def box_of(track: Record) -> ov.Box:
    """The last box that was seen of a track."""
    return track.box[0], track.box[1], track.box[2], track.box[3]


@kernel
def past_match(track: Record, now: float, ago: float, nominal: float) -> int:
    """Which of a track's past matches was `ago` seconds before now, or as soon after as there is one; -1 without any.

    Where all are older, the newest.
    """
    found = -1
    for k in range(rc.HISTORY):
        if math.isnan(track.history_time[k]):
            break
        if found < 0 or now - track.history_time[k] <= ago + nominal / 2:
            found = k
    return found


@kernel
def no_direction(track: Record, stage: Record, found: ov.Box, now: float, rules: Record) -> float:
    """For recipes in which no stage asks for directions."""
    return 0.0


@kernel
def direction(track: Record, stage: Record, found: ov.Box, now: float, rules: Record) -> float:
    """Angle between where a track was heading and where the detection lies from its past, 0–1.

    The past is the match `direction_steps` nominal frames ago, or the nearest to it since (observation-centric
    momentum; Cao et al., CVPR 2023, section 4.2); by corners as in Hybrid-SORT (Yang et al., AAAI 2024, section 3.3).
    """
    past = past_match(track, now, rules.motion.direction_steps * rules.nominal, rules.nominal)
    if past < 0:
        return 0.5
    box, heading = track.history_box[past], track.heading
    x1, y1, x2, y2 = box[0], box[1], box[2], box[3]
    if stage.direction_of == 0:
        dx, dy = (found[0] + found[2] - x1 - x2) / 2, (found[1] + found[3] - y1 - y2) / 2
        return ov.angle_between(heading[0, 0], heading[0, 1], dx, dy)
    total = ov.angle_between(heading[0, 0], heading[0, 1], found[0] - x1, found[1] - y1)
    total += ov.angle_between(heading[1, 0], heading[1, 1], found[0] - x1, found[3] - y2)
    total += ov.angle_between(heading[2, 0], heading[2, 1], found[2] - x2, found[1] - y1)
    return (total + ov.angle_between(heading[3, 0], heading[3, 1], found[2] - x2, found[3] - y2)) / 4


@kernel
def refused_by_place(stage: Record, pair: Record, box: ov.Box, found: ov.Box, unseen: float) -> int:
    """The verdict on a pair by where and how large its boxes are; `UNASSIGNED` where nothing speaks against it.

    Args:
        unseen: seconds since the track was seen.
    """
    if pair.iou < stage.min_iou and not stage.own_gates:
        return rc.LITTLE_OVERLAP
    if stage.size_ratio > 0 and ov.height_ratio(box, found) < stage.size_ratio:
        return rc.OTHER_SIZE
    if stage.max_speed < np.inf:
        away = ov.distance_in_heights(box, found)
        pair.centre_distance = away
        if away > stage.max_offset + stage.max_speed * unseen:
            return rc.OUT_OF_REACH
    return rc.UNASSIGNED


@kernel
def measure_mahalanobis(rules: Record, stage: Record, pair: Record, track: Record, found: ov.Box) -> bool:
    """Add the distance by motion to a pair; whether it is within the stage's gate."""
    if stage.mahalanobis_gate < np.inf or stage.mahalanobis > 0:
        kind = rules.motion.state
        z = kalman.measure(kind, found)
        squared = kalman.squared_mahalanobis(kind, track.state, z, rules.motion.measurement_noise)
        pair.mahalanobis = squared
        if squared > stage.mahalanobis_gate:
            return False
        pair.motion += stage.mahalanobis * min(squared / 13.2767, 1.0)  # chi-square, 4 degrees of freedom, 99 %
    return True


@kernel
def measure_embedding(stage: Record, pair: Record, gallery: Float32, embedding: Float32) -> bool:
    """Add the distance of the embeddings to a pair; whether it is one that may exist."""
    if stage.falls_back and not (is_set(gallery[0]) and is_set(embedding)):
        return True  # who has no embedding yet, or none in this frame, is judged by motion
    pair.embedding = (1.0 - similarity(gallery, stage.embedding_of == 1, embedding)) / 2
    return bool(stage.own_gates or not pair.embedding > stage.max_embedding_distance)


@kernel
def add_terms(stage: Record, pair: Record, track: Record, box: ov.Box, found: ov.Box, score: float) -> float:
    """What direction, score and shape add to the cost."""
    cost = stage.direction * pair.direction if stage.direction > 0 else 0.0
    if stage.score_change > 0:
        off = abs(2 * track.score - track.score_before - score)
        pair.score_change = off
        cost += stage.score_change * off
    if stage.shape > 0:
        cost += stage.shape * ov.shape_difference(box, found)
    return float(cost + (stage.low_penalty if score < stage.low_below else 0.0))


@kernel
def pair_cost(buffers: Buffers, stage: Record, row: int, j: int, embedding: Float32, parts: Any) -> int:
    """The verdict on a track and a detection; what was measured, and the cost, go to the first of `pairs`."""
    rules, track, detection, pair = buffers.rules[0], buffers.tracks[row], buffers.detections[j], buffers.pairs[0]
    now, score, pair.cost, pair.embedding = buffers.counters[0].now, detection.score, np.inf, np.nan
    if not rules.class_agnostic and track.class_id != detection.class_id:
        return rc.OTHER_CLASS
    box = box_of(track) if stage.track_box == 1 else box_at(buffers.expected, row)
    found, kind = box_at(buffers.xyxy, j), stage.overlap
    pair.iou = ov.pair_iou(box, found)
    overlap = pair.iou if kind == ov.IOU else ov.overlap_of(kind, box, found, stage.buffer)
    pair.motion = 1.0 - (overlap * score if stage.times_score else overlap)
    verdict = refused_by_place(stage, pair, box, found, now - track.seen)
    if verdict != rc.UNASSIGNED:
        return verdict
    if not measure_mahalanobis(rules, stage, pair, track, found):
        return rc.IMPROBABLE
    if stage.compares and not measure_embedding(stage, pair, buffers.gallery[row], embedding[j]):
        return rc.UNLIKE
    if stage.asks_python:
        pair.given = buffers.given[stage.function_number, row, j]
    if stage.direction > 0:
        pair.direction = parts.direction(track, stage, found, now, rules) * score
    pair.cost = parts.cost(stage, pair, box, found) + add_terms(stage, pair, track, box, found, score)
    return rc.UNASSIGNED if pair.cost <= stage.gate or stage.weighs_later else rc.BEYOND_GATE


@kernel
def candidate_margin(stage: Record, box: ov.Box, grid: Grid, unseen: float, parts: Any) -> float:
    """Pixels on every side of a track's box beyond which no pair of this stage can exist; infinite where any can."""
    if stage.max_speed < np.inf:
        allowed = stage.max_offset + stage.max_speed * unseen
        return float(allowed * (box[3] - box[1] + grid.tallest) / 2 + grid.widest)
    if stage.min_iou > 0 and not stage.own_gates:
        return 0.0
    return float(parts.margin(stage, box, grid.widest, grid.tallest))


@compiled
def collect(buffers: Buffers, stage: Record, rows: Index, embedding: Float32, grid: Grid, parts: Any) -> Edges:
    """All pairs of the tracks `rows` and of free detections within their gates."""
    n, room, count = len(rows), 4 * len(rows) + 16, 0
    whole, real = integers(n + 1 + room, 0), numbers(2 * room, 0.0)  # to make an array costs as much as to fill it
    first, detection, cost, distance = whole[: n + 1], whole[n + 1 :], real[:room], real[room:]
    pair, now, found = buffers.pairs[0], buffers.counters[0].now, buffers.found
    for i in range(n):
        row, first[i] = rows[i], count
        track = buffers.tracks[row]
        box = box_of(track) if stage.track_box == 1 else box_at(buffers.expected, row)
        margin = candidate_margin(stage, box, grid, now - track.seen, parts)
        for k in range(touching(grid, (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin), found)):
            j = found[k]
            if not buffers.detections[j].free:
                continue
            verdict = pair_cost(buffers, stage, row, j, embedding, parts)
            if verdict == rc.UNASSIGNED:
                if count == room:
                    room *= 2
                    detection, cost, distance = grown(detection, room), longer(cost, room), longer(distance, room)
                detection[count], cost[count], distance[count] = j, pair.cost, pair.embedding
                count += 1
            write_down(buffers, stage, row, j, verdict)
    first[n] = count
    return Edges(first, detection[:count], cost[:count], distance[:count])


@kernel
def write_down(buffers: Buffers, stage: Record, row: int, j: int, verdict: int) -> None:
    """Keep what was thought of a pair, for explanations; only counted where there is no room."""
    pairs, counters = buffers.pairs, buffers.counters[0]
    if len(pairs) == 1:
        return
    pair = pairs[0]
    counters.pairs += 1
    pair.stage, pair.gate, pair.track, pair.detection, pair.verdict = stage.number, stage.gate, row, j, verdict
    if counters.pairs < len(pairs):
        pairs[counters.pairs] = pair
    forget_terms(pair)


@kernel
def forget_terms(pair: Record) -> None:
    """Nothing is measured of the next pair yet."""
    pair.iou = pair.motion = pair.embedding = pair.direction = np.nan
    pair.score_change = pair.mahalanobis = pair.centre_distance = pair.given = np.nan
    pair.likeness = pair.place = np.nan
