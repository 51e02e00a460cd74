"""Odds that hold are told from odds that do not."""

import numpy as np
import pytest

from reid.calibration import Calibration, PairCounts
from reid.calibration.reliability import reliability


def normals(same, different, pairs=20_000, seed=0):
    random, counts = np.random.default_rng(seed), PairCounts.none()
    for mean, kind in ((same, True), (different, False)):
        counts.add(random.normal(mean, 0.1, pairs), np.full(pairs, kind), size=1, across=True)
    return counts


def test_odds_of_the_same_people_hold():
    (found,) = reliability(Calibration.fitted(normals(0.5, 0.7)), normals(0.5, 0.7, seed=1))
    assert (found.regime, found.size, found.same, found.different) == ("across", 1, 20_000, 20_000)
    assert found.calibration_error < 0.01
    assert found.cost == pytest.approx(found.least_cost, abs=0.01)
    there = np.isfinite(found.said)
    np.testing.assert_allclose(found.said[there], found.found[there], atol=0.04)
    assert found.weight.sum() == pytest.approx(1)


def test_odds_of_easier_people_are_too_sure():
    (found,) = reliability(Calibration.fitted(normals(0.3, 0.7)), normals(0.5, 0.7))
    assert found.calibration_error > 0.05
    assert found.cost > found.least_cost + 0.1


def test_what_says_nothing_costs_a_bit():
    nothing = Calibration(np.zeros((2, 4, 129)), np.ones(2, bool), PairCounts.none())
    (found,) = reliability(nothing, normals(0.5, 0.7))
    assert found.cost == pytest.approx(1)
    assert found.calibration_error == pytest.approx(0)
    assert reliability(Calibration.unknown(), normals(0.5, 0.7)) == []
    assert reliability(nothing, normals(0.5, 0.7, pairs=29)) == []
