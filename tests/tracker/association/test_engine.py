"""What every recipe must do, whatever it is."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tracker import DataError, Detections, TrackState, load_tracker
from tracker.config import config_names

RECIPES = config_names("trackers")
D = 8


def person(index):
    """A unit vector of its own for every person."""
    return np.eye(D, dtype=np.float32)[index % D]


def at(x, y=100.0, w=40.0, h=100.0):
    return [x, y, x + w, y + h]


def see(boxes, score=0.9, people=None, classes=None):
    n = len(boxes)
    people = range(n) if people is None else people
    embedding = np.array([person(i) for i in people], np.float32).reshape(n, D)
    return Detections(np.array(boxes, np.float32).reshape(n, 4), np.full(n, score, np.float32), classes, embedding)


def scene(frames=40, people=5, seed=0, miss=0.1):
    """People who walk along lanes, with jitter, misses and scores that vary."""
    random = np.random.default_rng(seed)
    speed = random.uniform(-4, 4, people)
    for t in range(frames):
        seen = random.random(people) > miss
        boxes = np.array([at(200 + 60 * i + speed[i] * t, 50 + 130 * i) for i in range(people)])
        boxes += random.normal(0, 1, boxes.shape)
        kept = np.flatnonzero(seen)
        found = see(boxes[kept], people=kept)
        found.score[:] = random.uniform(0.3, 1.0, len(kept)).astype(np.float32)
        yield found


def same(a, b):
    for name in ("id", "xyxy", "score", "class_id", "detection", "state"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.fixture(params=RECIPES)
def engine(request):
    return load_tracker(request.param)


def test_empty_frames_from_the_start(engine):
    for _ in range(3):
        assert len(engine.update(see([]))) == 0


def test_one_person_keeps_one_id(engine):
    ids = [engine.update(see([at(10 + 2 * t)])).id.tolist() for t in range(20)]
    assert ids[-1] == [1]
    assert {i for frame in ids for i in frame} == {1}


def test_input_is_not_changed(engine):
    found = see([at(10), at(200)])
    before = found.to_array(), found.embedding.copy()
    for t in range(3):
        engine.update(found, timestamp=t / 30)
    np.testing.assert_array_equal(found.to_array(), before[0])
    np.testing.assert_array_equal(found.embedding, before[1])


def test_ids_are_unique_positive_and_never_come_again(engine):
    seen, ended = set(), set()
    for found in scene(80, miss=0.3):
        ids = engine.update(found, include_lost=True).id.tolist()
        assert len(set(ids)) == len(ids)
        assert all(i >= 1 for i in ids)
        assert not set(ids) & ended
        ended |= seen - set(ids)
        seen |= set(ids)


def test_ids_have_no_holes(engine):
    """Tracks that were never confirmed use none up."""
    random = np.random.default_rng(5)
    ids = set()
    for found in scene(60, people=3):
        clutter = see([at(*random.uniform(0, 2000, 2)) for _ in range(3)], people=[5, 6, 7])
        both = Detections(
            np.concatenate([found.xyxy, clutter.xyxy]),
            np.concatenate([found.score, clutter.score]),
            embedding=np.concatenate([found.embedding, clutter.embedding]),
        )
        ids |= set(engine.update(both).id.tolist())
    assert ids
    assert ids <= set(range(1, max(ids) + 1))
    assert len(ids) >= max(ids) - 3  # those of the first frame may be confirmed at once and never seen again


def test_detection_rows_lead_back(engine):
    for found in scene():
        tracks = engine.update(found)
        unseen = tracks.detection < 0
        assert not unseen.any() or engine.recipe.death.min_survival_probability is not None
        assert (tracks.state[unseen] == TrackState.LOST).all()
        tracks = tracks[~unseen]
        assert len(set(tracks.detection.tolist())) == len(tracks)
        np.testing.assert_array_equal(tracks.score, found.score[tracks.detection])
        assert (tracks.state == TrackState.CONFIRMED).all()


def test_is_deterministic_and_instances_share_nothing(engine):
    other = load_tracker(engine.recipe)
    for found in scene():
        same(engine.update(found), other.update(found))


def test_reset_forgets(engine):
    first = [engine.update(found) for found in scene()]
    engine.reset()
    for before, found in zip(first, scene(), strict=True):
        same(before, engine.update(found))


def test_saved_state_continues_to_the_bit(engine, tmp_path):
    """Whenever it was saved: while some are lost, while nobody is there, while newcomers wait for their ids."""
    frames, states, shown = [f if not 25 <= t < 32 else f[[]] for t, f in enumerate(scene(60, miss=0.3))], [], []
    for found in frames:
        states.append(engine.state_dict())
        shown.append(engine.update(found, include_lost=True))
    for begin in range(0, 60, 7):
        np.savez(tmp_path / "state.npz", **states[begin])
        other = load_tracker(engine.recipe)
        other.load_state_dict(np.load(tmp_path / "state.npz"))
        for found, tracks in zip(frames[begin:], shown[begin:], strict=True):
            same(other.update(found, include_lost=True), tracks)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda engine: pickle.loads(pickle.dumps(engine))])
def test_a_copy_goes_its_own_way(copied):
    """A copy has arrays of its own."""
    engine, alone = load_tracker("reacquire"), load_tracker("reacquire")
    frames = list(scene(30))
    for found in frames[:15]:
        engine.update(found)
        alone.update(found)
    other = copied(engine)
    for found in frames[15:]:
        other.update(see([at(500)]))  # something else
        same(engine.update(found), alone.update(found))
    del engine
    again = copied(alone)
    for found in scene(30, seed=1):
        same(again.update(found), alone.update(found))


def test_a_state_that_lacks_something_is_refused(engine):
    state = engine.state_dict()
    del state["quality"]
    with pytest.raises(DataError, match="quality"):
        engine.load_state_dict(state)


def test_a_state_of_a_recipe_that_keeps_boxes_in_another_way_is_refused():
    """The arrays have the same shapes; the numbers in them mean something else."""
    engine, other = load_tracker("bytetrack"), load_tracker("ocsort")
    engine.update(see([at(10)]))
    with pytest.raises(DataError, match=r"another motion.state than 'xysr'"):
        other.load_state_dict(engine.state_dict())
    same(other.update(see([at(10)])), load_tracker("ocsort").update(see([at(10)])))


@pytest.mark.parametrize("box", [[np.nan, 0, 1, 1], [np.inf, 0, np.inf, 1], [10, 0, 5, 5]])
def test_bad_rows_are_refused_and_change_nothing(engine, box):
    engine.update(see([at(10)]), timestamp=0.0)
    before = engine.state_dict()
    with pytest.raises(DataError, match="detection row 1"):
        engine.update(see([at(10), box]), timestamp=0.1)
    for name, value in engine.state_dict().items():
        assert value.tobytes() == before[name].tobytes()


@pytest.mark.parametrize("time", [1.0, 0.5, np.nan, np.inf])
def test_a_frame_out_of_order_is_refused(engine, time):
    engine.update(see([at(10)]), timestamp=1.0)
    with pytest.raises(DataError, match=r"out of order|finite"):
        engine.update(see([at(10)]), timestamp=time)


def test_classes_do_not_mix(engine):
    engine = load_tracker(engine.recipe.model_copy(update={"class_agnostic": False}))
    for _ in range(6):
        before = engine.update(see([at(10)], classes=[0]))
    for _ in range(8):
        after = engine.update(see([at(10)], classes=[1]))
    assert before.id.tolist() == [1]
    assert 1 not in after.id.tolist()
    assert set(after.class_id.tolist()) <= {1}


def test_classes_mix_where_they_may(engine):
    """A detector that cannot make up its mind; the track is what it was at first."""
    engine = load_tracker(engine.recipe.model_copy(update={"class_agnostic": True}))
    for t in range(12):
        tracks = engine.update(see([at(10 + 2 * t)], classes=[3 + t % 2]))
    assert tracks.id.tolist() == [1]
    assert tracks.class_id.tolist() == [3]


def test_a_car_that_is_called_a_truck_now_and_then_is_one_object():
    """Of three frames each, in turn; the default recipe shows it all the time as what it was called most often."""
    engine = load_tracker("reacquire")
    for i in range(40):
        tracks = engine.update(see([at(10 + 4 * i)], classes=[2 if i // 3 % 2 == 0 else 7]), timestamp=i / 25)
        assert tracks.id.tolist() == [1]
        assert tracks.class_id.tolist() == [2]


def test_three_thousand_detections(engine):
    random = np.random.default_rng(0)
    corner = random.uniform(0, 20_000, (3000, 2))
    found = Detections(
        np.concatenate([corner, corner + np.array([40, 100])], axis=1),
        np.full(3000, 0.9),
        embedding=random.normal(size=(3000, D)).astype(np.float32),
    )
    for t in range(4):
        tracks = engine.update(found, timestamp=t / 30)
    assert len(tracks) > 2900


def test_a_dropped_frame_is_a_longer_step():
    """On a live camera: half the frames are missing, the motion is the same."""
    engine = load_tracker("bytetrack")
    random = np.random.default_rng(1)
    ids = set()
    for t in range(60):
        if t > 5 and random.random() < 0.5:
            continue
        tracks = engine.update(see([at(10 + 9 * t), at(900 - 9 * t, 110)]), timestamp=t / 30)
        ids |= set(tracks.id.tolist())
    assert ids == {1, 2}


def test_a_lost_track_lives_by_the_clock_not_by_frames():
    for rate in (5, 60):
        engine = load_tracker("bytetrack", overrides=["death.lost_seconds=2"])
        engine.update(see([at(10)]), timestamp=0.0)
        alive = []
        for t in range(1, 4 * rate):
            lost = engine.update(see([]), timestamp=t / rate, include_lost=True)
            alive.append(len(lost))
        assert sum(alive) / rate == pytest.approx(2, abs=1 / rate + 1e-6)


@pytest.mark.parametrize("rate", [1, 5, 10, 25, 30, 60])
def test_recipes_work_at_any_frame_rate(engine, rate):
    """One person who stands still, missed once: seen, and seen again with the same id."""
    ids = []
    for t in range(20):
        tracks = engine.update(see([at(10)] if t != 12 else []), timestamp=100 + t / rate)
        ids.append(tracks.id.tolist())
    again = 12 + engine.recipe.birth.shown_after
    assert ids[11] == ids[again] == ids[19] == [1]


def test_lost_tracks_are_shown_on_request_only():
    engine = load_tracker("bytetrack")
    for t in range(3):
        engine.update(see([at(10 + 5 * t)]))
    state = engine.state_dict()
    assert len(engine.update(see([]))) == 0
    engine.load_state_dict(state)
    lost = engine.update(see([]), include_lost=True)
    assert lost.detection.tolist() == [-1]
    assert lost.state.tolist() == [TrackState.LOST]
    assert lost.xyxy[0, 0] > 18  # it moves on


def test_shown_for_a_while_after_it_was_lost():
    engine = load_tracker("bytetrack", overrides=["death.shown_seconds=0.1"])
    shown = [engine.update(see([at(10 + 5 * t)] if t < 4 else [])) for t in range(9)]
    assert [tracks.id.tolist() for tracks in shown] == [[1]] * 7 + [[]] * 2  # three frames of 1/30 s
    assert shown[6].detection.tolist() == [-1]
    assert shown[6].state.tolist() == [TrackState.LOST]
    assert shown[6].xyxy[0, 0] > 30  # it moves on


@pytest.mark.parametrize("rate", [1, 10, 30, 60])
def test_seen_since_the_first_frame_is_shown_at_any_rate(rate):
    engine = load_tracker("sort")
    assert all(len(engine.update(see([at(10 + t)]), timestamp=t / rate)) == 1 for t in range(6))
    assert not len(engine.update(see([]), timestamp=6 / rate))
    assert [len(engine.update(see([at(10 + t)]), timestamp=t / rate)) for t in range(7, 11)] == [0, 0, 1, 1]


def test_skipped_time_has_not_been(engine):
    other = load_tracker(engine.recipe)
    for t, found in enumerate(scene(30, miss=0.2)):
        if t == 15:
            other.skip(1000.0)
        later = 1000.0 if t >= 15 else 0.0
        a, b = engine.update(found, timestamp=t / 32), other.update(found, timestamp=t / 32 + later)
        np.testing.assert_array_equal(a.id, b.id)
        np.testing.assert_allclose(a.xyxy, b.xyxy, atol=1e-3)


def test_appearance_brings_an_id_back_after_a_long_occlusion():
    """Two people vanish together and come back, crossed, 3 s later: only looks can tell them apart."""
    engine = load_tracker("reacquire")
    for t in range(20):
        before = engine.update(see([at(100 + t), at(160 - t, 105)]), timestamp=t / 10)
    for t in range(20, 50):
        engine.update(see([]), timestamp=t / 10)
    for t in range(50, 56):
        after = engine.update(see([at(150), at(110, 105)], people=[0, 1]), timestamp=t / 10)
    assert before.id.tolist() == [1, 2]
    assert after.id[np.argsort(after.detection)].tolist() == before.id[np.argsort(before.detection)].tolist()


def test_a_stranger_in_the_same_place_gets_a_new_id():
    engine = load_tracker("reacquire")
    for t in range(20):
        engine.update(see([at(100)], people=[0]), timestamp=t / 10)
    for t in range(20, 45):
        engine.update(see([]), timestamp=t / 10)
    for t in range(45, 55):
        after = engine.update(see([at(100)], people=[3]), timestamp=t / 10)
    assert after.id.tolist() == [2]


def test_box_of_detection_or_filter():
    detection, smooth = (load_tracker("bytetrack", overrides=[f"box={kind}"]) for kind in ("detection", "filter"))
    boxes = [at(10), at(13), at(11), at(18)]
    for box in boxes:
        shown, filtered = detection.update(see([box])), smooth.update(see([box]))
    np.testing.assert_array_equal(shown.xyxy[0], np.float32(boxes[-1]))
    assert abs(filtered.xyxy[0, 0] - boxes[-1][0]) > 0.1


@pytest.mark.parametrize("recipe", ["deepsort", "strongsort"])
def test_appearance_without_embeddings_says_what_to_do(recipe):
    engine = load_tracker(recipe)
    with pytest.raises(DataError, match=rf"'{recipe}' compares appearance.*with_embedding"):
        engine.update(Detections([at(10)]))


def blind(found):
    """The same detections without looks."""
    return Detections(found.xyxy, found.score, found.class_id)


def test_looks_may_come_and_go_within_a_stream():
    """A detector alone, then an embedder beside it, then alone again: one person a lane, each with one id."""
    engine, ids = load_tracker("reacquire"), set()
    for t, found in enumerate(scene(90, miss=0.1)):
        found.score[:] = 0.9
        tracks = engine.update(found if 30 <= t < 60 else blind(found))
        if len(found) == len(tracks) == 5:
            ids.add(tuple(tracks.id[np.argsort(tracks.detection)].tolist()))
    assert len(ids) == 1


def test_without_looks_only_the_stages_for_that_decide():
    engine = load_tracker("reacquire", record=True)
    for found in scene(20):
        engine.update(blind(found))
    stages = {int(name.split(":")[0]) - 1 for name in engine.take_record()["stage"].to_pylist() if name != "birth"}
    assert stages
    assert all(engine.recipe.stages[i].when != "embeddings" for i in stages)
    assert not any(engine.recipe.stages[i].needs_embedding for i in stages)


def test_saved_without_looks_continued_with_them(tmp_path):
    engine, frames = load_tracker("reacquire"), list(scene(60))
    for found in frames[:30]:
        engine.update(blind(found))
    other = load_tracker("reacquire")
    other.load_state_dict(engine.state_dict())
    for found in frames[30:]:
        same(engine.update(found, include_lost=True), other.update(found, include_lost=True))


def test_embeddings_of_another_length_are_refused():
    engine = load_tracker("reacquire")
    engine.update(see([at(10)]))
    with pytest.raises(DataError, match="4 dimensions, those before had 8"):
        engine.update(Detections([at(10)], embedding=np.eye(1, 4)))


@pytest.mark.parametrize("other", [4, 16])
def test_embeddings_of_another_length_are_refused_however_long_all_are_gone(other):
    """In the first such frame, and in those after it; the engine goes on as if it had not come."""
    engine, twin = (load_tracker("reacquire", overrides=["reidentification.seconds=5"]) for _ in range(2))
    for e in (engine, twin):
        for t in (0.0, 0.1, 0.2):
            e.update(see([at(10)]), timestamp=t)
        e.update(see([]), timestamp=0.3)
        e.update(see([]), timestamp=60.0)
        assert len(e.state_dict()["tracks"]) == 0
    for t in (60.1, 60.2):
        with pytest.raises(DataError, match=rf"{other} dimensions, those before had 8.*reset"):
            engine.update(Detections([at(10)], embedding=np.eye(1, other)), timestamp=t)
    same(engine.update(see([at(10)]), timestamp=60.3), twin.update(see([at(10)]), timestamp=60.3))
    engine.reset()
    for t in (0.0, 0.1, 0.2):
        assert engine.update(Detections([at(10)], embedding=np.eye(1, other)), timestamp=t).id.tolist() == [1]


def test_the_length_of_embeddings_is_part_of_the_state():
    engine, other = load_tracker("reacquire"), load_tracker("reacquire")
    engine.update(see([at(10)]), timestamp=0.0)
    engine.update(see([]), timestamp=1000.0)
    engine.update(see([]), timestamp=1000.1)
    assert len(engine.state_dict()["tracks"]) == 0
    other.load_state_dict(engine.state_dict())
    with pytest.raises(DataError, match="4 dimensions, those before had 8"):
        other.update(Detections([at(10)], embedding=np.eye(1, 4)), timestamp=1000.2)


def test_the_length_of_an_embedding_is_no_part_of_the_look(engine):
    other = load_tracker(engine.recipe)
    for t, found in enumerate(scene(40)):
        longer = found.with_embedding(found.embedding * np.float32(0.125 if t % 2 else 32))
        same(engine.update(found, include_lost=True), other.update(longer, include_lost=True))


def born(birth, scores):
    """Ids frame by frame of somebody who comes in the second frame and is seen with these scores."""
    recipe = {"stages": [{"tracks": ["tentative", "confirmed", "lost"], "gate": 1.0}], "birth": {"score": 0.1} | birth}
    engine = load_tracker(recipe)
    engine.update(see([]))
    return [engine.update(see([at(10)], score)).id.tolist() for score in scores]


@pytest.mark.parametrize("hits", [1, 2, 5])
def test_a_chance_stands_in_for_the_number_of_hits(hits):
    doubtful = [0.55, 0.55, 0.55]  # more likely real than not with the second match, by the prior
    assert born({"confirm_hits": hits, "min_real_probability": 0.5}, doubtful) == [[], [1], [1]]
    assert born({"confirm_hits": hits, "min_real_probability": 1.0}, doubtful) == [[], [], []]
    assert born({"confirm_hits": hits, "min_real_probability": 0.5}, [0.9]) == [[1]]


def test_one_hit_confirms_at_once():
    assert born({"confirm_hits": 1}, [0.2]) == [[1]]
    assert born({"confirm_hits": 2}, [0.9, 0.9]) == [[], [1]]


coordinate = st.one_of(
    st.floats(-1e6, 1e6, width=32), st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e6]), st.floats(0, 100, width=32)
)


@st.composite
def hostile_frames(draw):
    """A frame: rows, how often each is there, whether they have embeddings, and seconds since the last frame."""
    rows = draw(st.integers(0, 5).flatmap(lambda n: arrays(np.float32, (n, 5), elements=coordinate)))
    with np.errstate(invalid="ignore"):
        rows[:, 4] = np.abs(rows[:, 4]) % 1
        rows[:, [2, 3]] = rows[:, [0, 1]] + np.abs(rows[:, [2, 3]])
    rows = np.repeat(rows, draw(st.sampled_from([1, 1, 2, 40])), axis=0)
    return rows, draw(st.booleans()), draw(st.sampled_from([0.04, 0.04, 0.04, 1e-7, 3.0, 1e7, 0.0, -0.5, np.nan]))


@pytest.mark.parametrize("recipe", RECIPES)
@settings(max_examples=40, deadline=None)
@given(stream=st.lists(hostile_frames(), max_size=8))
def test_hostile_streams(recipe, stream):
    """Whatever comes: tracks that are finite and unique, or a clear refusal that changes nothing; never a crash."""
    engine, now, fair = load_tracker(recipe), 1.0, []
    for rows, looks, step in stream:
        found = Detections(rows[:, :4], rows[:, 4], embedding=np.ones((len(rows), D), np.float32) / np.sqrt(D))
        if not (looks or engine.needs_embedding):
            found = blind(found)
        if found.faults() or (not step > 0 and fair) or np.isnan(step):
            with pytest.raises(DataError):
                engine.update(found, timestamp=now + step)
            continue
        now += step
        fair.append((found, now, engine.update(found, timestamp=now, include_lost=True)))
        tracks = fair[-1][-1]
        assert np.isfinite(tracks.xyxy).all()
        assert (tracks.xyxy[:, 2:] >= tracks.xyxy[:, :2]).all()
        assert len(set(tracks.id.tolist())) == len(tracks)
        seen = tracks.detection[~tracks.predicted]
        assert len(set(seen.tolist())) == len(seen)
    engine = load_tracker(recipe)
    for found, now, tracks in fair:  # as if what was refused had never come
        same(engine.update(found, timestamp=now, include_lost=True), tracks)
