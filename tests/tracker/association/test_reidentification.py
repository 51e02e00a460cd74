"""Who was lost gets his id back by looks alone."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from reid.calibration import load_calibration
from reid.embedder import weights_path
from reid.load import read_about
from reid.weights_file import facts
from tracker import ConfigError, Detections, load_tracker
from tracker.association import evidence as ev
from tracker.association.explain import why
from tracker.association.matching.candidates import Edges
from tracker.association.reidentification import clear_pairs
from tracker.config import load_pipeline_settings, load_recipe
from tracker.factory import PAIRS_SHARE

D, RATE = 64, 10


def look(person, turn=0.0, towards=1):
    """A unit vector of a person, turned towards another's until their cosine distance is `turn`."""
    like, other = np.eye(D)[person], np.eye(D)[towards + 30]
    return ((1 - turn) * like + np.sqrt(1 - (1 - turn) ** 2) * other).astype(np.float32)


def see(*people, score=0.9):
    """A detection each: its left side, and what it looks like."""
    boxes = [[x, 100, x + 40, 200] for x, _ in people]
    embedding = np.array([v for _, v in people], np.float32).reshape(len(people), D)
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(people), score), embedding=embedding)


class Film:
    """An engine and its clock."""

    def __init__(self, *overrides, record=False):
        self.engine, self.frame = load_tracker("reacquire", overrides=overrides, record=record), 0

    def show(self, found, seconds=1.0, **options):
        """The same detections for so long; the last frame's tracks."""
        for _ in range(round(seconds * RATE)):
            tracks = self.engine.update(found, timestamp=self.frame / RATE, **options)
            self.frame += 1
        return tracks


def test_back_after_half_a_minute_at_another_border():
    film = Film()
    assert film.show(see((10, look(0)), (300, look(1)))).id.tolist() == [1, 2]
    film.show(see((300, look(1))), 30)
    back = film.show(see((300, look(1)), (900, look(0, 0.4))))
    assert back.id[np.argsort(back.detection)].tolist() == [2, 1]
    assert film.show(see((300, look(1)), (900, look(0)), (600, look(3)))).id.tolist() == [1, 2, 3]  # none was spent


def test_the_id_is_there_from_the_first_frame_of_who_looks_the_same():
    film = Film()
    film.show(see((10, look(0))))
    film.show(see(), 10)
    assert film.show(see((900, look(0))), 0.1).id.tolist() == [1]


def test_a_stranger_gets_his_own_id_as_soon_as_enough_is_seen_of_him():
    film = Film()
    film.show(see((10, look(0))))
    film.show(see(), 10)
    waits = [len(film.show(see((900, look(3))), 0.1)) for _ in range(8)]
    assert waits == [0] * 2 + [1] * 6  # three looks of hardly 0.8 each are half the evidence of 4, and all against
    assert film.show(see((900, look(3)))).id.tolist() == [2]


def test_where_nobody_was_lost_nobody_waits():
    film = Film()
    film.show(see((10, look(0))))
    assert len(film.show(see((10, look(0)), (900, look(3))), 0.2)) == 2


def test_more_must_be_alike_the_less_was_seen():
    film = Film()
    film.show(see((10, look(0))))
    film.show(see(), 10)
    rule = film.engine.recipe.reidentification
    off = 0.97 * rule.gate * rule.threshold
    shown = [film.show(see((900, look(0, off))), 0.1).id.tolist() for _ in range(6)]
    assert shown[0] == []
    assert shown[-1] == [1]


def test_poor_looks_are_no_evidence_and_the_wait_has_an_end():
    film = Film("appearance.score=0.6")
    film.show(see((10, look(0))))
    film.show(see(), 5)
    poor = see((900, look(0, 0.65)), score=0.62)
    assert len(film.show(poor, 1.9)) == 0
    assert film.show(poor, 0.3).id.tolist() == [2]


def test_who_could_be_either_of_two_is_neither():
    film = Film()
    film.show(see((10, look(0)), (300, look(0, 0.02))))
    film.show(see(), 10)
    assert film.show(see((900, look(0))), 3).id.tolist() == [3]


def test_nobody_is_in_two_places_at_once():
    film = Film()
    film.show(see((10, look(0))))
    film.show(see((10, look(0)), (900, look(0))), 1)
    assert film.show(see((900, look(0))), 3).id.tolist() == [2]


def test_remembered_is_not_shown_and_forgotten_in_time():
    film = Film("reidentification.seconds=20")
    film.show(see((10, look(0))))
    assert film.show(see(), 0.5, include_lost=True).id.tolist() == [1]
    assert len(film.show(see(), 10, include_lost=True)) == 0
    assert len(film.engine.state_dict()["tracks"]) == 1
    film.show(see(), 11)
    assert len(film.engine.state_dict()["tracks"]) == 0
    assert film.show(see((10, look(0)))).id.tolist() == [2]


def test_frames_without_looks_leave_the_memory_as_it_is():
    film = Film()
    film.show(see((10, look(0))))
    film.show(Detections.empty(), 10)
    other = Detections([[500, 100, 540, 200]], [0.9])
    film.show(other, 2)
    assert film.show(see((900, look(0)))).id.tolist() == [1]


def test_whoever_comes_back_brings_what_both_parts_of_his_track_have_shown():
    """Matches and the sum of their scores go together: the mean score stays one, and true."""
    film = Film()
    film.show(see((10, look(0)), score=0.9))
    film.show(see(), 5)
    film.show(see((900, look(0)), score=0.7), 0.6)
    (track,) = film.engine.state_dict()["tracks"]
    assert (track["id"], track["hits"]) == (1, 16)
    assert track["score_sum"] == pytest.approx(10 * 0.9 + 6 * 0.7, rel=1e-6)


def test_a_newcomer_waits_for_its_id_even_where_one_hit_confirms():
    film = Film("birth.min_real_probability=null", "birth.confirm_hits=1")
    assert film.show(see((10, look(0))), 0.1).id.tolist() == [1]
    film.show(see((10, look(0))))
    film.show(see(), 5)
    assert film.show(see((900, look(0, 0.5))), 0.1).id.tolist() == []
    assert film.show(see((900, look(0)))).id.tolist() == [1]


def test_classes_do_not_mix():
    film = Film()
    film.show(see((10, look(0))))
    film.show(see(), 5)
    car = see((900, look(0)))
    car.class_id[:] = 2
    assert film.show(car).id.tolist() == [2]


def test_who_was_hardly_seen_is_not_remembered():
    film = Film()
    film.show(see((10, look(0))), 0.3)
    film.show(see(), 5)
    assert len(film.engine.state_dict()["tracks"]) == 0


def test_saved_while_somebody_waits():
    film, other = Film(), Film()
    film.show(see((10, look(0)), (300, look(1))))
    film.show(see(), 10)
    film.show(see((900, look(0, 0.6))), 0.2)
    other.engine.load_state_dict(film.engine.state_dict())
    other.frame = film.frame
    for found in (see((900, look(0, 0.6))), see((905, look(0, 0.5)), (50, look(3))), see((50, look(1)))):
        for _ in range(6):
            a, b = film.show(found, 0.1, include_lost=True), other.show(found, 0.1, include_lost=True)
            np.testing.assert_array_equal(a.id, b.id)
            np.testing.assert_array_equal(a.xyxy, b.xyxy)


def test_the_record_says_who_was_compared_with_whom():
    film = Film(record=True)
    film.show(see((10, look(0)), (300, look(1))))
    film.show(see((300, look(1))), 5)
    film.show(see((300, look(1)), (900, look(0, 0.2)), (600, look(3))))
    table = film.engine.take_record()
    rows = [row for row in table.to_pylist() if row["stage"] == "reidentification"]
    found = [row for row in rows if row["matched"]]
    assert [(row["track_id"], row["detection"]) for row in found] == [(1, 1)]
    assert found[0]["term_embedding"] == pytest.approx(0.1, abs=1e-3)
    even = film.engine.recipe.reidentification.threshold * (0.7 + 0.3 * 0.8 / 4)
    assert found[0]["term_likeness"] == pytest.approx(ev.SHARPNESS * (1 - (0.2 / even) ** 0.5), abs=1e-2)
    assert found[0]["term_place"] < 0  # five seconds later, six heights a second away
    assert found[0]["cost"] == pytest.approx(-found[0]["term_likeness"] - found[0]["term_place"])
    assert found[0]["gate"] == 0
    assert {row["verdict"] for row in rows} == {"matched", "embeddings too far apart"}
    assert "track 1, detection 2, stage reidentification: embeddings too far apart" in why(table, began=3)


def test_says_why_who_came_back_was_taken_for_another():
    """He waited for his id; what counts is when he was most like the one who was lost, not the first frame."""
    film = Film(record=True)
    film.show(see((10, look(0)), (300, look(1))))
    film.show(see((300, look(1))), 5)
    film.show(see((300, look(1)), (900, look(0, 0.9))), 0.2)
    assert film.show(see((300, look(1)), (900, look(0, 0.5))), 4).id.tolist() == [2, 3]
    table = film.engine.take_record()
    rows = [row for row in table.to_pylist() if row["stage"] == "reidentification"]
    best = max(rows, key=lambda row: row["gate"] - row["cost"])
    costs = f"cost {best['cost']:.3f} (gate {best['gate']:.3f})"
    pair = f"track 1, detection 1, stage reidentification: embeddings too far apart, {costs}"
    assert best["frame"] > rows[0]["frame"] == 60
    ended, began = why(table, ended=1), why(table, began=3)
    assert f"the most alike, in frame {best['frame']}:\n  {pair}" in ended
    assert "taken by track 3" in ended
    assert f"not track 1, who was lost; most alike in frame {best['frame']}:\n  {pair}" in began
    assert "No track was near it" in began


@pytest.mark.parametrize(("lead", "expected"), [(0.0, [True, True]), (0.05, [True, False]), (0.2, [False, False])])
def test_a_pair_is_clear_when_it_beats_all_others_of_both(lead, expected):
    """Row 0 may be columns 0 (0.1) or 1 (0.25); row 1 column 1 (0.22) or 2 (0.3)."""
    first, column = np.array([0, 2, 4]), np.array([0, 1, 1, 2])
    cost = np.array([0.1, 0.25, 0.22, 0.3])
    chosen = np.array([0, 2])
    clear_pairs(Edges(first, column, cost, cost), chosen, 3, lead)
    assert (chosen >= 0).tolist() == expected


def even_by_odds(weights):
    """Where the odds of a weights file are even, for four looks on both sides."""
    distance = np.linspace(0.3, 1, 7001)
    ratio = load_calibration(weights).log_likelihood_ratio(distance, 4, 4, across=False)
    return float(distance[np.abs(ratio).argmin()])


def test_the_recipes_threshold_is_that_of_the_bundled_embedder():
    assert load_recipe("reacquire").reidentification.threshold == pytest.approx(even_by_odds("default"), abs=0.01)


def test_a_pipeline_takes_the_threshold_of_its_own_embedder():
    settings = load_pipeline_settings("default", ["tracker.reidentification.threshold=0.3"])

    def fitted(settings):
        return load_tracker(settings.tracker, embedder=settings.embedder.weights).recipe

    assert fitted(settings).reidentification.threshold == pytest.approx(even_by_odds("default"), abs=0.002)
    without = load_pipeline_settings("default", ["tracker.reidentification.threshold=0.3", "embedder.weights=none"])
    assert fitted(without).reidentification.threshold == 0.3
    assert fitted(load_pipeline_settings("default", tracker="sort")).reidentification is None


@pytest.mark.parametrize(("given", "expected"), [(0.4, 0.4 * PAIRS_SHARE), (None, None)])
def test_an_embedder_without_odds_has_its_threshold_or_none(tmp_path, given, expected):
    """The bundled weights without the file beside them."""
    about = read_about(weights_path("default"))
    path = tmp_path / "bare.safetensors"
    metadata = facts(replace(about, threshold=given))
    save_file(load_file(weights_path("default")), path, metadata=metadata)
    found = load_tracker("reacquire", embedder=path).recipe.reidentification.threshold
    assert found == (None if expected is None else pytest.approx(expected))


def test_nobody_is_known_again_by_an_embedding_that_nobody_can_read():
    film = Film("reidentification.threshold=null")
    film.show(see((10, look(0)), (300, look(1))))
    film.show(see(), 10)
    assert film.show(see((900, look(0)), (400, look(1))), 4).id.tolist() == [3, 4]


def test_the_stream_teaches_what_an_unknown_embedding_means():
    """Two people in view for long enough, as unlike as can be: then who looks the same as one of them is him."""
    film = Film("reidentification.threshold=null")
    film.show(see((10, look(0)), (300, look(1))), 30)
    film.show(see(), 10)
    assert film.show(see((900, look(0))), 4).id.tolist() == [1]


def test_where_people_in_view_at_once_look_alike_looks_say_nothing():
    """Uniforms: two men of cosine distance 0.2 stood side by side, so 0.2 is no sign of being one."""
    alike = look(0, 0.2)
    film = Film()
    film.show(see((10, look(0)), (300, alike)), 60)
    film.show(see(), 10)
    assert film.show(see((900, look(0, 0.2, towards=5))), 4).id.tolist() == [3]
    lone = Film()
    lone.show(see((10, look(0))), 60)
    lone.show(see(), 10)
    assert lone.show(see((900, look(0, 0.2, towards=5))), 4).id.tolist() == [1]


def test_who_reappears_where_he_is_expected_needs_hardly_any_likeness():
    """Behind a post, and another light: the same look elsewhere, or later, is a stranger's."""
    other_light = look(0, 0.54)

    def after(seconds, x):
        film = Film()
        for step in range(20):  # 40 pixels a second, to x = 86
            film.show(see((10 + 4 * step, look(0)), (600, look(1))), 0.1)
        film.show(see((600, look(1))), seconds)
        tracks = film.show(see((x, other_light), (600, look(1))), 3)
        return int(tracks.id[tracks.detection == 0][0])

    assert after(1.5, 86 + 40) == 1
    assert after(1.5, 86 + 400) == 3
    assert after(40, 86 + 40) == 3


def test_small_people_must_be_more_alike():
    """The same crops, a third as high."""

    def small(*people):
        found = see(*people)
        found.xyxy[:, 2:] = found.xyxy[:, :2] + (found.xyxy[:, 2:] - found.xyxy[:, :2]) / 3
        return found

    off = 0.9 * load_recipe("reacquire").reidentification.threshold
    for seen, expected in ((see, 1), (small, 2)):
        film = Film()
        film.show(seen((10, look(0))))
        film.show(seen(), 20)
        assert film.show(seen((900, look(0, off))), 4).id.tolist() == [expected]


@pytest.mark.parametrize(("memory", "expected"), [("identity", 1), ("visit", 3)])
def test_memory_says_whether_who_comes_back_keeps_the_id(memory, expected):
    film = Film(f"memory={memory}")
    film.show(see((300, look(0)), (900, look(1))))
    film.show(see((900, look(1))), 10)
    back = film.show(see((300, look(0)), (900, look(1))), 3)
    assert back.id[np.argsort(back.detection)].tolist() == [expected, 2]


@pytest.mark.parametrize("memory", ["identity", "visit"])
def test_a_visit_goes_on_behind_a_post_but_not_over_the_border(memory):
    film = Film(f"memory={memory}")
    film.show(see((300, look(0)), (20, look(1)), (900, look(2))))
    film.show(see((900, look(2))), 1.8)
    back = film.show(see((300, look(0)), (20, look(1)), (900, look(2))), 3)
    inside, border, _ = back.id[np.argsort(back.detection)].tolist()
    assert inside == 1
    assert border == (2 if memory == "identity" else 4)


def test_reidentification_needs_stages_that_look():
    stage = {"tracks": ["lost"], "cost": "iou", "gate": 0.2}
    with pytest.raises(ConfigError, match="reidentification compares embeddings"):
        load_recipe({"stages": [stage], "reidentification": {}})


def test_nobody_comes_back_as_an_object_of_another_class():
    """Embeddings are alike, boxes do not meet: a truck is not the person who left before it came."""
    film = Film()
    assert film.show(see((10, look(0))), 2).id.tolist() == [1]
    film.show(see(), 3)
    stranger = see((900, look(0)))
    stranger.class_id[:] = 7
    assert film.show(stranger, 4).id.tolist() == [2]
    film.show(see(), 3)
    assert film.show(see((500, look(0))), 4).id.tolist() == [1]
