"""Compiling is told to who waits, only where it happens, and no speed counts it."""

import os
import subprocess
import sys
import time

import pytest

from tracker import pipeline
from tracker.compile_clock import COMPILING, CompileClock
from tracker.pipeline import Timings
from tracker.run.result import Counts, RunResult


def test_the_clock_stands_still_while_something_is_compiled():
    clock = CompileClock()
    a = clock.now()
    clock.begin()
    b = clock.now()
    time.sleep(0.01)
    assert clock.running
    assert clock.now() == b
    assert clock.end() == clock.seconds >= 0.01
    assert not clock.running
    assert a <= b <= clock.now()
    assert clock.functions == 1


def test_listeners_are_told_once_when_it_begins():
    clock, told = CompileClock(), []
    clock.tell(lambda: told.append(clock.running))
    assert told == []
    for _ in range(2):
        clock.begin()
        clock.end()
    assert told == [True]


def test_milliseconds_of_a_stage_leave_compiling_out(monkeypatch):
    clock, timings = CompileClock(), Timings()
    monkeypatch.setattr(pipeline, "clock", clock)
    with timings.measure("track"):
        clock.begin()
        time.sleep(0.2)
        clock.end()
    assert timings.milliseconds()["track"] < 1000 * clock.seconds


def test_frames_a_second_leave_compiling_out(tmp_path):
    result = RunResult("done", None, tmp_path, [], Counts(frames=100), 14.0, {}, compile_seconds=10.0)
    assert result.fps == 25.0
    assert result.summary()["fps"] == 25.0
    assert result.summary()["compile_seconds"] == 10.0


@pytest.fixture
def said(tmp_path):
    """What a command says where only its own runs have filled the cache."""
    truth = tmp_path / "gt.txt"
    truth.write_text("".join(f"{f},{i},{100 * i},50,40,90,1,1,1\n" for f in range(1, 9) for i in (1, 2)))
    (tmp_path / "pred.txt").write_text("".join(f"{f},1,101,50,40,90,1,-1,-1,-1\n" for f in range(1, 9)))

    def said(*arguments):
        command = [sys.executable, "-m", "tracker.cli", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True,
            env=os.environ | {"REACQUIRE_CACHE": str(tmp_path / "cache"), "COLUMNS": "200"},
        )  # fmt: skip
        return done.stderr

    return said


def test_a_command_says_that_it_compiles_only_where_it_does(said):
    command = ("eval", "--gt", "gt.txt", "--pred", "pred.txt", "--benchmark", "none")
    assert said(*command).count(COMPILING) == 1
    assert COMPILING not in said(*command)
