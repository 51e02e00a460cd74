"""Prior odds, travel times, places: each with its right value."""

import numpy as np
import pytest
from people import Line, seen

from tracker import DataError
from tracker.identity import place
from tracker.identity.evidence import Evidence, Views, learn_travel, simultaneous
from tracker.identity.prior import learned_odds, stated_odds
from tracker.identity.table import Table
from tracker.identity.travel import ASTRAY, BINS, EDGES, TravelTimes, bin_of


def test_the_bar_rises_with_the_gallery():
    assert stated_odds(1) == stated_odds(2) == 0
    assert stated_odds(101) == pytest.approx(-np.log(100))


@pytest.mark.parametrize("share", [0.1, 0.01])
def test_the_share_of_pairs_of_one_identity_is_found(share):
    # Gaussian scores with a known ratio: N(±d/2, d) of log-likelihood ratios (calibrated by construction).
    random, pairs, d = np.random.default_rng(3), 40_000, 12.0
    same = random.random(pairs) < share
    evidence = random.normal(np.where(same, d / 2, -d / 2), np.sqrt(d))
    odds = learned_odds(evidence, 283)
    assert odds == pytest.approx(np.log(share / (1 - share)), abs=0.15)


def test_with_few_pairs_the_stated_prior_holds():
    assert learned_odds(np.array([50.0]), 2) == pytest.approx(np.log(0.6 / 0.4))
    assert learned_odds(np.array([-50.0]), 2) == pytest.approx(np.log(0.4 / 0.6))
    assert learned_odds(np.empty(0), 1) < 0.1


def test_bins_of_travel_times():
    assert bin_of(np.array([-5.0, 0.0, 0.5, 1e9])).tolist() == [0, 0, 1, BINS - 1]
    assert (np.diff(EDGES[1:-1]) > 0).all()


def test_travel_times_are_learnt_and_no_time_is_much_against_anybody():
    random = np.random.default_rng(1)
    # From 0 to 1 people take 20 s; strangers come at any time within 1,000 s.
    gap = np.concatenate([random.normal(20, 1, 200), random.uniform(0, 1000, 20_000)])
    camera = np.tile([[0], [1]], len(gap))
    travel = TravelTimes.learned(camera, gap, np.arange(len(gap)) < 200, 2)
    usual, late, other = travel.log_ratio(np.array([0, 0, 1]), np.array([1, 1, 0]), np.array([20.0, 500.0, 500.0]))
    assert usual > 3
    assert np.log(ASTRAY) - 1e-9 <= late < -2
    assert late < other  # on the way back little is known, and what holds for all cameras counts less
    assert travel.log_ratio(5, 0, np.array([3.0])).tolist() == [0]


def test_without_anything_learnt_time_is_no_evidence():
    assert TravelTimes.unknown().log_ratio(np.array([0]), np.array([1]), np.array([3.0])).tolist() == [0]
    nothing = TravelTimes.learned(np.empty((2, 0), np.int64), np.empty(0), np.empty(0, bool), 3)
    assert nothing.ratio == pytest.approx(0)


def test_travel_times_survive_a_store():
    travel = TravelTimes.learned(np.array([[0, 1], [1, 1]]), np.array([4.0, -1.0]), np.array([True, False]), 2)
    assert (TravelTimes.from_plain(travel.as_plain()).ratio == travel.ratio).all()
    assert len(TravelTimes.from_plain(TravelTimes.unknown().as_plain()).same) == 0
    with pytest.raises(DataError, match="travel times"):
        TravelTimes.from_plain({"same": [[[1.0]]], "different": [[[1.0]]]})


def test_who_is_lost_and_appears_there_at_once_is_the_same():
    box, still = np.array([0.4, 0.4, 0.5, 0.7]), np.zeros(2)
    right = np.array([0.4, 0, 0.4, 0])
    at_once, later = (place.log_ratio(box, still, box, np.array(gap)) for gap in (0.2, 300.0))
    elsewhere = place.log_ratio(box, still, box + right, np.array(0.2))
    assert at_once > 4
    assert abs(later) < 0.01
    assert elsewhere < -3
    ahead = place.log_ratio(box, np.array([0.5, 0]), box + right / 2, np.array(0.5))
    assert ahead > place.log_ratio(box, still, box + right / 2, np.array(0.5)) + 1
    small = place.log_ratio(box, still, np.array([0.44, 0.52, 0.46, 0.58]), np.array(0.2))
    assert small < at_once - 5
    assert place.log_ratio(box, still, np.full(4, np.nan), np.array(0.2)) == 0


def rows_of(*tracklets):
    table = Table()
    for tracklet in tracklets:
        table.put(tracklet)
    return table, np.arange(len(table))


def test_evidence_is_symmetric_and_a_sum_of_its_terms():
    first, last = (0.1, 0.1, 0.2, 0.4), (0.4, 0.1, 0.5, 0.4)
    table, rows = rows_of(
        *(seen(i % 3, f"c{i % 2}", i, 3.0 * i, 3.0 * i + 4, first_xyxy=first, last_xyxy=last) for i in range(9)),
        seen(0, "c1", 20, 6.0, 7.0),  # began with another
    )
    travel = learn_travel(table, rows, np.arange(10) % 3)
    terms = Evidence(Line(), travel).terms(table, rows, rows)
    assert terms.shape == (3, 10, 10)
    assert terms == pytest.approx(terms.transpose(0, 2, 1), abs=1e-5)
    one = Evidence(Line(), travel).terms(table, rows[4:5], rows)
    assert one[:, 0] == pytest.approx(terms[:, 4], abs=1e-5)
    assert np.abs(terms[1]).sum() > 0


def test_learning_travel_times_does_not_depend_on_the_order_of_rows():
    tracklets = [seen(i % 3, f"c{i % 2}", i, float(i // 2)) for i in range(12)]
    label = np.arange(12) % 3
    table, rows = rows_of(*tracklets)
    back, _ = rows_of(*tracklets[::-1])
    one, other = learn_travel(table, rows, label), learn_travel(back, rows, label[::-1])
    swap = [back.cameras.number_of(name) for name in table.cameras.names]
    assert one.ratio == pytest.approx(other.ratio[np.ix_(swap, swap)])


def test_what_cannot_be_one():
    table, rows = rows_of(
        seen(1, "a", 1, 0, 5),
        seen(1, "a", 2, 5, 9),  # in the instant in which the first ends
        seen(1, "a", 3, 5.1, 9),
        seen(1, "b", 4, 3, 9),
        seen(1, "c", 5, 3, 9),
        seen(1, "d", 6, 50, 60, class_id=2),
    )

    def pairs(views):
        mask = Evidence(Line(), views=views).forbidden(table, rows, rows)
        assert (mask == mask.T).all()
        i, j = np.nonzero(np.triu(mask, 1))
        same_class = table.rows["class_id"][i] == table.rows["class_id"][j]
        assert same_class.sum() == len(i) - 5  # the last row is of another class
        sparse = simultaneous(*(table.rows[c] for c in ("begin", "end", "camera")), views)
        found = {(int(a), int(b)) for a, b in zip(i[same_class], j[same_class], strict=True)}
        assert {tuple(sorted((int(a), int(b)))) for a, b in zip(*sparse, strict=True)} == found
        return found

    assert pairs(Views()) == {(0, 1), (1, 2)}
    every = {(0, 1), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4), (1, 4), (2, 4), (3, 4)}
    assert pairs(Views(declared=True)) == every
    assert pairs(Views(frozenset({(1, 2)}), declared=True)) == every - {(3, 4)}
