import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reid.errors import DataError
from reid.evaluate import Retrieval, cosine, evaluate_ranking, rank


def unit(random, n, d=6):
    x = random.normal(size=(n, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def naive(distance, qi, gi, qc, gc, ranks, keep=None):
    """One query, one gallery image at a time, by the rules; among equals, wrong ones first."""
    first, average, penalty = [], [], []
    for i in range(len(qi)):
        if qi[i] <= 0:
            continue
        hits = []
        for j in sorted(range(len(gi)), key=lambda j: (distance[i][j], gi[j] == qi[i])):
            if gi[j] == -1 or (gi[j] == qi[i] and gc[j] == qc[i] and qc[i] >= 0):
                continue
            if keep is not None and not keep(i, j):
                continue
            hits.append(gi[j] == qi[i])
        if not any(hits):
            continue
        places = [rank for rank, hit in enumerate(hits, 1) if hit]
        first.append(places[0])
        average.append(np.mean([(k + 1) / place for k, place in enumerate(places)]))
        penalty.append(len(places) / places[-1])
    if not first:
        return None
    return [np.mean([f <= r for f in first]) for r in range(1, ranks + 1)], np.mean(average), np.mean(penalty)


@st.composite
def retrievals(draw):
    """Few identities and cameras, so that every rule is met; whole distances, so that ties are."""
    q, g = draw(st.integers(1, 6)), draw(st.integers(1, 14))
    labels = [draw(arrays(np.int64, n, elements=st.integers(-1, 3))) for n in (q, g, q, g)]
    return draw(arrays(np.float32, (q, g), elements=st.integers(0, 5))), labels


@settings(max_examples=300)
@given(retrievals())
def test_equals_a_naive_loop(case):
    distance, labels = case
    expected = naive(distance, *labels, ranks=20)
    if expected is None:
        with pytest.raises(DataError, match="no query has an image"):
            rank(Retrieval(*labels), lambda rows: distance[rows], ranks=20)
        return
    got = rank(Retrieval(*labels), lambda rows: distance[rows], ranks=20)
    np.testing.assert_allclose(got.cmc, expected[0])
    np.testing.assert_allclose([got.mean_ap, got.mean_inp], expected[1:])
    assert np.isfinite(got.average_precision).sum() == got.queries


def test_many_queries_go_in_blocks_and_stay_in_order():
    random = np.random.default_rng(1)
    q, g = unit(random, 600), unit(random, 300)
    labels = [
        random.integers(-1, 9, 600),
        random.integers(-1, 9, 300),
        random.integers(0, 3, 600),
        random.integers(0, 3, 300),
    ]
    got = evaluate_ranking(q, g, *labels, ranks=20)
    cmc, mean_ap, mean_inp = naive((1 - q @ g.T).tolist(), *labels, 20)
    np.testing.assert_allclose(got.cmc, cmc)
    np.testing.assert_allclose([got.mean_ap, got.mean_inp], [mean_ap, mean_inp])
    assert np.isnan(got.average_precision[labels[0] <= 0]).all()
    one = evaluate_ranking(q[7:8], g, labels[0][7:8], labels[1], labels[2][7:8], labels[3])
    assert got.average_precision[7] == pytest.approx(one.mean_ap)


def test_a_collapsed_network_gains_nothing_from_the_gallerys_order():
    x = np.tile(np.array([[1, 0]], np.float32), (40, 1))
    identity, camera = np.repeat(np.arange(1, 5), 10), np.tile([0, 1], 20)
    assert evaluate_ranking(x, x, identity, identity, camera, camera).cmc[0] == 0


def test_unknown_cameras_are_never_the_same_one():
    x = np.eye(2, dtype=np.float32)
    identity, unknown = np.array([1, 2]), np.array([-1, -1])
    assert evaluate_ranking(x, x, identity, identity, unknown, unknown).cmc[0] == 1


def test_an_image_does_not_find_itself():
    x = np.array([[1, 0], [0.9, 0.4], [0.8, 0.6], [0, 1]], np.float32)
    identity, unknown = np.array([1, 2, 1, 2]), np.full(4, -1)
    alone = Retrieval(identity, identity, unknown, unknown, np.arange(4))
    got = rank(alone, cosine(x, x))
    # Looking for 0 finds 1 (wrong), then 2; looking for 2 finds 1 (wrong), then 0; the others likewise come second.
    assert got.cmc[0] == 0
    assert got.mean_ap == pytest.approx(np.mean([1 / 2, 1 / 3, 1 / 2, 1 / 2]))
    assert rank(Retrieval(identity, identity, unknown, unknown), cosine(x, x)).cmc[0] == 1


def test_distractors_push_matches_down_and_junk_does_not():
    near, far = [1, 0], [0.8, 0.6]
    q, g = np.array([near], np.float32), np.array([near, far], np.float32)
    one = np.array([1])
    for identity, expected in ((0, 0), (-1, 1)):
        got = evaluate_ranking(q, g, one, np.array([identity, 1]), np.array([0]), np.array([1, 1]))
        assert got.cmc[0] == expected


def test_single_shot_is_the_mean_over_galleries_of_one_image_each():
    """With every gallery of one image each drawn often, the mean comes near the mean over all of them."""
    random = np.random.default_rng(3)
    distance = random.random((4, 9)).astype(np.float32)
    labels = [np.array([1, 2, 3, 1]), np.repeat([1, 2, 3], 3), np.zeros(4, int), np.ones(9, int)]
    exact = [
        naive(distance, *labels, 3, keep=lambda i, j, d=drawn: j in d)
        for drawn in ({a, 3 + b, 6 + c} for a in range(3) for b in range(3) for c in range(3))
    ]
    got = rank(Retrieval(*labels), lambda rows: distance[rows], ranks=3, single_shot=2000)
    np.testing.assert_allclose(got.cmc, np.mean([e[0] for e in exact], axis=0), atol=0.03)
    assert got.mean_ap == pytest.approx(np.mean([e[1] for e in exact]), abs=0.02)
    again = rank(Retrieval(*labels), lambda rows: distance[rows], ranks=3, single_shot=5, seed=1)
    assert np.array_equal(
        again.cmc, rank(Retrieval(*labels), lambda rows: distance[rows], ranks=3, single_shot=5, seed=1).cmc
    )


@pytest.mark.parametrize(
    ("query", "gallery", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), r"\(Q, D\) and \(G, D\), got \(2, 3\) and \(2, 4\)"),
        (np.ones((2, 3)), np.array([[1, 0, 0], [np.nan, 0, 0]]), "gallery: vector 1 has NaN"),
    ],
)
def test_vectors_that_are_none(query, gallery, message):
    with pytest.raises(DataError, match=message):
        cosine(query.astype(np.float32), gallery.astype(np.float32))


def test_labels_of_another_length():
    x, labels = np.eye(2, dtype=np.float32), np.array([1, 2])
    with pytest.raises(DataError, match="gallery: 2 vectors, but 1 identities"):
        evaluate_ranking(x, x, labels, labels[:1], labels, labels[:1])
    with pytest.raises(DataError, match="query: 2 identities, but 1 cameras"):
        evaluate_ranking(x, x, labels, labels, labels[:1], labels)
