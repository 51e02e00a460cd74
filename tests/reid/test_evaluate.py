import numpy as np
import pytest

from reid.errors import DataError
from reid.evaluate import evaluate_ranking, verification


def unit(random, n, d=6):
    x = random.normal(size=(n, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def naive(q, g, qi, gi, qc, gc, ranks):
    """One query, one gallery image at a time, by the rules."""
    first, average, penalty = [], [], []
    for i in range(len(q)):
        if qi[i] <= 0:
            continue
        order = sorted(range(len(g)), key=lambda j: (-float(q[i] @ g[j]), j))
        hits = []
        for j in order:
            if gi[j] == -1 or (gi[j] == qi[i] and gc[j] == qc[i] and qc[i] >= 0):
                continue
            hits.append(gi[j] == qi[i])
        if not any(hits):
            continue
        places = [rank for rank, hit in enumerate(hits, 1) if hit]
        first.append(places[0])
        average.append(np.mean([(k + 1) / place for k, place in enumerate(places)]))
        penalty.append(len(places) / places[-1])
    return [np.mean([f <= r for f in first]) for r in range(1, ranks + 1)], np.mean(average), np.mean(penalty)


@pytest.mark.parametrize("seed", range(5))
def test_equals_a_naive_loop(seed):
    random = np.random.default_rng(seed)
    q, g = unit(random, 30), unit(random, 80)
    qi, gi = random.integers(0, 8, 30), random.integers(-1, 8, 80)  # distractors and junk among them
    qc, gc = random.integers(0, 3, 30), random.integers(0, 3, 80)
    got = evaluate_ranking(q, g, qi, gi, qc, gc, ranks=20)
    cmc, mean_ap, mean_inp = naive(q, g, qi, gi, qc, gc, 20)
    np.testing.assert_allclose(got.cmc, cmc)
    assert got.mean_ap == pytest.approx(mean_ap)
    assert got.mean_inp == pytest.approx(mean_inp)


def test_unknown_cameras_are_never_the_same_one():
    x = np.eye(2, dtype=np.float32)
    identity, unknown = np.array([1, 2]), np.array([-1, -1])
    assert evaluate_ranking(x, x, identity, identity, unknown, unknown).cmc[0] == 1


def test_no_match_at_all_is_refused():
    x = np.eye(2, dtype=np.float32)
    identity, camera = np.array([1, 2]), np.array([0, 0])
    with pytest.raises(DataError, match="no query has an image"):
        evaluate_ranking(x, x, identity, identity, camera, camera)


def test_verification_by_counting():
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


def test_verification_needs_both_kinds():
    with pytest.raises(DataError, match="both pairs"):
        verification(np.array([0.1]), np.array([True]))
