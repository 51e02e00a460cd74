"""Which pairs exist and what they cost, beside the same said naively in float64."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tracker import Detections, load_tracker
from tracker.association import costs, pairing
from tracker.association import layout as at
from tracker.association.grid import make_grid
from tracker.association.memory import Memory
from tracker.association.program import rules_row, stage_row
from tracker.association.recipe import Recipe, Stage
from tracker.association.stream import fresh
from tracker.config import config_names, load_recipe
from tracker.motion import kalman

D = 8
MANY = 10_000


def stage_of(**fields):
    return Stage.model_validate({"tracks": ["confirmed", "lost"], "gate": 10.0} | fields)


def rules_of(stage=None, **fields):
    return rules_row(Recipe.model_validate({"stages": [stage or stage_of()]} | fields))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def four(box):
    return tuple(map(float, box))


def naive_iou(a, b):
    both = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


# One pair.


def naive_with_look(stage, motion, overlap, look):
    """Cost of motion and looks together; infinite where looks forbid the pair."""
    too_unlike = stage.appearance_gate is not None and look > stage.appearance_gate
    if stage.cost == "least":  # BoT-SORT, section 3.3: looks count only for who is near and alike enough
        trusted = not too_unlike and overlap >= (stage.least_overlap or 0)
        return min(motion, look if trusted else np.inf)
    if too_unlike:
        return np.inf
    if stage.cost == "fused":
        return (1 - stage.weight) * motion + stage.weight * look
    return look if stage.cost == "embedding" else motion  # adaptive adds looks when all pairs are known


shares = st.floats(0, 1)
maybe = st.one_of(st.none(), shares)
stages = st.builds(
    stage_of,
    cost=st.sampled_from(["iou", "iou_times_score", "embedding", "fused", "least", "adaptive"]),
    overlap=st.sampled_from(list(costs.KINDS)),
    weight=shares,
    gate=st.floats(0, 2),
    least_overlap=maybe,
    appearance_gate=maybe,
    times_score=st.booleans(),
    score_change=shares,
    shape=shares,
    mahalanobis=shares,
    mahalanobis_gate=st.one_of(st.none(), st.floats(0.1, 50)),
    reach=st.one_of(st.none(), st.floats(0.1, 3)),
    slack=st.floats(0, 1),
    size_ratio=maybe,
    low_below=shares,
    low_penalty=shares,
)


@given(stages, shares, shares, shares)
def test_motion_and_looks_together(stage, motion, overlap, look):
    cost = pairing.with_look(stage_row(stage), motion, overlap, look)
    assert cost == pytest.approx(naive_with_look(stage, motion, overlap, look))


@pytest.mark.parametrize(
    ("overlap", "look", "expected"), [(0.6, 0.1, 0.1), (0.6, 0.3, 0.4), (0.4, 0.1, 0.6), (0.9, 0.2, 0.1)]
)
def test_the_smaller_of_overlap_and_looks_where_both_gates_hold(overlap, look, expected):
    """BoT-SORT, equations 12 and 13, with its thresholds of 0.5 and 0.25."""
    stage = stage_row(stage_of(cost="least", least_overlap=0.5, appearance_gate=0.25))
    assert pairing.with_look(stage, 1 - overlap, overlap, look) == pytest.approx(expected)


NOISE = 1 / 20
AGE, SCORES = 0.4, (0.5, 0.7)  # of the track: seconds unseen, its scores before and at its last match


def track_at(box):
    """Just born there, but for what a pair's cost depends on."""
    track, (x1, y1, x2, y2) = np.zeros(at.WIDTH), box
    track[at.PAST :] = np.nan
    z = kalman.measure(kalman.XYWH, x1, y1, x2, y2)
    kalman.initiate(kalman.XYWH, track[at.BELIEF : at.BELIEF + kalman.SIZE], z, NOISE, 1 / 160)
    track[at.SEEN], (track[at.SCORE_BEFORE], track[at.SCORE]) = -AGE, SCORES
    return track


def naive_judge(stage, box, found, score, look):
    """The cost of a pair, infinite where it does not exist."""
    (x, y, w, h), (u, v, s, t) = (np.r_[b[:2] + b[2:], 2 * (b[2:] - b[:2])] / 2 for b in (box, found))
    overlap = naive_iou(box, found)
    weight = score if stage.cost == "iou_times_score" or stage.times_score else 1
    chosen = costs.overlap_of(costs.KINDS[stage.overlap], four(box), four(found), stage.buffer)
    motion = 1 - chosen * weight
    if stage.cost != "least" and stage.least_overlap is not None and overlap < stage.least_overlap:
        return np.inf
    if stage.size_ratio is not None and min(h, t) / max(h, t) < stage.size_ratio:
        return np.inf
    away = math.hypot(x - u, y - v) / ((h + t) / 2)
    if stage.reach is not None and away > stage.slack + stage.reach * AGE:
        return np.inf
    # A newborn's position is unsure by twice the noise of a measurement: 5 variances together.
    squared = ((x - u) / w) ** 2 + ((y - v) / h) ** 2 + ((w - s) / w) ** 2 + ((h - t) / h) ** 2
    squared /= 5 * NOISE**2
    if stage.mahalanobis_gate is not None and squared > stage.mahalanobis_gate:
        return np.inf
    motion += stage.mahalanobis * min(squared / 13.2767, 1)
    cost = naive_with_look(stage, motion, overlap, look)
    cost += stage.score_change * abs(SCORES[1] + (SCORES[1] - SCORES[0]) - score)
    cost += stage.shape * (1 - math.exp(-abs(w - s) / max(w, s) - abs(h - t) / max(h, t)))
    cost += stage.low_penalty * (score < stage.low_below)
    return cost if cost <= stage.gate or stage.cost == "adaptive" else np.inf


@given(stages, st.integers(0, 2**32 - 1), shares)
def test_the_cost_of_a_pair(stage, seed, score):
    random = np.random.default_rng(seed)
    corner, size = random.uniform(0, 500, 2), random.uniform(20, 80, 2)
    box, found = (
        np.r_[corner, corner + size],
        np.r_[corner, corner + size] + random.normal(0, 0.1, 4) * np.tile(size, 2),
    )
    memory, seen = unit(random.normal(size=(2, D))).astype(np.float32)
    rules = rules_of(stage, motion={"state": "xywh", "position_noise": NOISE})
    terms = np.full(at.E_WIDTH, np.nan)
    verdict = pairing.judge(
        stage_row(stage), rules, track_at(box), four(box), memory[None], four(found), score, 0, seen, 0.0, terms
    )
    look = (1 - float(memory.astype(np.float64) @ seen)) / 2
    expected = naive_judge(stage, box, found, score, look)
    assert (verdict == at.OUTBID) == (expected < np.inf)
    if verdict == at.OUTBID:
        assert terms[at.E_COST] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("agnostic", "class_id", "verdict"), [(False, 1, at.OTHER_CLASS), (True, 1, at.OUTBID)])
def test_another_class(agnostic, class_id, verdict):
    box, stage, nobody = (0.0, 0.0, 40.0, 100.0), stage_of(), np.zeros((1, 0), np.float32)
    rules, terms = rules_of(stage, class_agnostic=agnostic, motion={"state": "xywh"}), np.empty(at.E_WIDTH)
    found = stage_row(stage), rules, track_at(box), box, nobody, box, 0.9, class_id, nobody[0], 0.0, terms
    assert pairing.judge(*found) == verdict


@pytest.mark.parametrize("blind", ["track", "detection"])
def test_fused_is_motion_alone_where_one_has_no_look(blind):
    box, stage = (0.0, 0.0, 40.0, 100.0), stage_of(cost="fused", weight=0.7, appearance_gate=0.1)
    memory, seen = np.eye(1, D, dtype=np.float32), np.eye(D, dtype=np.float32)[1]
    (memory if blind == "track" else seen)[:] = 0
    rules, terms = rules_of(stage, motion={"state": "xywh"}), np.empty(at.E_WIDTH)
    found = stage_row(stage), rules, track_at(box), box, memory, (0.0, 0.0, 40.0, 80.0), 0.9, 0, seen, 0.0, terms
    assert pairing.judge(*found) == at.OUTBID
    assert terms[at.E_COST] == pytest.approx(0.2)


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
    rules = rules_of(stage_of(direction=0.1, direction_of="corners"))
    for _ in range(20):
        history = [(frame, random.uniform(0, 40, 4)) for frame in sorted(random.choice(10, 5, replace=False))]
        found, headings = random.uniform(0, 40, 4), unit(random.normal(size=(4, 2)))
        track = np.full(at.WIDTH, np.nan)
        for k, (frame, box) in enumerate(reversed(history)):
            track[at.PAST + 5 * k : at.PAST + 5 * k + 5] = np.r_[frame / 30, box]
        track[at.HEADING : at.HEADING + 8] = headings.ravel()
        moved = found - past_of(history, 10, 3)
        expected = np.mean([angle(headings[2 * i + j], moved[[2 * i, 1 + 2 * j]]) for i in (0, 1) for j in (0, 1)])
        assert pairing.direction(track, four(found), 10 / 30, rules, True) == pytest.approx(expected, abs=1e-6)


def test_without_a_past_no_direction_is_better():
    track = np.full(at.WIDTH, np.nan)
    assert pairing.direction(track, (0.0, 0.0, 1.0, 1.0), 1.0, rules_of(), False) == 0.5


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
    pairing.adapt(
        stage_row(stage_of(cost="adaptive", weight=weight)), first, column, look[exists], adapted, look.shape[1]
    )
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
    kept = pairing.within(first, column.copy(), cost[exists], gate)
    inside = exists & (cost <= gate)
    for ours, naive in zip(kept, (*edges_of(inside), cost[inside]), strict=True):
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
    chosen = pairing.nearest_pairs(first, column, cost[exists], m, 0.8, step)
    pairs = {(i, int(column[edge])) for i, edge in enumerate(chosen) if edge >= 0}
    assert all(first[i] <= edge < first[i + 1] for i, edge in enumerate(chosen) if edge >= 0)
    assert pairs == naive_rounds(np.where(exists, cost, np.inf), 0.8, step)


PLACES = (300, 120), (3000, 120), (300, 4)
"""Side of the picture and largest width: crowded, with much room, and thin boxes, whose width hides no short margin."""


def crowd(random, count, side, widest):
    """Boxes of very different sizes."""
    corner, size = random.uniform(0, side, (count, 2)), random.uniform(1, [widest, 120], (count, 2))
    return np.c_[corner, corner + size]


def all_pairs_are_there(stages, rules, side, widest):
    """Whatever `collect` leaves out, looking at every pair finds no reason to keep."""
    random = np.random.default_rng(1)
    boxes, xyxy = crowd(random, 30, side, widest), crowd(random, 40, side, widest)
    table = np.array([track_at(box) for box in boxes] + [np.zeros(at.WIDTH)] * 10)
    table[:30, at.SEEN] = -random.uniform(0, 2, 30)
    looks = unit(random.normal(size=(40, 2, D))).astype(np.float32)
    embedding = unit(random.normal(size=(40, D))).astype(np.float32)
    score, classes = random.uniform(0, 1, 40), random.integers(0, 2, 40)
    memory = Memory.of(np.zeros(at.L_WIDTH), table, looks, np.zeros((40, 2)), fresh(), stages, rules)
    memory.free[:] = True
    where, scene = memory.addresses(), (boxes, score, classes, embedding, make_grid(xyxy, MANY), 0.0)
    count, nothing = 0, np.empty((0, at.E_WIDTH))
    for stage in stages:
        first, column, cost, *_ = pairing.collect(where, stage, np.arange(30), *scene, False, nothing, 0)
        ours = {(i, int(column[e])): cost[e] for i in range(30) for e in range(first[i], first[i + 1])}
        expected, terms = {}, np.empty(at.E_WIDTH)
        for i in range(30):
            for j in range(40):
                pair = looks[i], four(xyxy[j]), score[j], classes[j], embedding[j], 0.0, terms
                if pairing.judge(stage, rules, table[i], four(boxes[i]), *pair) == at.OUTBID:
                    expected[i, j] = terms[at.E_COST]
        assert ours == expected
        count += len(expected)
    return count


@pytest.mark.parametrize("name", config_names("trackers"))
def test_no_pair_within_its_gate_is_missed_by_a_recipe(name):
    stages = np.stack([stage_row(stage) for stage in load_recipe(name).stages])
    rules = rules_of(motion={"state": "xywh"})
    assert sum(all_pairs_are_there(stages, rules, *places) for places in PLACES)


@pytest.mark.parametrize(
    "fields",
    [
        {"overlap": "biou", "buffer": 2.0, "gate": 0.95},
        {"overlap": "biou", "buffer": 1.0, "gate": 1.0},
        {"overlap": "giou", "gate": 0.9},
        {"overlap": "diou", "gate": 0.9},
        {"overlap": "hmiou", "gate": 0.999},
        {"overlap": "ciou", "gate": 0.99, "least_overlap": 0.05},
        {"cost": "embedding", "gate": 0.4},
        {"cost": "embedding", "gate": 0.5, "reach": 1.5},
        {"cost": "fused", "gate": 0.8, "reach": 0.5, "slack": 0.0},
        {"cost": "least", "gate": 0.6},
        {"cost": "least", "gate": 0.9, "least_overlap": 0.2, "appearance_gate": 0.45},
        {"cost": "least", "gate": 0.6, "reach": 2.0},
        {"cost": "least", "gate": 1.0, "least_overlap": 0.2},
        {"cost": "least", "gate": 0.8, "least_overlap": 0.2, "overlap": "giou"},
        {"cost": "adaptive", "gate": 0.5, "least_overlap": 0.1},
        {"cost": "adaptive", "gate": 0.5},
        {"gate": 1.0},
        {"gate": 1.0, "mahalanobis_gate": 200.0},
    ],
    ids=str,
)
def test_no_pair_within_its_gate_is_missed(fields):
    stage = stage_of(**fields)
    rules = rules_of(stage, motion={"state": "xywh"})
    assert sum(all_pairs_are_there(stage_row(stage)[None], rules, *places) for places in PLACES)
