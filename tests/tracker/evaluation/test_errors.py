"""Errors of identity: a story told by hand, a plain loop, and CLEAR's own counts."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracker.evaluation.benchmarks import rules_of
from tracker.evaluation.clear import clear, matches
from tracker.evaluation.errors import covers, identity_errors
from tracker.evaluation.evaluate import prepare_files
from tracker.evaluation.sequence import compute_similarity
from tracker.formats.table import make_table


def boxes_of(rows):
    """Boxes of ``frame, id, place``: places are 100 pixels apart, boxes 40 × 80."""
    rows = np.array(sorted(rows), np.int64).reshape(-1, 3)
    low = np.column_stack([rows[:, 2] * 100.0, np.zeros(len(rows))])
    return make_table(frame=rows[:, 0] - 1, id=rows[:, 1], xyxy=np.column_stack([low, low + np.array([40, 80])]))


def told(truth, result):
    truth, result = boxes_of(truth), boxes_of(result)
    length = max(1, truth.frames, result.frames)
    found = matches(compute_similarity(truth, result, length))
    return identity_errors(truth, result, found), covers(truth, result, found), found, truth, result


def test_a_story_by_hand():
    """Identity 7 is followed by track 1, missed for three frames, goes on as track 2, which then takes identity 8."""
    truth = [(f, 7, 0) for f in range(1, 10)] + [(f, 8, 5) for f in range(11, 14)]
    result = [(f, 1, 0) for f in range(1, 4)] + [(f, 2, 0) for f in range(7, 10)] + [(f, 2, 5) for f in range(11, 14)]
    errors, times, *_ = told(truth, result)
    switch, split, merge = sorted(errors, key=lambda e: ["switch", "split", "merge"].index(e.kind))
    assert (switch.frame, switch.gap, switch.identity) == (7, 3, 7)
    assert switch.stretches.track.tolist() == [1, 2]
    assert switch.stretches.last.tolist() == [3, 9]
    assert (split.identity, split.stretches.boxes.tolist()) == (7, [3, 3])
    assert (merge.track, merge.frame, merge.gap) == (2, 11, 1)
    assert merge.stretches.identity.tolist() == [7, 8]
    assert times[0].present.tolist() == [[1, 9]]
    assert times[0].runs.tolist() == [[1, 3, 1], [7, 9, 2]]
    assert [t.switches for t in times] == [1, 0]


def test_an_exchange_is_two_switches_two_splits_and_two_merges():
    truth = [(f, i, i) for f in range(1, 11) for i in (1, 2)]
    result = [(f, i if f < 6 else 3 - i, i) for f in range(1, 11) for i in (1, 2)]
    errors, *_ = told(truth, result)
    assert sorted(e.kind for e in errors) == ["merge"] * 2 + ["split"] * 2 + ["switch"] * 2
    assert {e.frame for e in errors} == {6}


def test_views_rows_are_those_of_the_boxes():
    truth = [(f, 7, f) for f in range(1, 7)]
    result = [(f, 1 if f < 4 else 2, f) for f in range(1, 7)]
    errors, _, _, true, its = told(truth, result)
    s = next(e for e in errors if e.kind == "switch").stretches
    assert true.frame[s.last_gt[0]] == its.frame[s.last_pred[0]] == 2
    assert true.frame[s.first_gt[1]] == its.frame[s.first_pred[1]] == 3
    assert its.id[s.last_pred[0]] == 1
    assert its.id[s.first_pred[1]] == 2


def test_nothing_gives_nothing():
    assert told([], [])[:2] == ([], [])
    errors, times, *_ = told([(1, 4, 0)], [])
    assert errors == []
    assert times[0].runs.tolist() == []
    assert told([], [(1, 4, 0)])[:2] == ([], [])


rows = st.sets(st.tuples(st.integers(1, 12), st.integers(1, 4), st.integers(0, 3)), max_size=40).map(
    lambda drawn: list({(f, i): (f, i, place) for f, i, place in drawn}.values())
)


@given(rows, rows)
def test_against_a_plain_loop(truth, result):
    errors, times, found, true, its = told(truth, result)
    followed = {}  # identity: its matches in order of frames
    tracks = {}
    for row in range(len(true)):
        if found.pred[row] >= 0:
            identity, track, frame = int(true.id[row]), int(its.id[found.pred[row]]), int(true.frame[row]) + 1
            followed.setdefault(identity, []).append((frame, track))
            tracks.setdefault(track, []).append((frame, identity))
    switches = {
        (i, a[1], b[1], a[0], b[0]) for i, row in followed.items() for a, b in itertools.pairwise(row) if a[1] != b[1]
    }
    by_kind = {k: [e for e in errors if e.kind == k] for k in ("switch", "split", "merge")}
    assert {
        (e.identity, *e.stretches.track.tolist(), int(e.stretches.last[0]), e.frame) for e in by_kind["switch"]
    } == switches
    assert {e.identity for e in by_kind["split"]} == {i for i, row in followed.items() if len({t for _, t in row}) > 1}
    assert {e.track for e in by_kind["merge"]} == {t for t, row in tracks.items() if len({i for _, i in row}) > 1}
    for kind, whole in (("split", followed), ("merge", tracks)):
        for e in by_kind[kind]:
            assert e.stretches.boxes.sum() == len(whole[e.identity if kind == "split" else e.track])
    for cover in times:
        frames = [(f, track) for first, last, track in cover.runs.tolist() for f in range(first, last + 1)]
        assert frames == followed.get(cover.identity, [])
        there = [f for first, last in cover.present.tolist() for f in range(first, last + 1)]
        assert there == (true.frame[true.id == cover.identity] + 1).tolist()


def test_clear_counts_the_same_on_real_tracks(data):
    for name in ("MOT17-05", "MOT17-09"):
        truth = data / "mot17" / name / "gt" / "gt.txt"
        ready = prepare_files(truth, data / "mot17" / "tracks-LifT" / f"{name}.txt", rules_of("mot17"))
        found, counts = matches(ready.sequence), clear(ready.sequence)
        errors, times = (tell(ready.gt, ready.pred, found) for tell in (identity_errors, covers))
        assert sum(e.kind == "switch" for e in errors) == sum(t.switches for t in times) == counts.IDSW > 5
        assert sum(int((t.runs[:, 1] - t.runs[:, 0] + 1).sum()) for t in times) == counts.TP
        assert sum(int((t.present[:, 1] - t.present[:, 0] + 1).sum()) for t in times) == counts.TP + counts.FN
