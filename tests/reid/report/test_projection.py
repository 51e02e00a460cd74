import numpy as np
import pytest

from reid.report.projection import affinities, principal, student, tsne


def clusters(seed=0, count=6, each=20, d=16):
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(count), each)
    x = random.normal(size=(count, d))[labels] + 0.35 * random.normal(size=(len(labels), d))
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True), np.float32), labels


def test_principal_components_are_those_of_the_covariance():
    x, _ = clusters()
    values = np.linalg.eigvalsh(np.cov(x.T.astype(float)))[::-1]
    np.testing.assert_allclose(np.cov(principal(x, 3).T), np.diag(values[:3]), atol=1e-9)


def test_affinities_have_the_wanted_perplexity():
    x, _ = clusters(count=2, each=12)
    squared = ((x[:, None].astype(float) - x[None]) ** 2).sum(2)
    given = np.empty_like(squared)
    for i in range(len(x)):  # the precision of each row by a fine search
        tried = []
        for precision in np.exp(np.linspace(-4, 6, 2000)):
            p = np.exp(-precision * (squared[i] - np.partition(squared[i], 1)[1])) * (np.arange(len(x)) != i)
            p /= p.sum()
            tried.append((abs(-(p[p > 0] * np.log(p[p > 0])).sum() - np.log(7)), p))
        given[i] = min(tried, key=lambda pair: pair[0])[1]
    np.testing.assert_allclose(affinities(x, 7), (given + given.T) / (2 * len(x)), atol=5e-5)


def test_neighbours_stay_neighbours_and_it_is_as_good_as_scikit_learns():
    manifold = pytest.importorskip("sklearn.manifold")
    x, labels = clusters(count=5, each=16)
    place = tsne(x, perplexity=15)
    nearest = np.argsort(((place[:, None] - place[None]) ** 2).sum(2) + np.diag([np.inf] * len(x)), axis=1)[:, :5]
    assert (labels[nearest] == labels[:, None]).mean() > 0.97

    def divergence(place):
        p, q = affinities(x, 15), student(place.astype(np.float32)).astype(float)
        q, known = q / q.sum(), p > 1e-12
        return (p[known] * np.log(p[known] / q[known])).sum()

    theirs = manifold.TSNE(perplexity=15, init="pca", method="exact", max_iter=500).fit_transform(x)
    assert divergence(place) < divergence(theirs) + 0.1


@pytest.mark.parametrize("count", [1, 2, 4, 6])
def test_few_and_equal_vectors_are_defined(count):
    x = np.tile(np.array([[1, 0, 0]], np.float32), (count, 1))
    assert tsne(x).shape == (count, 2)
    assert np.isfinite(tsne(x)).all()
