"""The benchmark's machinery: a package in its own process, answers, and errors that are written down."""

import importlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture
def bench(tools):
    return importlib.import_module("tools.benchmarks.bench_association")


@pytest.fixture
def worker(bench, tmp_path):
    bench.save_loads({"20": bench.walk(20)[:30], "none": [np.empty((0, 5), np.float32)] * 8}, tmp_path / "loads.npz")
    made = bench.Worker("reacquire", sys.executable, tmp_path / "loads.npz")
    yield made
    made.close()


def test_a_crowd_is_as_dense_whatever_its_size(bench):
    for objects in (10, 200):
        frames = bench.walk(objects)
        assert np.mean([len(rows) for rows in frames]) == pytest.approx(0.95 * objects, rel=0.05)
        side = 150 * objects**0.5
        assert max(rows[:, :2].max() for rows in frames) < side + 10
        np.testing.assert_array_equal(frames[3], bench.walk(objects)[3])


def test_a_worker_measures_and_says_what_went_wrong(worker):
    answer = worker.ask(tracker="sort", load="20", warm=5, seconds=10)
    assert answer["frames"] == 25
    assert 1 < answer["microseconds"] < 100_000
    assert worker.ask(tracker="sort", load="none", warm=1, seconds=10)["frames"] == 7
    assert "KeyError" in worker.ask(tracker="sort", load="nothing", warm=1, seconds=1)["error"]
    kept = worker.ask(tracker="bytetrack", load="20", count=50)
    assert len(kept["megabytes"]) == 10
    assert kept["megabytes"][0] > 10


def test_a_package_that_does_not_start_is_an_error_and_no_more(bench, tmp_path):
    bench.save_loads({"20": bench.walk(20)[:8]}, tmp_path / "loads.npz")
    worker = bench.Worker("no-such-package", sys.executable, tmp_path / "loads.npz")
    assert worker.version == "does not start"
    assert "died" in worker.ask(tracker="sort", load="20", warm=1, seconds=1)["error"]
    worker.close()


def test_turns_medians_and_loads_that_would_take_too_long(bench, capsys):
    class Slow:
        def ask(self, load, **_):
            return {"microseconds": 1000.0 * (1 if "MOT" in load else int(load)), "frames": 10}

    made = bench.Contender("reacquire", "sort", Slow()), bench.Contender("pyxtrackers", "sort", Slow())
    settings = SimpleNamespace(repeats=3, share=10, seconds=0.1, slow=500, longest=1.0)
    bench.compete(list(made), {"10": 10, "20": 20, "2000": 2000}, settings)
    assert made[0].times["10"] == [10_000.0] * 3
    assert made[0].median("2000") is None  # (2000 / 20)² × 20 ms is more than a second
    assert made[0].times["MOT15"] == [1000.0] * 3  # too slow for all of it: a tenth
    bench.show(list(made), ["MOT15", "10", "2000"])
    assert "1.00" in capsys.readouterr().out
