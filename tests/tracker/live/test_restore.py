"""States of before that are damaged, changed or of others: the service starts, says so, and gives no id twice."""

import io
import json
import os
import time
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from tracker import load_tracker
from tracker.live.camera_tracker import CameraTracker
from tracker.live.checkpoint import restore_checkpoint, save_checkpoint
from tracker.live.events import EventLog
from tracker.live.numbers import EVENTS, Numbers, series_of
from tracker.live.settings import CheckpointSettings
from tracker.live.visits import Visits
from tracker.types import Detections

pytestmark = pytest.mark.timeout(300)  # the engine may be compiled
NAME, GIVEN = "gate", 3


def camera():
    """What is saved and restored of one."""
    activity = SimpleNamespace(visits=Visits(1.0), crossings={})
    return SimpleNamespace(name=NAME, tracker=CameraTracker(NAME, load_tracker("bytetrack")), activity=activity)


def seen(second, count=GIVEN):
    left = np.arange(count)[:, None] * 100 + second
    return Detections(np.hstack([left, np.full((count, 1), 50), left + 40, np.full((count, 1), 150)]), [0.9] * count)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with the state of a camera that gave three ids and eleven numbers of events, at a moment of its work."""
    folder = tmp_path_factory.mktemp("whole")
    one, numbers = camera(), Numbers(folder / "numbers.json")
    events = EventLog(12)
    for i in range(10):
        tracks = one.tracker.engine.update(seen(i), timestamp=100 + i / 10)
        one.activity.visits.update(tracks, ["person"] * len(tracks), 100 + i / 10)
    assert one.tracker.engine.next_id == GIVEN + 1
    one.activity.crossings = {"line": {"a_to_b": {"person": 2}}}
    numbers.start({EVENTS: 12, series_of(NAME): one.tracker.engine.next_id})
    save_checkpoint(folder / "checkpoint.npz", [one], events, keep_appearance=False)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def start(tmp_path):
    """Start with files as they are given: what was said, what is wrong, the camera, and its events."""

    def start(files, folder=tmp_path):
        for name, content in files.items():
            if content is None:
                (folder / name).mkdir()
                (folder / name / "x").write_text("")
            else:
                (folder / name).write_bytes(content)
        troubles, one, events = [], camera(), EventLog()
        numbers = Numbers(folder / "numbers.json")
        settings = CheckpointSettings(valid_seconds=3600)
        path = folder / "checkpoint.npz"
        said = restore_checkpoint(path, [one], events, settings, numbers, troubles.append)
        numbers.start({EVENTS: events.next_number, series_of(NAME): one.tracker.engine.next_id})
        return SimpleNamespace(said=said, troubles=troubles, camera=one, events=events, path=path, numbers=numbers)

    return start


def lives_on(started):
    """Its tracker goes on for a while, gives numbers that are new, and can be saved."""
    one = started.camera
    one.tracker.rejoin(seen(20), 200.0)
    ids = set()
    for i in range(10):
        ids |= set(one.tracker.engine.update(seen(20 + i, 6), timestamp=200 + i / 10).id.tolist())
    new = sorted(ids - set(range(1, GIVEN + 1)))
    assert len(ids) >= 3
    assert started.events.next_number >= 12
    save_checkpoint(started.path, [one], started.events, keep_appearance=True)
    return new, ids


def test_what_is_whole_goes_on(whole, start):
    started = start(whole)
    assert started.said.startswith("3 tracks of")
    assert started.troubles == []
    assert started.camera.activity.visits.counts == {"person": 3}
    assert started.camera.activity.crossings == {"line": {"a_to_b": {"person": 2}}}
    new, ids = lives_on(started)
    assert {1, 2, 3} <= ids
    assert min(new) > 100  # what a crash may have cost is passed over


def test_a_checkpoint_alone_of_before_numbers_were_reserved(whole, start):
    def older(about):
        del about["numbered"]

    started = start({"checkpoint.npz": changed(whole["checkpoint.npz"], about=older)})
    assert started.troubles == []
    assert min(lives_on(started)[0]) == 104
    assert started.events.next_number == 1012


def changed(content, about=lambda about: None, **arrays):
    """A checkpoint with something in it changed."""
    with np.load(io.BytesIO(content)) as file:
        state = {name: file[name].copy() for name in file.files}
    saved = json.loads(bytes(state["about"]))
    about(saved)
    state["about"] = np.frombuffer(json.dumps(saved).encode(), np.uint8)
    for name, change in arrays.items():
        state[f"0/{name}"] = change(state[f"0/{name}"])
    out = io.BytesIO()
    np.savez(out, **state)
    return out.getvalue()


def test_cut_and_flipped_files_of_any_kind(whole, start, tmp_path):
    """No start fails, no id comes twice, and what is put aside is said."""
    rng = np.random.default_rng(5)
    aside = 0
    for trial in range(120):
        folder = tmp_path / str(trial)
        folder.mkdir()
        files = dict(whole)
        for name in (["checkpoint.npz"], ["numbers.json"], ["checkpoint.npz", "numbers.json"])[trial % 3]:
            content = bytearray(files[name])
            if rng.random() < 0.3:
                content = content[: rng.integers(len(content))]
            for _ in range(rng.integers(1, 4)):
                if content:
                    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
            files[name] = bytes(content)
        started = start(files, folder)
        damaged = list(folder.glob("*.damaged"))
        assert bool(started.troubles) == bool(damaged)
        aside += len(damaged)
        assert started.camera.tracker.engine.next_id > GIVEN
        assert started.events.next_number >= 12
        if trial % 10 == 0:
            assert min(lives_on(started)[0], default=99) > GIVEN
    assert aside > 60


@pytest.mark.parametrize("missing", ["checkpoint.npz", "numbers.json"])
@pytest.mark.parametrize("instead", ["nothing", "folder", "empty", "text", "zip", "other"])
def test_something_else_in_its_place(missing, instead, whole, start):
    content = {
        "folder": None,
        "empty": b"",
        "text": b"hello",
        "zip": b"PK\x05\x06" + bytes(18),
        "other": b'{"format": 9}',
    }
    files = {name: bytes_ for name, bytes_ in whole.items() if name != missing}
    if instead != "nothing":
        files[missing] = content[instead]
    started = start(files)
    assert started.camera.tracker.engine.next_id > GIVEN
    assert started.events.next_number >= 12
    if instead != "nothing":
        assert any(missing in trouble and "it is now" in trouble for trouble in started.troubles)
    new, _ = lives_on(started)
    assert min(new) > GIVEN
    again = start({})
    assert again.camera.tracker.engine.next_id > max(new)
    assert again.troubles == []


def test_nobody_may_read_it(whole, start, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may read all")
    start(whole)
    (tmp_path / "checkpoint.npz").chmod(0)
    started = start({})
    assert "Permission" in started.troubles[0]
    assert started.camera.tracker.engine.next_id > GIVEN


ABOUT = {
    "another version": lambda about: about.update(format=2),
    "a count that is none": lambda about: about["cameras"][0].update(counts={"person": -1}),
    "a count of text": lambda about: about["cameras"][0].update(counts={"person": "x"}),
    "crossings of a list": lambda about: about["cameras"][0].update(crossings=[1]),
    "somebody without a class": lambda about: about["cameras"][0].update(here={"1": {"first": 1, "last": 2}}),
    "a time that is none": lambda about: about.update(time=float("nan")),
    "a number beyond all": lambda about: about.update(next_event=10**300),
    "no cameras": lambda about: about.pop("cameras"),
    "something more": lambda about: about.update(x=1),
}


@pytest.mark.parametrize("what", ABOUT)
def test_values_of_no_sense(what, whole, start):
    started = start(whole | {"checkpoint.npz": changed(whole["checkpoint.npz"], about=ABOUT[what])})
    assert started.said == "nothing is taken up but numbers"
    assert "it is now checkpoint.damaged" in started.troubles[0]
    assert min(lives_on(started)[0]) > GIVEN


def somebody_from_the_future(about):
    about["cameras"][0]["here"]["1"]["last"] = 1e300


def test_who_was_seen_after_the_last_picture_is_not_taken_up(whole, start):
    started = start(whole | {"checkpoint.npz": changed(whole["checkpoint.npz"], about=somebody_from_the_future)})
    assert started.camera.activity.visits.here == {}
    assert "the last picture is of" in started.troubles[0]
    assert min(lives_on(started)[0]) > GIVEN


SHAPES = {
    "empty": lambda a: a[:0],
    "longer": lambda a: np.concatenate([a, a, a]),
    "of more axes": lambda a: a[None, None],
    "of text": lambda a: np.full(a.shape, "x"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_arrays_of_another_shape(shape, whole, start, tmp_path):
    """Whichever it is, the start does not fail, and what an engine refuses is put aside."""
    with np.load(io.BytesIO(whole["checkpoint.npz"])) as file:
        names = [name[2:] for name in file.files if name.startswith("0/")]
    refused = set()
    for name in names:
        folder = tmp_path / name
        folder.mkdir()
        started = start(whole | {"checkpoint.npz": changed(whole["checkpoint.npz"], **{name: SHAPES[shape]})}, folder)
        assert started.camera.tracker.engine.next_id > GIVEN
        if started.troubles:
            assert "it is now checkpoint.damaged" in started.troubles[0]
            assert started.camera.activity.visits.here == {}
            assert min(lives_on(started)[0]) > GIVEN
            refused.add(name)
    assert {"next_id", "clock"} <= refused


def test_numbers_that_somebody_changed(whole, start, tmp_path):
    """Any number of any array, by a bit or altogether: refused or lived with, and no id comes twice."""
    with np.load(io.BytesIO(whole["checkpoint.npz"])) as file:
        names = [name[2:] for name in file.files if name.startswith("0/") and file[name].size]
    rng = np.random.default_rng(8)
    strange = [np.float64(value).tobytes() for value in (np.nan, np.inf, -1e300, -1.0, 1e18, 0.5)]

    def change(array):
        raw = bytearray(array.tobytes())
        if rng.random() < 0.5 and len(raw) >= 8:
            place = int(rng.integers(len(raw) // 8)) * 8
            raw[place : place + 8] = strange[rng.integers(len(strange))]
        else:
            raw[rng.integers(len(raw))] ^= 1 << rng.integers(8)
        return np.frombuffer(bytes(raw), array.dtype).reshape(array.shape)

    refused = 0
    for trial in range(60):
        folder = tmp_path / str(trial)
        folder.mkdir()
        name = str(rng.choice(names))
        started = start(whole | {"checkpoint.npz": changed(whole["checkpoint.npz"], **{name: change})}, folder)
        refused += bool(started.troubles)
        assert bool(started.troubles) == (folder / "checkpoint.damaged").exists()
        assert min(lives_on(started)[0], default=99) > GIVEN
    assert refused > 10


def test_an_id_that_was_set_back_is_not_believed(whole, start):
    started = start(whole | {"checkpoint.npz": changed(whole["checkpoint.npz"], next_id=lambda a: a * 0 + 1)})
    assert min(lives_on(started)[0]) > GIVEN


def test_a_bomb_is_not_unpacked(whole, start):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("about.npy", bytes(10**7))
    began = time.monotonic()
    started = start(whole | {"checkpoint.npz": out.getvalue()})
    assert "more than was written" in started.troubles[0]
    assert time.monotonic() - began < 60


def test_without_a_checkpoint_ids_go_on_all_the_same(whole, tmp_path):
    (tmp_path / "numbers.json").write_bytes(whole["numbers.json"])
    one, events = camera(), EventLog()
    said = restore_checkpoint(tmp_path / "checkpoint.npz", [one], events, None, Numbers(tmp_path / "numbers.json"))
    assert said == "nothing is taken up but numbers"
    assert one.tracker.engine.next_id > GIVEN
    assert events.next_number >= 12
