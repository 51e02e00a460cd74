"""After the fact: gaps are filled as the formulas say, and only tracks that can be one object are joined."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker import DataError, Detections
from tracker.association.engine import Engine
from tracker.benchmark.replay import motion_only
from tracker.config import load_recipe
from tracker.evaluation.evaluate import combine, score_sequence
from tracker.evaluation.sequence import compute_similarity
from tracker.formats.table import make_table
from tracker.offline.joining import (
    NOISE,
    TAU,
    JoinSettings,
    _by_track,
    _ends,
    _joined_ids,
    _links,
    fill,
    gaussian,
    join,
    length_scale,
)

RATE = 10.0


def walk(track_id, frames, x=0.0, speed=4.0, y=100.0, tall=80.0):
    """Rows ``(frame, id, x1, y1, x2, y2)`` of somebody who walks to the right."""
    return [(f, track_id, x + speed * f, y, x + speed * f + tall / 2, y + tall) for f in frames]


def table(*rows):
    """The table of `walk`s."""
    columns = np.array(list(itertools.chain(*rows)), float).reshape(-1, 6)
    return tracks_of(columns[:, 0], columns[:, 0] / RATE, columns[:, 1], columns[:, 2:])


def tracks_of(frame, time, ids, xyxy):
    return make_table(frame=frame, id=ids, xyxy=xyxy, columns={"time": time})


def as_set(rows, ids=True):
    return {
        (f, i if ids else 0, *np.round(box, 6))
        for f, i, box in zip(rows.frame.tolist(), rows.id.tolist(), rows.xyxy.tolist(), strict=True)
    }


@st.composite
def crowds(draw):
    """Tracks with gaps of their own."""
    rows = []
    for track in range(1, draw(st.integers(1, 6)) + 1):
        frames = draw(st.sets(st.integers(0, 60), min_size=1, max_size=25))
        x, speed = draw(st.floats(-300, 300)), draw(st.floats(-9, 9))
        rows.append(walk(track, sorted(frames), x, speed, draw(st.floats(0, 300)), draw(st.floats(30, 120))))
    return table(*rows)


def naive_fill(rows, max_gap):
    """Row by row."""
    out = []
    for track in np.unique(rows.id):
        mine = np.flatnonzero(rows.id == track)
        for a, b in itertools.pairwise(mine):
            missing = rows.frame[b] - rows.frame[a] - 1
            if missing and rows.time[b] - rows.time[a] <= max_gap + 1e-9:
                for k in range(1, missing + 1):
                    s = k / (missing + 1)
                    out.append((rows.frame[a] + k, track, *(rows.xyxy[a] + s * (rows.xyxy[b] - rows.xyxy[a]))))
    return {(f, i, *np.round(box, 6)) for f, i, *box in out}


@given(crowds(), st.sampled_from([0.3, 1.0, 9.0]))
@settings(max_examples=60)
def test_lines_are_what_a_loop_draws(rows, max_gap):
    filled = fill(rows, max_gap=max_gap)
    assert as_set(filled.take(np.flatnonzero(filled.filled))) == naive_fill(rows, max_gap)
    assert as_set(filled.take(np.flatnonzero(~filled.filled))) == as_set(rows)
    assert len({(f, i) for f, i in zip(filled.frame, filled.id, strict=True)}) == len(filled)
    np.testing.assert_allclose(filled.time, filled.frame / RATE)


def test_scores_sink_towards_the_middle_of_a_gap():
    filled = fill(table(walk(1, [0, 4])))
    np.testing.assert_allclose(filled.score, [1, 0.75, 0.5, 0.75, 1])
    assert filled.filled.tolist() == [False, True, True, True, False]


def test_the_process_is_the_formula():
    """Rasmussen and Williams, eq. 2.25, with an inverse and loops, about the line of least squares."""
    chance = np.random.default_rng(0)
    at = np.sort(chance.choice(80, 25, replace=False)).astype(float)
    values = np.column_stack([3 * at + 5 * np.sin(at / 9), chance.normal(0, 1, 25)])
    scale = TAU * np.log(TAU**3 / 25)
    kernel = np.array([[np.exp(-((a - b) ** 2) / (2 * scale**2)) for b in at] for a in at])
    expected = np.empty_like(values)
    for k in range(2):
        slope, height = np.polyfit(at, values[:, k], 1)
        rest = values[:, k] - (slope * at + height)
        expected[:, k] = slope * at + height + kernel @ np.linalg.inv(kernel + NOISE * np.eye(25)) @ rest
    np.testing.assert_allclose(gaussian(at, values), expected, atol=1e-6)
    assert length_scale(25) == pytest.approx(scale)
    assert length_scale(1000) == 1 / TAU
    assert length_scale(1) == pytest.approx(TAU * np.log(1000))


def test_the_process_goes_through_a_bend_better_than_a_line():
    frames = np.array([f for f in range(60) if not 22 <= f < 31])
    middle = 200 + 100 * np.sin(np.arange(60) / 15)
    boxes = [(f, 1, middle[f] - 20, 100, middle[f] + 20, 180) for f in frames]
    off = {}
    for method in ("linear", "gaussian"):
        filled = fill(table(boxes), method=method)
        assert as_set(table(boxes)) <= as_set(filled)  # what was seen stays
        rows = np.flatnonzero(filled.filled)
        off[method] = np.abs(filled.xyxy[rows, 0] + 20 - middle[filled.frame[rows]]).max()
    assert off["gaussian"] < 0.4 * off["linear"]


def test_a_place_far_from_the_corner_changes_nothing():
    near, far = table(walk(1, [0, 1, 2, 3, 9, 10, 11])), table(walk(1, [0, 1, 2, 3, 9, 10, 11], x=10_000))
    shift = fill(far, method="gaussian").xyxy - fill(near, method="gaussian").xyxy
    np.testing.assert_allclose(shift, np.tile([10_000, 0, 10_000, 0], (12, 1)), atol=1e-6)


def test_who_walks_on_keeps_the_id_of_who_went_behind():
    rows = table(walk(3, range(20)), walk(8, range(25, 50)), walk(5, range(50), x=0, y=300))
    joined = join(rows)
    assert set(joined.id.tolist()) == {3, 5}
    assert as_set(joined, ids=False) == as_set(rows, ids=False)


def test_who_begins_elsewhere_or_much_later_is_another():
    elsewhere = table(walk(1, range(20)), walk(2, range(30, 50), x=-100))
    later = table(walk(1, range(20)), walk(2, range(60, 80)))
    smaller = table(walk(1, range(20)), walk(2, range(30, 50), y=150, tall=30))
    for rows in (elsewhere, later, smaller):
        assert set(join(rows).id.tolist()) == {1, 2}
    other_class = table(walk(1, range(20)), walk(2, range(30, 50)))
    other_class.label[20:] = 1
    assert set(join(other_class).id.tolist()) == {1, 2}


def test_looks_find_who_returns_after_long_and_tell_apart_who_crosses():
    a, b = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    rows = table(
        walk(1, range(20)), walk(2, range(20), x=160, speed=-4),  # towards each other, gone where they meet
        walk(3, range(24, 40), x=160, speed=-4), walk(4, range(24, 40)),
        walk(5, range(200, 220), x=-700),
    )  # fmt: skip
    embeddings = {1: a, 2: b, 3: b, 4: a, 5: (a + 0.2 * b) / np.linalg.norm(a + 0.2 * b)}
    joined = join(rows, embeddings)
    of = {(f, x): i for f, i, x in zip(joined.frame.tolist(), joined.id.tolist(), joined.xyxy[:, 0], strict=True)}
    assert of[30, 120.0] == 1  # walks on to the right
    assert of[30, 40.0] == 2
    assert of[210, 140.0] == 1
    # The other way round where embeddings say that they turned back.
    turned = join(rows, embeddings | {3: a, 4: b})
    assert {i for f, i in zip(turned.frame, turned.id, strict=True) if f < 100} == {1, 2}
    assert turned.id[(turned.frame == 30) & (turned.xyxy[:, 0] == 120)] == [2]


def test_a_link_is_part_of_the_cheapest_assignment():
    """All ways to link a handful of tracks, tried out; gains as the assignment counts them."""
    chance = np.random.default_rng(5)
    for _ in range(30):
        starts = chance.integers(0, 40, 6)
        rows = table(*(walk(i + 1, range(s, s + 8), chance.uniform(-60, 60), 2, 100) for i, s in enumerate(starts)))
        embeddings = {i: v / np.linalg.norm(v) for i, v in enumerate(np.abs(chance.normal(1, 1, (6, 4))), 1)}
        wide = JoinSettings(max_embedding_distance=0.5, max_offset=2, max_speed=2)
        ends = _ends(_by_track(rows)[0], embeddings)
        end, begin, cost = _links(ends, wide, 60.0)
        best = 0.0
        links = list(zip(end.tolist(), begin.tolist(), (cost - 1).tolist(), strict=True))
        for size in range(1, 6):
            for some in itertools.combinations(links, size):
                if len({e for e, _, _ in some}) == len({b for _, b, _ in some}) == size:
                    best = min(best, sum(c for _, _, c in some))
        new = _joined_ids(ends, wide, 60.0)
        chains = [sorted(np.flatnonzero(new == i), key=lambda t: ends.frame[t, 0]) for i in np.unique(new)]
        gains = {(e, b): c for e, b, c in links}
        got = sum(gains[e, b] for chain in chains for e, b in itertools.pairwise(chain))
        assert got == pytest.approx(best, abs=1e-9)


@given(crowds(), st.booleans(), st.integers(0, 100))
@settings(max_examples=60)
def test_joined_tracks_never_overlap_and_boxes_stay(rows, with_embeddings, seed):
    chance = np.random.default_rng(seed)
    embeddings = {
        int(i): v / np.linalg.norm(v) for i, v in zip(np.unique(rows.id), chance.normal(1, 0.4, (6, 3)), strict=False)
    }
    rows = replace(rows, score=rows.id.astype(float))  # remembers who it was
    joined = join(
        rows, embeddings if with_embeddings else None, JoinSettings(max_offset_by_place=3, max_offset=3, min_frames=1)
    )
    assert as_set(joined, ids=False) == as_set(rows, ids=False)
    assert len({(f, i) for f, i in zip(joined.frame, joined.id, strict=True)}) == len(joined)
    assert set(joined.id.tolist()) <= set(rows.id.tolist())
    spans = {i: rows.frame[rows.id == i][[0, -1]] for i in np.unique(rows.id).tolist()}
    for track in np.unique(joined.id):
        parts = sorted(np.unique(joined.score[joined.id == track]).tolist(), key=lambda i: spans[i][0])
        assert parts[0] == track
        assert all(spans[a][1] < spans[b][0] for a, b in itertools.pairwise(parts))


def test_columns_are_checked():
    box = [0, 0, 1, 1]
    with pytest.raises(DataError, match="row 2: its id is in its frame twice"):
        tracks_of([0, 0], [0, 0], [1, 1], [box, box])
    with pytest.raises(DataError, match="track 1: time does not rise from frame 0"):
        join(tracks_of([0, 1], [0.5, 0.5], [1, 1], [box, box]))
    with pytest.raises(DataError, match="need the times"):
        fill(make_table(frame=[0, 1], id=[1, 1], xyxy=[box, box]))
    with pytest.raises(DataError, match="NaN"):
        tracks_of([0], [0], [1], [[0, np.nan, 1, 1]])
    with pytest.raises(DataError, match="time is no number"):
        tracks_of([0], [np.nan], [1], [box])
    with pytest.raises(DataError, match="different lengths"):
        tracks_of([0, 1], [0], [1], [box])


def test_nobody():
    assert len(fill(join(table()))) == 0


def public(data, name):
    """Public detections of each frame, and the ground truth."""
    found, truth = (np.loadtxt(data / "mot15" / name / f, delimiter=",") for f in ("det/det.txt", "gt/gt.txt"))
    truth = truth[np.argsort(truth[:, 0], kind="stable")]
    for rows in (found, truth):
        rows[:, 4:6] += rows[:, 2:4]
    length = int(truth[:, 0].max())
    true = make_table(frame=truth[:, 0] - 1, id=truth[:, 1], xyxy=truth[:, 2:6]).in_file_order()
    return [found[found[:, 0] == f + 1] for f in range(length)], true


def track(recipe, frames):
    """All boxes of a recipe's tracks."""
    engine, columns = Engine(motion_only(load_recipe(recipe))), []
    for index, rows in enumerate(frames):
        tracks = engine.update(Detections(rows[:, 2:6], np.clip(rows[:, 6], 0, 1)), timestamp=index / 25)
        columns.append(np.c_[np.full((len(tracks), 2), [index, index / 25]), tracks.id, tracks.xyxy])
    c = np.concatenate(columns)
    return tracks_of(c[:, 0], c[:, 1], c[:, 2], c[:, 3:])


def judged(refine, tracked):
    """HOTA and IDF1 of both sequences together."""
    parts = {}
    for name, (rows, true, length) in tracked.items():
        made = refine(rows)
        parts[name] = score_sequence(compute_similarity(true, made, length))
    scores = combine(parts).summary()
    return np.array([scores["HOTA"], scores["IDF1"]])


@pytest.mark.parametrize("recipe", ["bytetrack", "ocsort", "botsort"])
def test_public_detections_are_tracked_better(data, recipe):
    tracked = {}
    for name in ("TUD-Campus", "TUD-Stadtmitte"):
        frames, true = public(data, name)
        tracked[name] = track(recipe, frames), true, len(frames)
    before = judged(lambda rows: rows, tracked)
    assert (judged(join, tracked) >= before - 0.001).all()  # a tenth of a point for what a false track does
    assert (judged(fill, tracked) > before).all()
    assert (judged(lambda rows: fill(rows, method="gaussian"), tracked) > before).all()
    assert (judged(lambda rows: fill(join(rows)), tracked) >= before + 0.01).all()
