"""Numbers that never come again: not after a crash, nor on a full disk, nor when what knew them is damaged."""

import errno
import json
import os
import threading
import time

import numpy as np
import pytest

from tests.tracker.live.servers import until
from tracker.errors import DataError
from tracker.live.numbers import BLOCK, EVENTS, Numbers, put_aside, series_of


def numbers_in(folder):
    numbers = Numbers(folder / "numbers.json")
    return numbers, numbers.read()


def on_disk(folder):
    return json.loads((folder / "numbers.json").read_text())["reserved"]


def test_no_number_is_used_that_is_not_on_the_disk(tmp_path):
    numbers, there = numbers_in(tmp_path)
    assert not there
    numbers.start({EVENTS: 1, "ids of a": 1})
    rng = np.random.default_rng(0)
    following = {EVENTS: 1, "ids of a": 1, "ids of new": 1}
    for _ in range(600):
        series = str(rng.choice(sorted(following)))
        count = int(rng.integers(1, 400))
        allowed = numbers.allow(series, following[series], count)
        assert allowed == following[series]
        assert allowed + count <= on_disk(tmp_path)[series]
        following[series] = allowed + count
    assert numbers.trouble is None
    crashed, _ = numbers_in(tmp_path)
    for series, number in following.items():
        assert number <= crashed.first(series) < number + 4000
    numbers.stop(following)
    stopped, _ = numbers_in(tmp_path)
    assert {series: stopped.first(series) for series in following} == following
    numbers.allow(EVENTS, following[EVENTS], 5)  # somebody was still at work
    assert on_disk(tmp_path)[EVENTS] >= following[EVENTS] + 5


def test_the_next_block_is_there_before_it_is_needed(tmp_path):
    numbers, _ = numbers_in(tmp_path)
    numbers.start({"ids of a": 1})
    before = on_disk(tmp_path)["ids of a"]
    numbers.allow("ids of a", BLOCK - 10)
    until(lambda: on_disk(tmp_path)["ids of a"] > before, 10, "another block is reserved by itself")


def test_on_a_full_disk_numbers_go_on_where_none_has_ever_been(tmp_path, monkeypatch):
    numbers, _ = numbers_in(tmp_path)
    numbers.start({"ids of a": 1})
    real = os.fsync
    monkeypatch.setattr("tracker.live.numbers.RETRY_SECONDS", 0.2)

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    given = []
    following = 1
    for _ in range(300):
        allowed = numbers.allow("ids of a", following, 1)
        given.append(allowed)
        following = allowed + 1
    assert len(set(given)) == 300
    kept = on_disk(tmp_path)["ids of a"]
    assert given[: kept - 1] == list(range(1, kept))
    assert given[-1] > 1e12
    assert "the disk is full" in numbers.trouble
    monkeypatch.setattr(os, "fsync", real)
    until(lambda: numbers.trouble is None, 10, "it is reserved once there is room")
    assert on_disk(tmp_path)["ids of a"] > 1e12
    assert numbers.allow("ids of a", following, 1) == following


def test_a_disk_that_hangs_holds_nobody_up_for_long(tmp_path, monkeypatch):
    numbers, _ = numbers_in(tmp_path)
    numbers.start({"ids of a": 1})
    monkeypatch.setattr("tracker.live.numbers.DISK_SECONDS", 0.1)
    answers = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: answers.wait(60))
    following, waits = 1, 0
    for _ in range(400):
        began = time.monotonic()
        allowed = numbers.allow("ids of a", following, 1)
        waits += time.monotonic() - began > 0.05
        assert allowed >= following
        following = allowed + 1
    assert following > 1e12
    assert waits <= 5
    answers.set()


def test_what_was_given_to_a_camera_that_is_away_is_not_forgotten(tmp_path):
    numbers, _ = numbers_in(tmp_path)
    numbers.start({series_of("gone"): 500, series_of("here"): 1})
    numbers.stop({series_of("here"): 2})
    again, _ = numbers_in(tmp_path)
    again.start({series_of("here"): 2})
    again.stop({series_of("here"): 3})
    third, _ = numbers_in(tmp_path)
    assert third.first(series_of("gone")) >= 500
    assert third.first(series_of("new")) == 1


def damages(content):
    """Cut, flipped, changed by hand, and things that are no files."""
    rng = np.random.default_rng(3)
    yield b""
    for _ in range(20):
        yield content[: rng.integers(1, len(content) - 1)]
    for _ in range(200):
        flipped = bytearray(content)
        flipped[rng.integers(len(content))] ^= 1 << rng.integers(8)
        yield bytes(flipped)
    whole = json.loads(content)
    for changed in ({"reserved": {EVENTS: 1}}, {"format": 2}, {"least": -1}, {"check": None}, {"reserved": []}):
        yield json.dumps(whole | changed).encode()
    yield b"[" * 100_000
    yield b"null"


def test_a_damaged_file_is_never_believed(tmp_path):
    numbers, _ = numbers_in(tmp_path)
    numbers.start({EVENTS: 12_345, "ids of a": 678})
    numbers.stop({EVENTS: 12_345, "ids of a": 678})
    path = tmp_path / "numbers.json"
    content = path.read_bytes()
    for damaged in damages(content):
        path.write_bytes(damaged)
        again = Numbers(path)
        try:
            assert again.read()
            known = {name: again.first(name) for name in (EVENTS, "ids of a", "ids of b")}
            assert known == {EVENTS: 12_345, "ids of a": 678, "ids of b": 1}  # a space became a tab, say
        except DataError:
            again.forgotten()
            assert again.first(EVENTS) > 1e12
            assert again.first("ids of b") > 1e12


def test_what_is_forgotten_stays_so(tmp_path):
    numbers, _ = numbers_in(tmp_path)
    numbers.forgotten()
    numbers.start({EVENTS: numbers.first(EVENTS)})
    numbers.stop({EVENTS: numbers.first(EVENTS) + 5})
    again, _ = numbers_in(tmp_path)
    assert again.first("ids of a camera that was away") > 1e12
    assert abs(again.first(EVENTS) - time.time() * 1000) < 1e6


@pytest.mark.parametrize("thing", ["file", "folder", "full folder"])
def test_whatever_stands_in_the_way_is_put_aside(thing, tmp_path):
    path = tmp_path / "checkpoint.npz"
    for count in range(3):
        if thing == "file":
            path.write_text("x")
        else:
            path.mkdir()
            if thing == "full folder":
                (path / "x").write_text("")
        assert "checkpoint.damaged" in put_aside(path)
        assert not path.exists(), count
