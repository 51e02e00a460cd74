"""What is deleted, whatever becomes of the clock."""

import os
import time

import pytest

from tracker.live.retention import Retention

DAY = 86_400.0


@pytest.fixture
def clock(monkeypatch):
    """The machine's clock, and the even one, which both can be moved."""
    real, even = time.time(), time.monotonic()
    moved = {"set": 0.0, "passed": 0.0}
    monkeypatch.setattr(time, "time", lambda: real + moved["set"] + moved["passed"])
    monkeypatch.setattr(time, "monotonic", lambda: even + moved["passed"])
    return moved


@pytest.fixture
def file(tmp_path):
    def make(name, days_ago=0.0, size=1):
        path = tmp_path / name
        path.write_bytes(b"x" * size)
        moment = time.time() - days_ago * DAY
        os.utime(path, (moment, moment))
        return path

    return make


def left(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


def test_what_is_too_old_goes_when_it_still_is_a_while_later(tmp_path, file, clock):
    file("old", 8)
    file("new", 6)
    kept = Retention(7 * DAY)
    kept.make_room(tmp_path.iterdir(), 600)
    assert left(tmp_path) == ["new", "old"]
    clock["passed"] += 601
    kept.make_room(tmp_path.iterdir(), 600)
    assert left(tmp_path) == ["new"]
    clock["passed"] += 1 * DAY
    kept.make_room(tmp_path.iterdir(), 600)
    assert left(tmp_path) == []


@pytest.mark.parametrize("days", [8, 400, -8, -400, 20_000])
def test_a_clock_that_jumps_deletes_nothing_that_is_fresh(days, tmp_path, file, clock):
    """Back and forth, and for long."""
    found, kept = file("found", 0.1), Retention(7 * DAY)
    kept.make_room(tmp_path.iterdir(), 600)
    kept.wrote(file("before"))
    for jump in (days, 0, days, -days):
        clock["set"] = jump * DAY
        for _ in range(3):
            kept.make_room(tmp_path.iterdir(), 600)
            clock["passed"] += 0.1 * DAY
        kept.wrote(file(f"at {jump} {clock['passed']}"))
    assert len(left(tmp_path)) == 6
    assert found.exists()
    clock["passed"] += 7 * DAY + 1
    clock["set"] = 0.0
    kept.make_room(tmp_path.iterdir(), 600)
    assert left(tmp_path) == []  # and what is old goes all the same


def test_a_machine_that_learns_the_time_late_deletes_nothing(tmp_path, file, clock):
    file("yesterday", 1)
    clock["set"] = 400 * DAY  # until the network answers
    kept = Retention(7 * DAY)
    kept.make_room(tmp_path.iterdir(), 600)
    clock["passed"] += 60
    clock["set"] = 0.0
    for _ in range(10):
        kept.make_room(tmp_path.iterdir(), 600)
        clock["passed"] += 600
    assert left(tmp_path) == ["yesterday"]


def test_a_machine_that_begins_in_1970_keeps_and_then_deletes(tmp_path, file, clock):
    file("old", 8)
    file("new", 1)
    clock["set"] = -time.time()
    kept = Retention(7 * DAY)
    kept.make_room(tmp_path.iterdir(), 600)
    clock["passed"] += 700
    kept.make_room(tmp_path.iterdir(), 600)
    assert left(tmp_path) == ["new", "old"]
    clock["set"] = 0.0
    kept.make_room(tmp_path.iterdir(), 600)
    assert left(tmp_path) == ["new"]


def test_of_too_many_the_oldest_go_in_the_order_in_which_they_were_written(tmp_path, file, clock):
    file("found 1", 3, 10)
    file("found 2", 2, 10)
    kept = Retention(7 * DAY, 40)
    for i, days in enumerate((9, 9, 0, -9, 4)):
        clock["set"] = days * DAY
        clock["passed"] += 60
        kept.wrote(file(f"written {i}", 0, 10))
        kept.make_room(tmp_path.iterdir(), 600)
    assert left(tmp_path) == ["written 1", "written 2", "written 3", "written 4"]


def test_a_file_has_the_time_that_it_has_by_the_new_clock(tmp_path, file, clock):
    """So that the next process, which knows nothing of this one's clock, judges it rightly."""
    clock["set"] = 9 * DAY
    kept = Retention(7 * DAY, 25)
    for name in ("a", "b"):
        kept.wrote(file(name, 0, 10))
        clock["passed"] += 100
    clock["set"] = 0.0
    kept.make_room(tmp_path.iterdir(), 600)
    ages = [time.time() - (tmp_path / name).stat().st_mtime for name in ("a", "b")]
    assert ages == pytest.approx([200, 100], abs=1)
    file("c", 0, 10)
    Retention(7 * DAY, 25).make_room(tmp_path.iterdir(), 600)
    assert left(tmp_path) == ["b", "c"]


def test_what_cannot_be_deleted_stops_nothing(tmp_path, file, clock, monkeypatch, caplog):
    kept = Retention(7 * DAY)
    file("stays", 9), file("goes", 8)
    kept.make_room(tmp_path.iterdir(), 0)
    real = type(tmp_path).unlink

    def unlink(path, *options):
        if path.name == "stays":
            raise PermissionError(13, "Permission denied")
        real(path, *options)

    file("stays", 9), file("goes", 8)
    monkeypatch.setattr("pathlib.Path.unlink", unlink)
    kept.make_room(tmp_path.iterdir(), 0)
    assert left(tmp_path) == ["stays"]
    assert "cannot be deleted" in caplog.text
