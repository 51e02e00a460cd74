"""The benchmark of identities over a site: its tracklets, its scores, and the rules of others."""

import itertools

import numpy as np
import pytest

from tools.benchmarks.identity_peers import RULES, Tracklets, nearest_tracklet, single_linkage
from tools.benchmarks.identity_site import SEQUENCE, judge, make_site, remembered


def unit(vectors):
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def vectors_of(people, noise=0.05, size=32):
    random = np.random.default_rng(3)
    known = random.normal(size=(max(people) + 1, size))
    return unit(known[people] / np.sqrt(size) + noise * random.normal(size=(len(people), size)))


def test_names_become_tracklets_in_the_order_of_their_ends():
    names = [
        "0002_c1s1_000025_01.jpg",
        "0002_c1s1_000050_01.jpg",
        "0002_c1s1_000500_01.jpg",  # 18 s later
        "0002_c2s1_000075_02.jpg",
        "0007_c1s2_000000_01.jpg",
    ]
    site = make_site(names, vectors_of([0, 0, 0, 0, 1]))
    assert [(t.camera, t.begin - SEQUENCE, t.end - SEQUENCE) for t in site.tracklets] == [
        ("1", 1, 2),
        ("2", 3, 3),
        ("1", 20, 20),
        ("1", SEQUENCE, SEQUENCE),
    ]
    assert site.person.tolist() == [2, 2, 2, 7]
    assert site.crops.tolist() == [2, 1, 1, 1]


def drawn(people=6, cameras=3, times=2):
    names = [
        f"{p + 1:04d}_c{c + 1}s1_{25 * (100 * p + 400 * c + 2000 * k):06d}_01.jpg"
        for p in range(people)
        for c in range(cameras)
        for k in range(times)
    ]
    who = np.repeat(np.arange(people), cameras * times)
    return make_site(names, vectors_of(who))


def test_scores_are_those_of_naive_counting():
    site = drawn()
    label = np.random.default_rng(1).integers(-1, 5, len(site.person))
    best = 0
    people = np.unique(site.person)
    for chosen in itertools.permutations([*range(5), None], len(people)):
        best = max(
            best,
            sum(
                (site.crops[(site.person == p) & (label == k)]).sum()
                for p, k in zip(people, chosen, strict=True)
                if k is not None
            ),
        )
    right = said = same = 0
    for i, j in itertools.combinations(range(len(label)), 2):
        if site.tracklets[i].camera != site.tracklets[j].camera:
            alike, claimed = site.person[i] == site.person[j], label[i] == label[j] >= 0
            right, said, same = right + (alike and claimed), said + claimed, same + alike
    found = judge(site, label)
    assert found.idf1 == pytest.approx(2 * best / (site.crops.sum() + site.crops[label >= 0].sum()))
    assert (found.precision, found.recall) == pytest.approx((right / said, right / same))
    assert found.undecided == (label < 0).sum()


def test_people_who_look_alike_to_nobody_are_known_by_every_rule():
    site = drawn()
    for name, rule in RULES.items():
        found = judge(site, rule(site.for_peers(), 0.4))
        assert (found.idf1, found.precision, found.recall) == (1, 1, 1), name
        nobody = judge(site, rule(site.for_peers(), -0.01))
        assert nobody.recall == 0, name
    assert judge(site, remembered(site, "default", review=True)[1]).precision == 1


def test_rules_of_others_do_what_is_known_of_them():
    vectors = unit(np.array([[1, 0], [0.9, 0.5], [0.5, 0.9], [0, 1]], float))
    chain = Tracklets(vectors, np.arange(4), np.arange(4.0), np.arange(4.0))
    assert single_linkage(chain, 0.2).tolist() == [0, 0, 0, 0]  # the ends are at a right angle
    assert nearest_tracklet(chain, 0.2).tolist() == [0, 0, 0, 0]
    assert RULES["running centroid"](chain, 0.2).tolist() == [0, 0, 2, 2]
    at_once = Tracklets(vectors[[0, 0, 0]], np.zeros(3, int), np.array([0.0, 1, 9]), np.array([5.0, 6, 10]))
    for name in ("average linkage + cannot-link, online", "average linkage + cannot-link, offline"):
        label = RULES[name](at_once, 0.5)
        assert label[0] != label[1], name
        assert label[2] in label[:2], name


def test_on_people_of_six_cameras_it_is_better_than_the_rules_of_others_tuned_on_them(data):
    from reid import load_embedder

    files = sorted((data / "reid/market1501/val").rglob("*.jpg"))
    people = sorted({file.name[:4] for file in files})[:20]
    files = [file for file in files if file.name[:4] in people]
    vectors = load_embedder("default", device="cpu").embed_files(files)
    site = make_site([file.name for file in files], unit(vectors))
    found = judge(site, remembered(site, "default")[1])
    assert found.idf1 > 0.93
    assert found.precision > 0.95
    assert found.recall > 0.8
    peer = judge(site, RULES["average linkage + cannot-link, offline"](site.for_peers(), 0.3))
    assert found.idf1 > peer.idf1
