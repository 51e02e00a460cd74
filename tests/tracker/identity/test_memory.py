"""Tracklets in, identities out."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import crowd, looks, memory, seen, violations

from reid.calibration import Calibration
from tracker import DataError, WeightsError
from tracker.identity import IdentityMemory, MemorySettings, SiteSettings, Tracklet, review
from tracker.identity.decision import weigh
from tracker.identity.review import Limits, select
from tracker.identity.table import Table


def labels(known, found):
    return [known.identity_of(*tracklet.key) for tracklet, _ in found]


def parts(found, identities):
    groups = {}
    for (tracklet, _), identity in zip(found, identities, strict=True):
        groups.setdefault(identity or tracklet.key, set()).add(tracklet.key)
    return {frozenset(group) for group in groups.values()}


def test_the_promise_of_the_documentation():
    vectors, scores = looks(1, 3), np.ones(3)
    known = memory()
    answer = known.observe(
        Tracklet(camera="gate", track=17, begin=3.2, end=9.8, embeddings=vectors, quality=scores, class_id=0)
    )
    assert answer.identity == 1
    assert known.identity_of("gate", 17) == 1
    assert known.review() == []
    assert IdentityMemory.open(":memory:").observe(seen(1, "gate", 1, 0)).identity == 1


def test_people_are_known_again_after_a_gap_and_on_another_camera():
    known = memory()
    first = [known.observe(seen(p, "gate", p, 10.0 * p)).identity for p in range(5)]
    assert first == [1, 2, 3, 4, 5]
    again = [known.observe(seen(p, "hall", p, 100 + 10.0 * p, embeddings=looks(p, 4))).identity for p in range(5)]
    assert again == first
    assert known.identities()[2] == (("gate", 1), ("hall", 1))


def test_a_look_between_two_people_stays_open_and_is_no_union():
    known = memory()
    a, b = looks(1, 1)[0], looks(2, 1)[0]
    for track, vector in enumerate((a, b)):
        known.observe(seen(0, "gate", track, 10.0 * track, embeddings=vector[None]))
    between = (a + b) / np.linalg.norm(a + b)
    answer = known.observe(seen(0, "hall", 1, 50, embeddings=between[None]))
    assert answer.identity is None
    assert {c.identity for c in answer.candidates} == {1, 2}
    assert sum(c.probability for c in answer.candidates) + answer.new == pytest.approx(1)
    assert answer.why.startswith("open")
    assert known.identity_of("hall", 1) is None
    assert known.identities() == {1: (("gate", 0),), 2: (("gate", 1),)}


def test_an_explanation_adds_up():
    known = memory()
    for p in range(4):
        known.observe(seen(p, "gate", p, 10.0 * p))
    answer = known.observe(seen(2, "hall", 9, 90))
    best = answer.candidates[0]
    assert answer.identity == best.identity == 3
    assert best.evidence == pytest.approx(best.appearance + best.place + best.travel_time + best.prior)
    odds = [np.exp(c.evidence) for c in answer.candidates]
    assert [c.probability for c in answer.candidates] == pytest.approx([o / (1 + sum(odds)) for o in odds], abs=1e-6)
    assert "appearance +" in answer.why
    assert "prior -" in answer.why
    assert known.explain("hall", 9) == answer


def test_weighing_is_that_of_naive_loops():
    random = np.random.default_rng(2)
    terms, identity = random.normal(size=(3, 40)), random.integers(0, 7, 40)
    forbidden = random.random(40) < 0.05
    found = weigh(terms, identity, forbidden, 1.5)
    odds = {}
    for person in range(1, 7):
        rows = [i for i in range(40) if identity[i] == person]
        if not any(forbidden[i] for i in rows):
            odds[person] = np.exp(sum(terms[:, i].sum() for i in rows) / len(rows) - 1.5)
    assert found.identity.tolist() == list(odds)
    assert found.probability == pytest.approx([o / (1 + sum(odds.values())) for o in odds.values()])
    assert found.new == pytest.approx(1 / (1 + sum(odds.values())))


def test_nobody_is_twice_in_one_view():
    known = memory()
    known.observe(seen(1, "gate", 1, 0, 10))
    assert known.observe(seen(1, "gate", 2, 9, 20)).identity != 1
    assert known.observe(seen(1, "gate", 3, 21, 30)).identity is None  # either of the two
    known.review()
    assert known.identity_of("gate", 1) != known.identity_of("gate", 2)
    assert not violations(known)


@pytest.mark.parametrize(
    ("site", "together"),
    [
        (None, True),  # nobody has said; looks decide
        (SiteSettings(cameras=("gate", "hall"), overlap=(("hall", "gate"),)), True),
        (SiteSettings(cameras=("gate", "hall", "yard"), overlap=(("yard", "gate"),)), False),
        (SiteSettings(), False),
    ],
)
def test_views_that_overlap_may_share_one_person_at_one_instant(site, together):
    known = memory(site=site)
    one = known.observe(seen(1, "gate", 1, 0, 10)).identity
    other = known.observe(seen(1, "hall", 1, 5, 12)).identity
    assert (one == other) == together
    known.review()
    assert (known.identity_of("gate", 1) == known.identity_of("hall", 1)) == together


def test_a_track_that_goes_on_beside_its_own_return_parts_them():
    known = memory()
    known.observe(seen(1, "gate", 1, 0, 5))
    assert known.observe(seen(1, "gate", 2, 7, 9)).identity == 1
    known.observe(seen(1, "gate", 1, 0, 8))  # it had not ended after all
    assert known.identity_of("gate", 1) == 1
    assert known.identity_of("gate", 2) != 1
    assert not violations(known)
    (change,) = known.changes()
    assert (change.kind, change.source, change.tracklets) == ("opened", 1, (("gate", 2),))


def test_a_car_is_nobody():
    known = memory()
    answer = known.observe(seen(1, "gate", 1, 0, class_id=2))
    assert answer.identity is None
    assert "class 2" in answer.why
    known.observe(seen(1, "gate", 2, 20))
    known.review()
    assert known.identity_of("gate", 1) is None
    cars = memory(settings=MemorySettings(classes=(2, 7)))
    assert cars.observe(seen(1, "gate", 1, 0, class_id=2)).identity == 1
    assert cars.observe(seen(1, "gate", 2, 20, class_id=7)).identity != 1  # a truck is no car


def test_without_a_calibration_nobody_is_known_by_looks():
    known = IdentityMemory.open(embedder=None)
    random = np.random.default_rng(0)
    found = crowd(random, noise=0.0)
    for tracklet, _ in found:
        known.observe(tracklet)
    known.review()
    assert all(len(keys) == 1 for keys in known.identities().values())
    assert IdentityMemory.open(embedder=Calibration.unknown()).observe(seen(1, "a", 1, 0)).identity == 1
    with pytest.raises(WeightsError):
        IdentityMemory.open(embedder="no-such-weights")


def test_a_short_gap_in_one_place_is_bridged_by_place_alone():
    known = IdentityMemory.open(embedder=None)
    boxes = np.array([[0.05 + 0.2 * i, 0.4, 0.1 + 0.2 * i, 0.7] for i in range(4)])
    for track, box in enumerate(boxes):
        known.observe(seen(track, "gate", track, 0, 5, first_xyxy=box, last_xyxy=box))
    for track, box in enumerate(boxes):
        known.observe(seen(track, "gate", 10 + track, 5.2, 9, first_xyxy=box, last_xyxy=box))
    known.review()
    assert parts(
        [(seen(t % 10, "gate", t, 0), 0) for t in (*range(4), *range(10, 14))],
        [known.identity_of("gate", t) for t in (*range(4), *range(10, 14))],
    ) == {frozenset({("gate", t), ("gate", 10 + t)}) for t in range(4)}


def test_embeddings_of_another_size_are_refused_and_change_nothing():
    known = memory()
    known.observe(seen(1, "gate", 1, 0))
    with pytest.raises(DataError, match="two networks"):
        known.observe(seen(1, "gate", 2, 10, embeddings=np.eye(16, dtype=np.float32)))
    with pytest.raises(DataError, match="no such tracklet"):
        known.identity_of("gate", 2)
    assert known.observe(seen(1, "gate", 3, 20, embeddings=np.zeros((0, 0), np.float32))).identity is None


def test_a_review_merges_and_splits_and_tells():
    known = memory()
    for p in range(6):
        known.observe(seen(p, "gate", p, 10.0 * p))
    rows = known._table.rows
    known.observe(seen(0, "hall", 0, 100))
    known.observe(seen(1, "hall", 1, 120))
    rows = known._table.rows
    rows["identity"][known._table.find(("hall", 0))] = 2  # as if it had been taken for another
    rows["identity"][known._table.find(("hall", 1))] = 9  # … and for somebody new
    known._next_identity = 10
    changes = known.review()
    assert [(c.kind, c.source, c.target, c.tracklets) for c in changes] == [
        ("split", 2, 1, (("hall", 0),)),
        ("merged", 9, 2, (("hall", 1),)),
    ]
    assert [c.number for c in changes] == [1, 2]
    assert known.changes(after=1) == changes[1:]
    assert known.review() == []
    assert known.observe(seen(77, "yard", 1, 300)).identity == 10  # 9 is never given again


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_whatever_comes_nobody_is_in_two_places_and_reviews_settle(seed):
    random = np.random.default_rng(seed)
    found = crowd(random, people=4, tracklets=40, noise=random.choice([0.05, 0.25]))
    site = [None, SiteSettings(), SiteSettings(overlap=(("c0", "c1"),))][random.integers(3)]
    known = memory(site=site, settings=MemorySettings(review_tracklets=7, budget=int(random.integers(2, 9))))
    for tracklet, _ in found:
        # Some are first told of while they go on, and everybody walks through everybody's time.
        begin = tracklet.begin % 300
        whole = Tracklet(
            camera=tracklet.camera, track=tracklet.track, begin=begin, end=begin + 20, embeddings=tracklet.embeddings
        )
        if random.random() < 0.3:
            known.observe(Tracklet(**{n: getattr(whole, n) for n in whole.__slots__} | {"end": begin + 5}))
        known.observe(whole)

    def exclusive(a, b):
        return a.camera == b.camera or (
            site is not None and {a.camera, b.camera} != {"c0", "c1"} if site and site.overlap else site is not None
        )

    assert not violations(known, exclusive)
    known.review()
    assert not violations(known, exclusive)
    identities = [known.identity_of(*t.key) for t, _ in found]
    assert len(identities) == len(found)


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_the_order_of_what_ends_at_once_does_not_matter(seed):
    random = np.random.default_rng(seed)
    found = [
        (seen(p, f"c{(p + k) % 3}", 10 * k + p, 60.0 * k, 60.0 * k + 10, embeddings=looks(p, 2 + k)), p)
        for k in range(6)
        for p in range(5)
    ]
    shuffled = [item for k in range(6) for item in [found[5 * k + i] for i in random.permutation(5)]]
    answers = []
    for order in (found, shuffled):
        known = memory(settings=MemorySettings(review_tracklets=7))
        for tracklet, _ in order:
            known.observe(tracklet)
        known.review()
        answers.append(parts(found, labels(known, found)))
    assert answers[0] == answers[1]


def test_the_same_tracklets_get_the_same_identities():
    found = crowd(np.random.default_rng(5))
    runs = []
    for _ in range(2):
        known = memory(settings=MemorySettings(review_tracklets=9))
        runs.append([known.observe(tracklet) for tracklet, _ in found] + labels(known, found) + known.changes())
    assert runs[0] == runs[1]


def test_distinct_people_are_told_apart_and_nearly_all_found():
    found = crowd(np.random.default_rng(1), people=10, tracklets=80)
    known = memory()
    for tracklet, _ in found:
        known.observe(tracklet)
    known.review()
    identities = labels(known, found)
    pairs = list(itertools.combinations(range(len(found)), 2))
    same = [found[i][1] == found[j][1] for i, j in pairs]
    said = [identities[i] is not None and identities[i] == identities[j] for i, j in pairs]
    right = sum(a and b for a, b in zip(same, said, strict=True))
    assert right == sum(said)
    assert right > 0.9 * sum(same)


def test_reviews_come_by_counts_and_by_the_time_of_the_stream():
    def reviews(times, **chosen):
        known = memory(settings=MemorySettings(**chosen))
        counted = []
        known.review = lambda: counted.append(len(known._table)) or IdentityMemory.review(known)
        for track, time in enumerate(times):
            known.observe(seen(track, "gate", track, time))
        return counted

    assert reviews(range(0, 100, 10), review_tracklets=4, review_seconds=1e6) == [4, 8]
    assert reviews([0, 10, 200, 210, 1000], review_tracklets=100, review_seconds=100) == [2, 4]
    assert reviews([0] * 9, review_tracklets=4) == []  # all at once, whatever their order


def test_what_is_old_is_let_go_and_an_identity_keeps_to_its_budget():
    known = memory(settings=MemorySettings(keep_days=1, budget=5, review_tracklets=10))
    for k in range(40):
        known.observe(seen(1, "gate", k, 100.0 * k, embeddings=looks(1, 1 + k % 3)))
    known.review()
    assert len(known._table) == 5
    assert len(known._retired) == 35
    assert {known.identity_of("gate", k) for k in range(40)} == {1}
    with pytest.raises(DataError, match="not why"):
        known.explain("gate", min(k for k in range(40) if known._table.find(("gate", k)) is None))
    gone = next(k for k in range(40) if known._table.find(("gate", k)) is None)
    # One that goes on is compared again, and nobody else can be in its place.
    assert known.observe(seen(1, "gate", gone, 100.0 * gone, 100.0 * gone + 50)).identity == 1
    other = next(k for k in range(40) if known._table.find(("gate", k)) is None)
    assert known.observe(seen(1, "gate", 99, 100.0 * other, 100.0 * other + 5)).identity != 1
    known.observe(seen(2, "gate", 100, 200_000))
    known.review()
    assert len(known._table) + len(known._retired) == 1
    with pytest.raises(DataError, match="no such tracklet"):
        known.identity_of("gate", 3)


def test_a_review_is_bounded_and_leaves_what_it_does_not_look_at(monkeypatch):
    bounds = Limits(recent=12, earlier=6, each=2)
    monkeypatch.setattr("tracker.identity.memory.Limits", lambda: bounds)
    sizes = []
    judge = review.judge
    monkeypatch.setattr(
        "tracker.identity.memory.judge", lambda t, r, nodes, e: sizes.append(len(nodes.rows)) or judge(t, r, nodes, e)
    )
    known = memory(settings=MemorySettings(review_tracklets=5))
    truth = {}
    for k in range(60):
        known.observe(seen(k % 5, f"c{k % 2}", k, 30.0 * k, embeddings=looks(k % 5, 1 + k % 4)))
        truth.setdefault(k % 5, set()).add((f"c{k % 2}", k))
    known.review()
    assert max(sizes) <= 18
    assert {frozenset(keys) for keys in known.identities().values()} == {frozenset(keys) for keys in truth.values()}


def test_which_tracklets_a_review_looks_at():
    table = Table()
    for k in range(20):
        table.put(seen(k, "gate", k, 10.0 * k), k % 3)  # 0 for none
    nodes = select(table, np.arange(20), np.empty(0, int), Limits(recent=5, earlier=10, each=2))
    assert nodes.rows[:5].tolist() == [15, 16, 17, 18, 19]
    assert sorted(nodes.rows[5:].tolist()) == [10, 11, 13, 14]
    assert nodes.group[5:].tolist() == [k % 3 for k in nodes.rows[5:].tolist()]
    assert nodes.weight[5:].tolist() == [2.5] * 4  # five each, by two
    few = select(table, np.arange(20), np.empty(0, int), Limits(recent=5, earlier=1, each=2))
    assert few.rows.tolist() == [15, 17, 18, 14]  # not 16 and 19 of identity 1: no room for its earlier ones
    settled = select(table, np.arange(20), np.array([1]), Limits(last=2))
    assert {
        row: group for row, group in zip(settled.rows.tolist(), settled.group.tolist(), strict=True) if group > 0
    } == dict.fromkeys((13, 10, 7, 4), 1)


def test_names_and_forgetting():
    known = memory()
    for p in range(3):
        known.observe(seen(p, "gate", p, 10.0 * p))
    known.name(2, "Anna")
    assert known.names == {2: "Anna"}
    known.forget(2)
    assert known.names == {}
    assert 2 not in known.identities()
    with pytest.raises(DataError, match="identity 2"):
        known.forget(2)
    with pytest.raises(DataError, match="identity 2"):
        known.name(2, "Bert")
    assert known.changes()[-1].kind == "forgotten"
    assert known.observe(seen(1, "hall", 1, 100)).identity == 4


def test_a_union_keeps_the_name():
    known = memory()
    for track in range(2):
        known.observe(seen(1, f"c{track}", track, 10.0 * track))
    known._table.rows["identity"][1] = 2
    known._next_identity = 3
    known.name(2, "Anna")
    known.review()
    assert known.identity_of("c1", 1) == 1
    assert known.names == {1: "Anna"}
