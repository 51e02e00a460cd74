"""One object detected again and again in the same place, as where no duplicates were suppressed: for every recipe."""

import numpy as np
import pytest

from tracker import Detections, load_tracker
from tracker.config import config_names, load_recipe

RECIPES = config_names("trackers")
GUARDED = [name for name in RECIPES if load_recipe(name).birth.overlap < 1]
"""Those that begin no track on a detection that overlaps another; in the others, as in their papers, every one may."""
D = 4
ALONE = [0.9]


@pytest.fixture(params=RECIPES)
def engine(request):
    return load_tracker(request.param)


@pytest.fixture(params=[2, 10, 300])
def copies(request):
    return request.param


@pytest.fixture(params=["equal", "different"])
def scores(request, copies):
    """Of the copies; all of them high enough for a birth anywhere."""
    return np.full(copies, 0.9) if request.param == "equal" else np.linspace(0.95, 0.75, copies)


def frame(t, scores):
    """Two who walk alone, and one whose box is there once for each of the scores; rows in another order every time."""
    n = len(scores)
    boxes = np.concatenate([np.tile([100, 100, 140, 200], (n, 1)), [[400, 100, 440, 200], [700, 100, 740, 200]]])
    person = np.r_[np.zeros(n, int), 1, 2]
    found = Detections(boxes + 2.0 * t, np.r_[scores, 0.9, 0.9], embedding=np.eye(D, dtype=np.float32)[person])
    return found[np.random.default_rng(t).permutation(n + 2)]


def show(engine, frames, scores):
    """Ids in the place with the copies, and of the two beside it from left to right, in the last frame."""
    for t in frames:
        found = frame(t, scores)
        tracks = engine.update(found)
        places = found.xyxy[tracks.detection]
        assert len(set(tracks.id.tolist())) == len(set(tracks.detection.tolist())) == len(tracks)
        np.testing.assert_allclose(tracks.xyxy, places, atol=3)
    order = np.argsort(places[:, 0], kind="stable")
    ids, alone = tracks.id[order], places[order, 0] > 300 + 2 * t
    return set(ids[~alone].tolist()), ids[alone].tolist()


def test_copies_from_the_first_frame(engine, copies, scores):
    here, beside = show(engine, range(4), scores)
    assert (here, beside) == show(engine, range(4, 8), scores)
    assert len(beside) == 2
    assert len(here) in (1, copies)
    assert len(engine.state_dict()["tracks"]) <= copies + 2  # nobody was born beside those who are matched


def test_copies_of_who_is_known(engine, copies, scores):
    """His id stays in his place, the others keep theirs; when the copies go, there is one of him again."""
    (known,), beside = show(engine, range(4), ALONE)
    here, same = show(engine, range(4, 9), scores)
    assert known in here
    assert same == beside
    here, same = show(engine, range(9, 13), ALONE)
    assert len(here) == 1
    assert same == beside


@pytest.mark.parametrize("recipe", GUARDED)
def test_one_track_for_all_copies_where_births_are_guarded(recipe, scores):
    engine = load_tracker(recipe)
    assert show(engine, range(6), scores) == show(engine, range(6, 9), ALONE)
    assert len(engine.state_dict()["tracks"]) == 3
