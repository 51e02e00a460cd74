"""Compiled code is made once, kept in the user's cache, and made anew where it cannot be kept or read."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tracker.warm import warm_up

CODE = """
import logging, sys
logging.basicConfig(level=logging.WARNING, format="%(message)s")
from tracker.compiled import kernel, compiled
from tracker.compile_clock import clock
import numpy as np

told = []
clock.tell(lambda: told.append(clock.running))

@kernel
def total(array):
    out = 0.0
    for value in array:
        out += value
    return out

@compiled
def twice(array):
    made = np.empty(len(array))
    for i in range(len(array)):
        made[i] = 2 * array[i]
    return total(made)

def make(factor):
    @compiled
    def times(array):
        return factor * total(array)
    return times

print(twice(np.arange(4.0)), make(2)(np.arange(4.0)), make(3)(np.arange(4.0)), clock.functions, *told)
"""


@pytest.fixture
def run(tmp_path):
    """The code in a process of its own, with a cache of its own: what it printed, and what it said."""
    (tmp_path / "code.py").write_text(CODE)

    def run(cache=tmp_path / "cache"):
        done = subprocess.run(
            [sys.executable, str(tmp_path / "code.py")], capture_output=True, text=True, check=True,
            env=os.environ | {"REACQUIRE_CACHE": str(cache)},
        )  # fmt: skip
        return done.stdout.split(), done.stderr

    return run


def files(folder):
    return sorted((folder / "cache/compiled").glob("*/*"))


def test_a_second_process_compiles_nothing(run, tmp_path):
    assert run() == (["12.0", "12.0", "18.0", "3", "True"], "")
    assert len(files(tmp_path)) == 3  # functions of one name that were made of other numbers are apart
    assert run() == (["12.0", "12.0", "18.0", "0"], "")


def test_what_two_processes_compiled_is_loaded_side_by_side(run, tmp_path):
    """Functions of one name, of which each process compiled another one first."""
    whole = (tmp_path / "code.py").read_text()
    for factors in ((5,), (6,), (7,), (5, 6, 7)):
        calls = ", ".join(f"make({factor})(np.arange(4.0))" for factor in factors)
        (tmp_path / "code.py").write_text(whole.replace(whole[whole.index("print(") :], f"print({calls})\n"))
        assert run()[0] == [str(6.0 * factor) for factor in factors]


def test_symbols_of_two_processes_are_never_of_one_name():
    """Else the parts of one recipe could be taken for those of another that a process compiled before."""
    code = "import tracker.compiled; from numba.core.bytecode import FunctionIdentity as F; print(next(F._unique_ids))"
    found = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)]
    assert abs(int(found[0]) - int(found[1])) > 100_000


def test_what_is_damaged_is_compiled_anew(run, tmp_path):
    run()
    for path in files(tmp_path):
        path.write_bytes(path.read_bytes()[:100])
    printed, said = run()
    assert printed == ["12.0", "12.0", "18.0", "3", "True"]
    assert said.count("is damaged (") == 3
    assert run() == (["12.0", "12.0", "18.0", "0"], "")


def test_processes_that_compile_at_once_do_not_disturb_each_other(run, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        assert {tuple(found[0][:3]) for found in pool.map(lambda _: run(), range(2))} == {("12.0", "12.0", "18.0")}
    assert len(files(tmp_path)) == 3
    assert run()[0][3] == "0"


def test_where_nothing_can_be_kept_that_is_said_once(run, tmp_path):
    (tmp_path / "file").write_text("")
    printed, said = run(tmp_path / "file")
    assert printed == ["12.0", "12.0", "18.0", "3", "True"]
    assert said.count("compiled code cannot be kept") == 1


def test_warming_up_takes_a_frame_of_each_recipe():
    assert [name for name, _ in warm_up(["sort"])] == ["sort"]


EVALUATION = """
import sys
from pathlib import Path
from numba.core import event
from tracker.compile_clock import clock
from tracker.evaluation.evaluate import evaluate

boxes = Path(sys.argv[1])
boxes.write_text("".join(f"{f},{i},{9 * i},50,40,90,1,1,1\\n" for f in range(1, 9) for i in (1, 2, 3)))
with event.install_recorder("numba:compile") as recorder:
    scores = evaluate(boxes, boxes, benchmark="none")
print(clock.functions, sum(of.is_start for _, of in recorder.buffer))
"""


def test_evaluation_compiles_little(tmp_path):
    """Four functions for Python, of few parts: numpy's ways to make and copy arrays would be more than all of it."""
    done = subprocess.run(
        [sys.executable, "-c", EVALUATION, str(tmp_path / "gt.txt")], capture_output=True, text=True, check=True,
        env=os.environ | {"REACQUIRE_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    functions, parts = map(int, done.stdout.split())
    assert functions == 4
    assert parts < 40
