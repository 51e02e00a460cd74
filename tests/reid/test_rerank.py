import tracemalloc

import numpy as np
import pytest

from reid.errors import ConfigError
from reid.evaluate import Retrieval, evaluate_ranking, rank
from reid.rerank import Reranker, Settings


def crowd(seed, queries=12, gallery=50, d=8, identities=6, noise=0.8):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(identities, d))
    labels = [random.integers(1, identities + 1, n) for n in (queries, gallery)]
    vectors = [centres[i - 1] + noise * random.normal(size=(len(i), d)) for i in labels]
    q, g = (np.asarray(v / np.linalg.norm(v, axis=1, keepdims=True), np.float32) for v in vectors)
    return q, g, *labels


def naive(q, g, k1, k2, weight):
    """The paper's steps with sets and loops, one image and one pair at a time."""
    x = np.concatenate([q, g]).astype(np.float64)
    n = len(x)
    d = 1 - x @ x.T
    np.fill_diagonal(d, 0)
    d /= d.max(1, keepdims=True)
    order = [sorted(range(n), key=lambda j: (j != i, d[i, j])) for i in range(n)]

    def nearest(i, k):
        return set(order[i][: k + 1])  # itself first

    def reciprocal(i, k):
        return {j for j in nearest(i, k) if i in nearest(j, k)}

    encoding = np.zeros((n, n))
    for i in range(n):
        mine = reciprocal(i, k1)
        expanded = set(mine)
        for j in mine:
            theirs = reciprocal(j, round(k1 / 2))
            if len(mine & theirs) > 2 / 3 * len(theirs):
                expanded |= theirs
        total = sum(np.exp(-d[i, j]) for j in expanded)
        for j in expanded:
            encoding[i, j] = np.exp(-d[i, j]) / total
    encoding = np.array([encoding[order[i][:k2]].mean(0) for i in range(n)])
    out = np.empty((len(q), len(g)))
    for i in range(len(q)):
        for j in range(len(g)):
            a, b = encoding[i], encoding[len(q) + j]
            jaccard = 1 - np.minimum(a, b).sum() / np.maximum(a, b).sum()
            out[i, j] = (1 - weight) * jaccard + weight * d[i, len(q) + j]
    return out


@pytest.mark.parametrize(
    ("seed", "k1", "k2", "weight"), [(0, 20, 6, 0.3), (1, 7, 1, 0.0), (2, 5, 3, 0.5), (3, 100, 6, 0.3), (4, 1, 2, 0.2)]
)
def test_equals_sets_and_loops(seed, k1, k2, weight, monkeypatch):
    monkeypatch.setattr("reid.rerank.ROWS_AT_ONCE", 16)
    q, g, *_ = crowd(seed)
    got = Reranker(q, g, Settings(k1, k2, weight))(np.arange(len(q)))
    np.testing.assert_allclose(got, naive(q, g, k1, k2, weight), atol=2e-6)


def test_rows_may_be_asked_for_in_any_order():
    q, g, *_ = crowd(0)
    reranker = Reranker(q, g)
    # To rounding: a product of other shapes may be summed in another order.
    np.testing.assert_allclose(reranker(np.array([5, 2])), reranker(np.arange(12))[[5, 2]], atol=1e-6)
    assert reranker(np.array([], int)).shape == (0, 50)


def test_it_helps_where_identities_are_clusters():
    q, g, qi, gi = crowd(5, queries=60, gallery=400, d=24, identities=20, noise=1.3)
    cameras = [np.zeros(60, int), np.ones(400, int)]
    before = evaluate_ranking(q, g, qi, gi, *cameras)
    after = rank(Retrieval(qi, gi, *cameras), Reranker(q, g))
    assert after.mean_ap > before.mean_ap + 0.03


def test_duplicates_and_two_images_are_defined():
    x = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    assert np.isfinite(Reranker(x[:1], x[1:])(np.array([0]))).all()
    assert Reranker(x[:1], x[1:2])(np.array([0])).shape == (1, 1)


def test_memory_is_far_below_all_pairs():
    q, g, *_ = crowd(6, queries=200, gallery=5800, d=32, identities=300)
    tracemalloc.start()
    Reranker(q, g)(np.arange(200))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6000 * 6000 * 8 / 3  # a third of one dense float64 matrix; the authors' code holds several


@pytest.mark.parametrize("settings", [(0, 1, 0.3), (20, 0, 0.3), (20, 22, 0.3), (20, 6, 1.5)])
def test_settings_out_of_range(settings):
    with pytest.raises(ConfigError, match="re-ranking: expected k1 >= 1"):
        Settings(*settings)
