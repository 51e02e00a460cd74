"""Calls that no fair caller makes, for every recipe: an error that says what is wrong, and nothing changes."""

import numpy as np
import pytest

from tracker import DataError, Detections, load_tracker
from tracker.association import priors as pr
from tracker.association import records as rc
from tracker.config import config_names

RECIPES = config_names("trackers")
D = 8


def people(t=0, n=5):
    x = 100.0 + 120 * np.arange(n) + 3 * t
    boxes = np.stack([x, np.full(n, 50.0), x + 40, np.full(n, 150.0)], 1)
    return Detections(boxes, np.full(n, 0.9), embedding=np.eye(D)[np.arange(n) % D])


def watched(recipe, frames=12):
    """An engine that has seen people; some of them are lost."""
    engine = load_tracker(recipe)
    for t in range(frames):
        engine.update(people(t)[: 5 if t < frames - 3 else 3], timestamp=t / 10)
    return engine


@pytest.fixture(params=RECIPES)
def engine(request):
    return watched(request.param)


def bytes_of(engine):
    return {name: value.tobytes() for name, value in engine.state_dict().items()}


def refused(engine, found, match, **options):
    before = bytes_of(engine)
    with pytest.raises(DataError, match=match):
        engine.update(found, **options)
    assert bytes_of(engine) == before


@pytest.mark.parametrize("field", ["xyxy", "score", "embedding"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused_by_row(engine, field, value):
    found = people(20)
    getattr(found, field)[3] = value
    if field == "embedding" and not engine.uses_embedding:
        engine.update(found, timestamp=5.0)
    else:
        refused(engine, found, "detection row 3", timestamp=5.0)


@pytest.mark.parametrize("place", [2.0**24 + 2, -1e30, 3e38])
def test_boxes_beyond_any_picture_are_refused_by_row(engine, place):
    found = people(20)
    found.xyxy[3] = place
    refused(engine, found, "detection row 3: a coordinate is beyond 16777216 pixels", timestamp=5.0)
    found.xyxy[3] = [2.0**24 - 40, 0, 2.0**24, 100]
    engine.update(found, timestamp=5.0)


@pytest.mark.parametrize("length", [1e-30, 1e-22, 0.5, 1e19, 1e37])
def test_embeddings_of_any_length_are_the_same_embedding(length):
    engine, twin = load_tracker("deepocsort"), load_tracker("deepocsort")
    for t in range(8):
        found = people(t)
        plain = engine.update(found, timestamp=t / 10)
        scaled = twin.update(found.with_embedding(found.embedding * np.float32(length)), timestamp=t / 10)
        assert plain.id.tolist() == scaled.id.tolist()
    gallery, other = (e.state_dict()["gallery"] for e in (engine, twin))
    np.testing.assert_allclose(gallery, other, atol=1e-6)


@pytest.mark.parametrize(
    "time", [np.nan, np.inf, -np.inf, 0.0, "soon", None.__class__, 10**400, [1, 2], 1e308, -1e308, 1.8e12, 2**62]
)
def test_times_that_are_none_are_refused(engine, time):
    refused(engine, people(20), r"timestamp|out of order", timestamp=time)


@pytest.mark.parametrize("seconds", [np.nan, np.inf, 1e308, -1e308, 1.1e11, 1e11])
def test_shifts_of_the_clock_that_are_none_are_refused(engine, seconds):
    before = bytes_of(engine)
    with pytest.raises(DataError, match="at most 1e\\+11"):
        engine.skip(seconds)
    assert bytes_of(engine) == before


@pytest.mark.parametrize("following", [-1, 0, 2**52 + 1, 2**53, 2**62])
def test_ids_that_are_none_are_refused(engine, following):
    with pytest.raises(DataError, match="the next id cannot be"):
        engine.continue_ids_at(following)
    engine.continue_ids_at(2**52)
    assert engine.next_id == 2**52
    engine.load_state_dict(engine.state_dict())


REPLACED = {
    "fewer scores": ("score", np.ones(1, np.float32)), "no classes": ("class_id", np.zeros(0, np.int64)),
    "two columns": ("xyxy", np.zeros((5, 2), np.float32)), "fewer boxes": ("xyxy", np.zeros((2, 4), np.float32)),
    "fewer embeddings": ("embedding", np.ones((1, D), np.float32)),
    "a number": ("score", 0.5), "nothing": ("xyxy", None),
    "texts": ("score", np.array(["a"] * 5)), "objects": ("xyxy", np.array([[object()] * 4] * 5)),
    "complex": ("score", np.ones(5, complex)), "broken classes": ("class_id", np.full(5, 0.5)),
    "classes that are none": ("class_id", np.full(5, np.nan)), "3-D": ("embedding", np.ones((5, D, 1), np.float32)),
}  # fmt: skip


@pytest.mark.parametrize("what", REPLACED)
def test_fields_that_were_replaced_by_others_that_do_not_fit(engine, what):
    found, (name, value) = people(20), REPLACED[what]
    setattr(found, name, value)
    refused(engine, found, r"Detections\.\w+: expected", timestamp=5.0)


@pytest.mark.parametrize("kind", ["float64", "float16", "integers", "strides", "read-only", "fortran", "swapped"])
def test_arrays_of_any_kind_are_the_same_numbers(engine, kind):
    twin = load_tracker(engine.recipe)
    twin.load_state_dict(engine.state_dict())
    found, plain = people(20), people(20)
    for name in ("xyxy", "score", "class_id", "embedding"):
        array = getattr(found, name)
        if kind in ("float64", "float16"):
            array = array.astype(kind)
            setattr(plain, name, array.astype(getattr(plain, name).dtype))
        elif kind == "integers" and name != "score":
            array = array.astype(np.int16)
        elif kind == "strides":
            array = np.repeat(array, 2, axis=0)[::2]
        elif kind == "fortran":
            array = np.asfortranarray(array)
        elif kind == "swapped":
            array = array.astype(array.dtype.newbyteorder(">"))
        if kind == "read-only":
            array.flags.writeable = False
        setattr(found, name, array)
    a, b = engine.update(found, timestamp=5.0), twin.update(plain, timestamp=5.0)
    assert a.id.tolist() == b.id.tolist()
    np.testing.assert_array_equal(a.xyxy, b.xyxy)


@pytest.mark.parametrize("rows", [np.ones((3, 6)), [[1, 2, 3, 4, 0.9, 0]], None, "boxes"])
def test_what_is_no_detections_is_refused(engine, rows):
    hint = "Detections.from_array" if isinstance(rows, np.ndarray) else "expected Detections"
    refused(engine, rows, hint)


def test_none_and_twenty_thousand(engine):
    side = np.arange(20_000)
    corner = np.stack([side % 150 * 60.0, side // 150 * 120.0], 1)
    many = Detections(
        np.hstack([corner, corner + np.array([40, 100])]), np.full(20_000, 0.9), embedding=np.ones((20_000, D))
    )
    engine.reset()
    for t, found in enumerate([many[:0], many, many[:0], many]):
        tracks = engine.update(found, timestamp=float(t))
        assert len(set(tracks.id.tolist())) == len(tracks)


@pytest.mark.parametrize("box", [[0, 5, 0, 90], [5, 5, 90, 5], [5, 5, 5, 5]])
def test_boxes_without_area_are_nobody(engine, box):
    engine.reset()
    ids = {i for t in range(50) for i in engine.update(people(t, 0), timestamp=t / 25).id.tolist()}
    engine.reset()
    embedding = np.eye(1, D)
    for t in range(50):
        ids |= set(engine.update(Detections([box], [0.9], embedding=embedding), timestamp=t / 25).id.tolist())
    assert not ids


# States.


def changed(state, name, field, value):
    """The state with a value of one track, in every element of the field."""
    state = {key: array.copy() for key, array in state.items()}
    target = state[name]
    for part in field.split(".") if field else ():
        target = target[part]
    target[...] = value
    return state


NUMBERS = [
    ("tracks", name, value)
    for name, values in {
        "id": (-1, 2**40), "serial": (-1, 2**40), "status": (-1, 4, 2**40), "hits": (-1, -(2**62)), "streak": (-5,),
        "gap_kind": (-1, 4, 10**9), "born": (np.nan, np.inf, 1e9), "seen": (np.nan, np.inf, 1e9),
        "score": (np.nan, 7.0), "score_before": (-1.0,), "score_sum": (np.nan, -1.0, 1e9),
        "box": (np.nan, np.inf, 1e30), "state.position": (np.nan, np.inf, 1e300),
        "state_seen.covariance": (np.nan, -1e308), "innovation": (np.inf, 9.0), "heading": (np.nan, 1e9),
        "history_box": (np.nan, -1e30), "history_time": (1e9, np.inf), "survival": (np.nan, 2.0),
        "evidence": (np.nan, -1.0), "class_votes": (-1,),
    }.items()
    for value in values
] + [
    ("priors", "noise_factor", np.nan), ("priors", "noise_factor", 0.0), ("priors", "gaps_closed", -1.0),
    ("priors", "gap_seconds", np.nan), ("priors", "real_starts", np.inf), ("priors", "left", np.nan),
    ("clock", "", np.nan), ("clock", "", np.inf), ("clock", "", 1e308), ("clock", "", -1e12),
    ("next_id", "", 2**53), ("next_id", "", 2**52 + 1), ("born", "", 2**62),
    ("next_id", "", 0), ("next_id", "", -(2**60)), ("born", "", 0),
    ("quality", "", np.nan), ("quality", "", -7.0), ("quality", "", 0.5), ("motion", "", 9), ("version", "", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "field", "value"), NUMBERS)
@pytest.mark.parametrize("recipe", ["bytetrack", "reacquire", "deepocsort"])
def test_a_state_with_one_number_changed_is_refused(recipe, name, field, value):
    engine = watched(recipe)
    state, before = changed(engine.state_dict(), name, field, value), bytes_of(engine)
    with pytest.raises(DataError, match="the saved state"):
        engine.load_state_dict(state)
    assert bytes_of(engine) == before


def test_every_field_of_a_track_is_checked_or_harmless():
    """Whatever a field holds, in any recipe a frame goes on to its end, or the state was refused."""
    refusals = 0
    for name in rc.TRACK.names:
        for value in (-1, 7, 2**62):
            engine = watched("reacquire")
            state = engine.state_dict()
            if rc.TRACK[name].names:
                state["tracks"][name]["position"] = value
            else:
                state["tracks"][name] = value
            try:
                engine.load_state_dict(state)
            except DataError:
                refusals += 1
                continue
            for t in range(3):
                engine.update(people(t), timestamp=100 + t)
    assert refusals > len(rc.TRACK.names)


@pytest.mark.parametrize("other", RECIPES)
def test_a_state_of_another_recipe_is_refused_or_fits(engine, other):
    state = watched(other).state_dict()
    before = bytes_of(engine)
    try:
        engine.load_state_dict(state)
    except DataError:
        assert bytes_of(engine) == before
    for t in range(3):
        engine.update(people(t), timestamp=100.0 + t)


def test_states_that_were_cut_or_are_of_other_types_are_refused(engine):
    state, before = engine.state_dict(), bytes_of(engine)
    for name, array in state.items():
        other = array.view(np.uint8) if array.dtype.names else array.astype("S4")
        for broken in (array[:0], other, np.zeros(3, np.complex128), np.array(None), np.zeros((2, 3, 4, 5))):
            if broken.shape == state[name].shape and broken.dtype == state[name].dtype:
                continue
            with pytest.raises(DataError):
                engine.load_state_dict(state | {name: broken})
        with pytest.raises(DataError):
            engine.load_state_dict({key: value for key, value in state.items() if key != name})
    assert bytes_of(engine) == before
    assert pr.PRIORS.names
