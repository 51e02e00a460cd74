"""Processes end with the one that started them, also where that was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

WORKERS = """
import os, sys, time
from pathlib import Path
from tracker.benchmark.jobs import Audience, do_all

def work(path, report):
    Path(path).write_text(str(os.getpid()))
    while True:
        time.sleep(0.1)  # never reports, so never hears that it should stop

if __name__ == "__main__":
    things = {name: f"{sys.argv[1]}/{name}" for name in ("a", "b")}
    do_all(work, things, jobs=2, audience=Audience(), stopped=lambda: False)
"""

CHILD = """
import os, subprocess, sys, time
from pathlib import Path
from tracker.processes import killed_with_parent

sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
for name in ("a", "b"):
    child = subprocess.Popen(sleeper, preexec_fn=killed_with_parent())
    Path(sys.argv[1], f"{name}.new").write_text(str(child.pid))
    Path(sys.argv[1], f"{name}.new").rename(Path(sys.argv[1], name))
time.sleep(600)
"""


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    "code",
    [
        WORKERS,
        pytest.param(CHILD, marks=pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of Linux alone")),
    ],
)
def test_nothing_is_left_of_a_process_that_was_killed(tmp_path, code):
    script = tmp_path / "parent.py"
    script.write_text(code)
    path = os.pathsep.join(str(Path(p or ".").absolute()) for p in sys.path)
    parent = subprocess.Popen([sys.executable, script, tmp_path], env=os.environ | {"PYTHONPATH": path})
    try:
        until(lambda: all((tmp_path / name).is_file() and (tmp_path / name).read_text() for name in ("a", "b")))
        everyone = psutil.Process(parent.pid).children(recursive=True)
        workers = [psutil.Process(int((tmp_path / name).read_text())) for name in ("a", "b")]
        assert all(map(alive, workers))
        assert {w.pid for w in workers} <= {p.pid for p in everyone}
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    until(lambda: not any(map(alive, everyone)))  # multiprocessing's own helper among them


def test_who_was_started_by_nobody_goes_on():
    from tracker.processes import end_with_parent

    end_with_parent()
