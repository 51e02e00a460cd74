import numpy as np
import pytest

from reid.errors import DataError
from reid.evaluate import Retrieval, cosine
from reid.verify import verification, verify


def pairs(seed, q=40, g=700):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(10, 8))
    labels = [
        random.integers(-1, 10, q),
        random.integers(-1, 10, g),
        random.integers(0, 3, q),
        random.integers(0, 3, g),
    ]
    vectors = [centres[i] + random.normal(size=(len(i), 8)) for i in labels[:2]]
    q, g = (np.asarray(v / np.linalg.norm(v, axis=1, keepdims=True), np.float32) for v in vectors)
    return q, g, labels


def test_by_counting():
    random = np.random.default_rng(0)
    distance = np.concatenate([random.normal(0.3, 0.1, 500), random.normal(0.8, 0.1, 5000)])
    same = np.arange(5500) < 500
    for rate in (0.1, 0.01, 0.001):
        point = verification(distance, same, false_match_rate=rate)
        assert (distance[~same] <= point.threshold).mean() == point.false_match_rate <= rate
        assert (distance[same] > point.threshold).mean() == point.false_non_match_rate
        # Any higher threshold would let too many through.
        above = np.sort(distance[~same][distance[~same] > point.threshold])[0]
        assert (distance[~same] <= above).mean() > rate


@pytest.mark.parametrize("seed", range(3))
def test_block_by_block_equals_all_pairs_at_once(seed, monkeypatch):
    monkeypatch.setattr("reid.evaluate.QUERIES_AT_ONCE", 7)
    q, g, (qi, gi, qc, gc) = pairs(seed)
    got = verify(Retrieval(qi, gi, qc, gc), cosine(q, g), rates=(0.05, 1e-3))
    distance, same = [], []
    for i in range(len(q)):
        for j in range(len(g)):
            if qi[i] > 0 and gi[j] != -1 and not (qi[i] == gi[j] and qc[i] == gc[j]):
                distance.append(1 - q[i] @ g[j])
                same.append(qi[i] == gi[j])
    distance, same = np.array(distance), np.array(same)
    for rate, point in zip((0.05, 1e-3), got.points, strict=True):
        expected = verification(distance, same, false_match_rate=rate)
        assert point.threshold == pytest.approx(expected.threshold, abs=1e-6)
        assert point.false_match_rate == pytest.approx(expected.false_match_rate, abs=1e-4)
        assert point.false_non_match_rate == pytest.approx(expected.false_non_match_rate, abs=1e-2)
    assert (got.same.sum(), got.different.sum()) == (same.sum(), (~same).sum())
    fmr, fnmr = got.curve()
    for edge in (300, 900, 1500):
        assert fmr[edge] == pytest.approx((distance[~same] < got.edges[edge]).mean(), abs=1e-3)
        assert fnmr[edge] == pytest.approx((distance[same] >= got.edges[edge]).mean(), abs=5e-3)
    assert (np.diff(fmr) >= 0).all()
    assert (np.diff(fnmr) <= 1e-12).all()
    threshold, rate = got.equal_errors
    assert (distance[~same] < threshold).mean() == pytest.approx(rate, abs=0.02)
    assert (distance[same] >= threshold).mean() == pytest.approx(rate, abs=0.02)


def test_words_name_the_threshold_and_doubt_few_pairs():
    q, g, labels = pairs(0)
    lines = verify(Retrieval(*labels), cosine(q, g)).in_words()
    assert "up to a cosine distance of" in lines[0]
    assert "take it as a hint" not in lines[0]
    assert "take it as a hint" in lines[1]  # a thousandth of some 20,000 pairs


def test_needs_both_kinds():
    with pytest.raises(DataError, match="both pairs"):
        verification(np.array([0.1]), np.array([True]))
    x, one, cameras = np.eye(2, dtype=np.float32), np.array([1, 1]), np.array([0, 1])
    with pytest.raises(DataError, match="both pairs"):
        verify(Retrieval(one, one, cameras, cameras), cosine(x, x))
