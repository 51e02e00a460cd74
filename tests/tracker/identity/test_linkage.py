"""Average linkage against scipy's, and with pairs that cannot be one against naive loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from tracker.identity.linkage import average_linkage


def drawn(seed, count, ties=False):
    random = np.random.default_rng(seed)
    values = random.integers(-3, 4, (count, count)).astype(float) if ties else random.normal(size=(count, count))
    return values + values.T, random


def naive(similarity, forbidden, bar):
    """Clusters by loops over all pairs of members, each time anew."""
    clusters = [[i] for i in range(len(similarity))]
    heights = []
    while True:
        best = None
        for i, a in enumerate(clusters):
            for j in range(i + 1, len(clusters)):
                b = clusters[j]
                if any(forbidden[x, y] for x in a for y in b):
                    continue
                mean = sum(similarity[x, y] for x in a for y in b) / (len(a) * len(b))
                if mean > bar and (best is None or mean > best[0] + 1e-12):
                    best = mean, i, j
        if best is None:
            return clusters, heights
        heights.append(best[0])
        clusters[best[1]] += clusters.pop(best[2])


def partition(label):
    return {frozenset(np.flatnonzero(label == value).tolist()) for value in set(label.tolist())}


@given(st.integers(0, 10**6), st.integers(2, 30), st.floats(-2, 2))
def test_without_constraints_it_is_that_of_scipy(seed, count, bar):
    similarity, _ = drawn(seed, count)
    np.fill_diagonal(similarity, 0)
    found = average_linkage(similarity, np.zeros((count, count), bool), bar=bar)
    offset = 10.0  # scipy wants distances
    distance = offset - similarity
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average")
    assert partition(found.label) == partition(fcluster(tree, offset - bar, "distance"))
    merged = tree[:, 2] < offset - bar
    assert found.height == pytest.approx(offset - tree[merged, 2])


@given(st.integers(0, 10**6), st.integers(1, 14), st.floats(-2, 2), st.floats(0, 0.6))
def test_with_pairs_that_cannot_be_one_it_is_that_of_naive_loops(seed, count, bar, share):
    similarity, random = drawn(seed, count)
    forbidden = random.random((count, count)) < share
    forbidden |= forbidden.T
    found = average_linkage(similarity, forbidden, bar=bar)
    clusters, heights = naive(similarity, forbidden, bar)
    assert partition(found.label) == {frozenset(c) for c in clusters}
    assert found.height == pytest.approx(heights)
    assert (np.diff(found.height) <= 1e-9).all()
    for i, a in enumerate(clusters):
        for b in clusters[:i]:
            value = found.similarity[found.label[a[0]], found.label[b[0]]]
            never = any(forbidden[x, y] for x in a for y in b)
            assert value == (-np.inf if never else pytest.approx(similarity[np.ix_(a, b)].mean()))


@given(st.integers(0, 10**6), st.integers(2, 20))
def test_the_order_of_rows_does_not_matter(seed, count):
    similarity, random = drawn(seed, count)
    forbidden = random.random((count, count)) < 0.2
    forbidden |= forbidden.T
    order = random.permutation(count)
    one = average_linkage(similarity, forbidden, bar=0.0).label
    other = average_linkage(similarity[np.ix_(order, order)], forbidden[np.ix_(order, order)], bar=0.0).label
    back = np.empty(count, np.int64)
    back[order] = other
    assert partition(back) == partition(one)


@given(st.integers(0, 10**6), st.integers(2, 16))
def test_groups_stay_one_and_count_as_all_their_rows(seed, count):
    similarity, random = drawn(seed, count)
    groups = random.integers(0, 4, count)
    found = average_linkage(similarity, np.zeros((count, count), bool), bar=0.5, groups=groups)
    for group in set(groups.tolist()):
        assert len(set(found.label[groups == group].tolist())) == 1
    # The same with a row for each group: their means, and their sizes as weights.
    known = np.unique(groups)
    mean = np.array([[similarity[np.ix_(groups == a, groups == b)].mean() for b in known] for a in known])
    size = np.array([(groups == a).sum() for a in known])
    less = average_linkage(mean, np.zeros_like(mean, bool), bar=0.5, weight=size)
    assert partition(less.label[np.searchsorted(known, groups)]) == partition(found.label)


def test_of_equals_the_first_are_united_first():
    similarity = np.array([[0, 1, 1], [1, 0, -3], [1, -3, 0]], float)
    found = average_linkage(similarity, np.zeros((3, 3), bool), bar=0.0)
    assert found.label.tolist() == [0, 0, 1]


def test_nothing_at_all_has_no_cluster():
    found = average_linkage(np.zeros((0, 0)), np.zeros((0, 0), bool), bar=0.0)
    assert len(found.label) == len(found.height) == 0
