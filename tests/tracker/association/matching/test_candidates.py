"""Which pairs exist and what they cost, beside the same said naively in float64."""

import math
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tracker import Detections, load_tracker
from tracker.association import overlap as ov
from tracker.association import records as rc
from tracker.association.buffers import make_buffers
from tracker.association.compile import compile_rules, compile_stage
from tracker.association.grid import make_grid
from tracker.association.matching import candidates, costs
from tracker.association.matching import stages as matching
from tracker.association.matching.candidates import Edges
from tracker.association.recipe import Recipe
from tracker.compiled import compiled, kernel
from tracker.config import config_names, load_recipe
from tracker.motion import kalman

D = 8
MANY = 10_000


def stage_of(**fields):
    stage = {"tracks": ["confirmed", "lost"], "gate": 10.0} | fields
    return Recipe.model_validate({"stages": [stage]}).stages[0]


def rules_of(stage=None, **fields):
    return compile_rules(Recipe.model_validate({"stages": [stage or stage_of()]} | fields))


EVERY = tuple(range(len(costs.COSTS)))


class Few(NamedTuple):
    """The functions that a pair's cost needs."""

    cost: Any
    margin: Any
    direction: Any


FEW = Few(costs.choose_cost(EVERY), costs.choose_margin(EVERY), candidates.direction)


@kernel
def pair_cost(buffers, s, row, j, embedding):
    return candidates.pair_cost(buffers, buffers.stages[s], row, j, embedding, FEW)


@compiled
def collect(buffers, s, rows, embedding, grid):
    return candidates.collect(buffers, buffers.stages[s], rows, embedding, grid, FEW)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def four(box):
    return tuple(map(float, box))


def naive_iou(a, b):
    both = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


# One pair.


def naive_cost(stage, motion, overlap, look):
    """Cost of motion and embeddings together; infinite where embeddings forbid the pair."""
    if not stage.needs_embedding:
        return motion
    too_unlike = stage.max_embedding_distance is not None and look > stage.max_embedding_distance
    if stage.cost == "min_iou_embedding":  # BoT-SORT, section 3.3: they count only for who is near and alike enough
        trusted = not too_unlike and overlap >= (stage.min_iou or 0)
        return min(motion, look if trusted else np.inf)
    if too_unlike:
        return np.inf
    if stage.cost == "fused":
        return (1 - stage.weight) * motion + stage.weight * look
    return look if stage.cost == "embedding" else motion  # adaptive adds embeddings when all pairs are known


shares = st.floats(0, 1)
maybe = st.one_of(st.none(), shares)
OVERLAPS = list(get_args(costs.OverlapName))


@st.composite
def stages_of_any_kind(draw):
    """With every setting that its cost uses."""
    cost = draw(st.sampled_from(["iou", "iou_times_score", "embedding", "fused", "min_iou_embedding", "adaptive"]))
    fields = {"cost": cost, "gate": draw(st.floats(0, 2))}
    for name in ("min_iou", "max_embedding_distance", "size_ratio"):
        fields[name] = draw(maybe)
    for name in ("score_change", "shape", "mahalanobis", "low_below"):
        fields[name] = draw(shares)
    if fields["low_below"]:
        fields["low_penalty"] = draw(shares)
    fields["mahalanobis_gate"] = draw(st.one_of(st.none(), st.floats(0.1, 50)))
    fields["max_speed"] = draw(st.one_of(st.none(), st.floats(0.1, 3)))
    if fields["max_speed"]:
        fields["max_offset"] = draw(shares)
    known = costs.COSTS[costs.NAMES.index(cost)].settings.model_fields
    for name, values in (("overlap", st.sampled_from(OVERLAPS)), ("weight", shares), ("times_score", st.booleans())):
        if name in known:
            fields[name] = draw(values)
    return stage_of(**fields)


@pytest.mark.parametrize(
    ("overlap", "look", "expected"), [(0.6, 0.1, 0.1), (0.6, 0.3, 0.4), (0.4, 0.1, 0.6), (0.9, 0.2, 0.1)]
)
def test_the_smaller_of_overlap_and_embedding_where_both_gates_hold(overlap, look, expected):
    """BoT-SORT, equations 12 and 13, with its thresholds of 0.5 and 0.25."""
    (stage,) = compile_stage(stage_of(cost="min_iou_embedding", min_iou=0.5, max_embedding_distance=0.25))
    (pair,) = np.zeros(1, rc.PAIR)
    pair["motion"], pair["iou"], pair["embedding"] = 1 - overlap, overlap, look
    box = (0.0, 0.0, 1.0, 1.0)
    assert costs.smaller(stage, pair, box, box) == pytest.approx(expected)


NOISE = 1 / 20
AGE, SCORES = 0.4, (0.5, 0.7)  # of the track: seconds unseen, its scores before and at its last match


def track_at(box, track=None):
    """Just born there, but for what a pair's cost depends on."""
    track = np.zeros(1, rc.TRACK)[0] if track is None else track
    track["history_time"] = np.nan
    z = kalman.measure(kalman.XYWH, four(box))
    kalman.initiate(kalman.XYWH, track["state"], z, NOISE, 1 / 160)
    track["seen"], (track["score_before"], track["score"]), track["box"] = -AGE, SCORES, box
    return track


def scene(stages_, rules, boxes, found, gallery):
    """The arrays of an engine with tracks at `boxes` and detections at `found`."""
    buffers = make_buffers(len(boxes) + len(found), gallery.shape[1], D, rules, np.concatenate(stages_), 0)
    for track, box in zip(buffers.tracks, boxes, strict=False):
        track_at(box, track)
    buffers.expected[: len(boxes)], buffers.xyxy[: len(found)] = boxes, found
    buffers.gallery[: len(boxes)], buffers.detections["free"] = gallery, True
    buffers.counters["tracks"], buffers.counters["detections"] = len(boxes), len(found)
    return buffers


def naive_judge(stage, box, found, score, look):
    """The cost of a pair, infinite where it does not exist."""
    (x, y, w, h), (u, v, s, t) = (np.r_[b[:2] + b[2:], 2 * (b[2:] - b[:2])] / 2 for b in (box, found))
    overlap = naive_iou(box, found)
    weight = score if stage.cost == "iou_times_score" or getattr(stage, "times_score", False) else 1
    name = getattr(stage, "overlap", "iou")
    chosen = ov.overlap_of(OVERLAPS.index(name), four(box), four(found), getattr(stage, "buffer", 0.3))
    motion = 1 - chosen * weight
    if stage.cost != "min_iou_embedding" and stage.min_iou is not None and overlap < stage.min_iou:
        return np.inf
    if stage.size_ratio is not None and min(h, t) / max(h, t) < stage.size_ratio:
        return np.inf
    away = math.hypot(x - u, y - v) / ((h + t) / 2)
    if stage.max_speed is not None and away > stage.max_offset + stage.max_speed * AGE:
        return np.inf
    # A newborn's position is unsure by twice the noise of a measurement: 5 variances together.
    squared = ((x - u) / w) ** 2 + ((y - v) / h) ** 2 + ((w - s) / w) ** 2 + ((h - t) / h) ** 2
    squared /= 5 * NOISE**2
    if stage.mahalanobis_gate is not None and squared > stage.mahalanobis_gate:
        return np.inf
    motion += stage.mahalanobis * min(squared / 13.2767, 1)
    cost = naive_cost(stage, motion, overlap, look)
    cost += stage.score_change * abs(SCORES[1] + (SCORES[1] - SCORES[0]) - score)
    cost += stage.shape * (1 - math.exp(-abs(w - s) / max(w, s) - abs(h - t) / max(h, t)))
    cost += stage.low_penalty * (score < stage.low_below)
    return cost if cost <= stage.gate or stage.cost == "adaptive" else np.inf


@given(stages_of_any_kind(), st.integers(0, 2**32 - 1), shares)
def test_the_cost_of_a_pair(stage, seed, score):
    random = np.random.default_rng(seed)
    corner, size = random.uniform(0, 500, 2), random.uniform(20, 80, 2)
    box, found = (
        np.r_[corner, corner + size],
        np.r_[corner, corner + size] + random.normal(0, 0.1, 4) * np.tile(size, 2),
    )
    memory, seen = unit(random.normal(size=(2, D))).astype(np.float32)
    rules = rules_of(stage, motion={"state": "xywh", "position_noise": NOISE})
    buffers = scene([compile_stage(stage)], rules, box[None], found[None], memory[None, None])
    buffers.detections["score"] = score
    verdict = pair_cost(buffers, 0, 0, 0, seen[None])
    look = (1 - float(memory.astype(np.float64) @ seen)) / 2
    expected = naive_judge(stage, box, found, score, look)
    assert (verdict == rc.UNASSIGNED) == (expected < np.inf)
    if verdict == rc.UNASSIGNED:
        assert buffers.pairs["cost"][0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("agnostic", "class_id", "verdict"), [(False, 1, rc.OTHER_CLASS), (True, 1, rc.UNASSIGNED)])
def test_another_class(agnostic, class_id, verdict):
    box, stage, nobody = np.array([[0.0, 0.0, 40.0, 100.0]]), stage_of(), np.zeros((1, 1, D), np.float32)
    rules = rules_of(stage, class_agnostic=agnostic, motion={"state": "xywh"})
    buffers = scene([compile_stage(stage)], rules, box, box, nobody)
    buffers.detections["class_id"], buffers.detections["score"] = class_id, 0.9
    assert pair_cost(buffers, 0, 0, 0, nobody[0]) == verdict


@pytest.mark.parametrize("blind", ["track", "detection"])
def test_fused_is_motion_alone_where_one_has_no_embedding(blind):
    box, found = np.array([[0.0, 0.0, 40.0, 100.0]]), np.array([[0.0, 0.0, 40.0, 80.0]])
    stage = stage_of(cost="fused", weight=0.7, max_embedding_distance=0.1)
    memory, seen = np.eye(1, D, dtype=np.float32)[None], np.eye(D, dtype=np.float32)[1:2]
    (memory if blind == "track" else seen)[:] = 0
    buffers = scene([compile_stage(stage)], rules_of(stage, motion={"state": "xywh"}), box, found, memory)
    buffers.detections["score"] = 0.9
    assert pair_cost(buffers, 0, 0, 0, seen) == rc.UNASSIGNED
    assert buffers.pairs["cost"][0] == pytest.approx(0.2)


# Directions.


def past_of(history, frame, steps):
    """The box matched `steps` frames ago, or as soon after as there is one; the newest where all are older."""
    since = [box for when, box in history if frame - when <= steps]
    return since[0] if since else history[-1][1]


def angle(a, b):
    """0–1; a half where either is nil."""
    if not (np.any(a) and np.any(b)):
        return 0.5
    return math.acos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)) / math.pi


def centre(box):
    return (box[:2] + box[2:]) / 2


def walk(seed, frames=60):
    """``(frame, box)``: someone who turns all the time, and is missed now and then; never longer than half a second."""
    random = np.random.default_rng(seed)
    heading, place = 0.0, np.array([500.0, 500.0])
    for frame in range(frames):
        heading += random.normal(0, 0.7)
        place = place + 6 * np.array([math.cos(heading), math.sin(heading)])
        if frame < 3 or random.random() > 0.3:
            yield (
                frame,
                np.float32(np.r_[place, place + np.array([60, 150])] + random.normal(0, 1, 4)).astype(np.float64),
            )


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_direction_is_the_angle_between_heading_and_displacement(steps):
    """OC-SORT's momentum (Cao et al., CVPR 2023, section 4.2) along a walk, by what the engine wrote down."""
    engine = load_tracker("ocsort", overrides=[f"motion.direction_steps={steps}"], record=True)
    engine.update(Detections.empty(), timestamp=-1 / 30)
    history, expected, at_frame = [], {}, {}
    for count, (frame, box) in enumerate(walk(steps), 1):
        engine.update(Detections([box], [0.9]), timestamp=frame / 30)
        if history:
            heading = np.zeros(2)
            if len(history) > 1:
                (last, seen), before = history[-1], history[:-1]
                heading = centre(seen) - centre(past_of(before, last, steps))
            expected[count] = 0.9 * angle(heading, centre(box) - centre(past_of(history, frame, steps)))
        history.append((frame, box))
    table = engine.take_record().to_pylist()
    at_frame = {row["frame"]: row["term_direction"] for row in table if row["stage"].startswith("1:")}
    assert len(at_frame) > 30
    for count, value in at_frame.items():
        assert value == pytest.approx(expected[count], abs=2e-3), count


def test_direction_of_corners_is_their_mean():
    """Hybrid-SORT's (Yang et al., AAAI 2024): each corner from where it was three frames ago."""
    random = np.random.default_rng(0)
    stage = stage_of(direction=0.1, direction_of="corners")
    (rules,), (record,) = rules_of(stage), compile_stage(stage)
    for _ in range(20):
        history = [(frame, random.uniform(0, 40, 4)) for frame in sorted(random.choice(10, 5, replace=False))]
        found, headings = random.uniform(0, 40, 4), unit(random.normal(size=(4, 2)))
        (track,) = np.zeros(1, rc.TRACK)
        track["history_time"] = np.nan
        for k, (frame, box) in enumerate(reversed(history)):
            track["history_time"][k], track["history_box"][k] = frame / 30, box
        track["heading"] = headings
        moved = found - past_of(history, 10, 3)
        expected = np.mean([angle(headings[2 * i + j], moved[[2 * i, 1 + 2 * j]]) for i in (0, 1) for j in (0, 1)])
        assert candidates.direction(track, record, four(found), 10 / 30, rules) == pytest.approx(expected, abs=1e-6)


def test_without_a_past_no_direction_is_better():
    (track,), (rules,), (stage,) = np.zeros(1, rc.TRACK), rules_of(), compile_stage(stage_of())
    track["history_time"] = np.nan
    assert candidates.direction(track, stage, (0.0, 0.0, 1.0, 1.0), 1.0, rules) == 0.5


# All pairs of a frame.


def edges_of(exists):
    """The pairs that exist, as `collect` hands them on: where those of each row begin, and their columns."""
    rows, columns = np.nonzero(exists)
    return np.searchsorted(rows, np.arange(len(exists) + 1)), columns.astype(np.int64)


def lead(values):
    """By how much the best of these similarities is ahead of the second, at most 0.5."""
    best, second = sorted([*values, -1, -1], reverse=True)[:2]
    return min(best - second, 0.5)


graphs = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: st.tuples(
        arrays(np.bool_, shape), arrays(np.float64, shape, elements=shares), arrays(np.float64, shape, elements=shares)
    )
)


@given(graphs, shares)
def test_adaptive_weights_grow_with_the_lead_of_the_best(graph, weight):
    """Deep OC-SORT, section 3.3: w + (lead in the row + lead in the column) / 2, times the cosine distance."""
    exists, look, cost = graph
    first, column = edges_of(exists)
    adapted = cost[exists]
    (stage,) = compile_stage(stage_of(cost="adaptive", weight=weight))
    matching.adapt(stage, Edges(first, column, adapted, look[exists]), look.shape[1])
    like = 1 - 2 * look
    expected = [
        cost[i, j] + (weight + (lead(like[i, exists[i]]) + lead(like[exists[:, j], j])) / 2) * (1 - like[i, j])
        for i, j in np.argwhere(exists)
    ]
    np.testing.assert_allclose(adapted, expected, atol=1e-12)


@given(graphs, shares)
def test_within_keeps_what_the_gate_lets_through(graph, gate):
    exists, _, cost = graph
    first, column = edges_of(exists)
    kept = matching.within(Edges(first.copy(), column.copy(), cost[exists], cost[exists]), gate)
    inside = exists & (cost <= gate)
    for ours, naive in zip(kept[:3], (*edges_of(inside), cost[inside]), strict=True):
        np.testing.assert_array_equal(ours, naive)


def naive_rounds(cost, gate, step):
    """TrackTrack's assignment, on a matrix: whoever prefer each other go, then the gate falls."""
    cost, pairs = cost.copy(), set()
    while True:
        new = {
            (i, j)
            for i, j in np.argwhere(cost < gate).tolist()
            if cost[i, j] == cost[i].min() and cost[i, j] == cost[:, j].min()
        }
        if not new:
            return pairs
        for i, j in new:
            cost[i], cost[:, j] = np.inf, np.inf
        pairs |= new
        gate -= step


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 8), st.sampled_from([0.05, 0.2]))
def test_rounds_pair_those_that_prefer_each_other(seed, n, m, step):
    random = np.random.default_rng(seed)
    exists, cost = random.random((n, m)) < 0.7, random.random((n, m))
    first, column = edges_of(exists)
    (stage,) = compile_stage(stage_of(gate=0.8, mutual_step=step))
    chosen = matching.assign_mutually(stage, Edges(first, column, cost[exists], cost[exists]), m)
    pairs = {(i, int(column[edge])) for i, edge in enumerate(chosen) if edge >= 0}
    assert all(first[i] <= edge < first[i + 1] for i, edge in enumerate(chosen) if edge >= 0)
    assert pairs == naive_rounds(np.where(exists, cost, np.inf), 0.8, step)


PLACES = (300, 120), (3000, 120), (300, 4)
"""Side of the picture and largest width: crowded, with much room, and thin boxes, whose width hides no short margin."""


def crowd(random, count, side, widest):
    """Boxes of very different sizes."""
    corner, size = random.uniform(0, side, (count, 2)), random.uniform(1, [widest, 120], (count, 2))
    return np.c_[corner, corner + size]


def all_pairs_are_there(stages_, rules, side, widest):
    """Whatever `collect` leaves out, looking at every pair finds no reason to keep."""
    random = np.random.default_rng(1)
    boxes, xyxy = crowd(random, 30, side, widest), crowd(random, 40, side, widest)
    seen = -random.uniform(0, 2, 30)
    gallery = unit(random.normal(size=(40, 2, D))).astype(np.float32)[:30]
    embedding = unit(random.normal(size=(40, D))).astype(np.float32)
    buffers = scene(stages_, rules, boxes, xyxy, gallery)
    buffers.tracks["seen"][:30] = seen
    buffers.detections["score"][:40] = random.uniform(0, 1, 40)
    buffers.detections["class_id"][:40] = random.integers(0, 2, 40)
    count, grid = 0, make_grid(buffers.xyxy[:40], MANY)
    for s in range(len(stages_)):
        edges = collect(buffers, s, np.arange(30), embedding, grid)
        rows = np.repeat(np.arange(30), np.diff(edges.first))
        ours = {(i, j): c for i, j, c in zip(rows.tolist(), edges.detection.tolist(), edges.cost.tolist(), strict=True)}
        expected = {}
        for i in range(30):
            for j in range(40):
                if pair_cost(buffers, s, i, j, embedding) == rc.UNASSIGNED:
                    expected[i, j] = buffers.pairs["cost"][0]
        assert ours == expected
        count += len(expected)
    return count


@pytest.mark.parametrize("name", config_names("trackers"))
def test_no_pair_within_its_gate_is_missed_by_a_recipe(name):
    stages_ = [compile_stage(stage) for stage in load_recipe(name).stages]
    rules = rules_of(motion={"state": "xywh"})
    assert sum(all_pairs_are_there(stages_, rules, *places) for places in PLACES)


@pytest.mark.parametrize(
    "fields",
    [
        {"overlap": "biou", "buffer": 2.0, "gate": 0.95},
        {"overlap": "biou", "buffer": 1.0, "gate": 1.0},
        {"overlap": "giou", "gate": 0.9},
        {"overlap": "diou", "gate": 0.9},
        {"overlap": "hmiou", "gate": 0.999},
        {"overlap": "ciou", "gate": 0.99, "min_iou": 0.05},
        {"cost": "embedding", "gate": 0.4},
        {"cost": "embedding", "gate": 0.5, "max_speed": 1.5},
        {"cost": "fused", "gate": 0.8, "max_speed": 0.5, "max_offset": 0.0},
        {"cost": "min_iou_embedding", "gate": 0.6},
        {"cost": "min_iou_embedding", "gate": 0.9, "min_iou": 0.2, "max_embedding_distance": 0.45},
        {"cost": "min_iou_embedding", "gate": 0.6, "max_speed": 2.0},
        {"cost": "min_iou_embedding", "gate": 1.0, "min_iou": 0.2},
        {"cost": "min_iou_embedding", "gate": 0.8, "min_iou": 0.2, "overlap": "giou"},
        {"cost": "adaptive", "gate": 0.5, "min_iou": 0.1},
        {"cost": "adaptive", "gate": 0.5},
        {"gate": 1.0},
        {"cost": "centre_distance", "gate": 0.3},
        {"gate": 1.0, "mahalanobis_gate": 200.0},
    ],
    ids=str,
)
def test_no_pair_within_its_gate_is_missed(fields):
    stage = stage_of(**fields)
    rules = rules_of(stage, motion={"state": "xywh"})
    assert sum(all_pairs_are_there([compile_stage(stage)], rules, *places) for places in PLACES)
