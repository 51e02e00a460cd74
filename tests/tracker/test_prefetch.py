import subprocess
import sys
import threading
import time

import pytest

from tracker.prefetch import prefetch


def named(name):
    return [t for t in threading.enumerate() if t.name == name]


def test_everything_in_order():
    assert list(prefetch(range(100), 3)) == list(range(100))


def test_an_error_comes_after_what_was_before_it():
    def broken():
        yield 1
        yield 2
        raise OSError("cable")

    got = []
    with pytest.raises(OSError, match="cable"):
        for item in prefetch(broken(), 8):
            got.append(item)
    assert got == [1, 2]


def test_never_more_than_asked_for_is_ahead():
    made = []

    def counting():
        for i in range(50):
            made.append(i)
            yield i

    items = prefetch(counting(), 4)
    next(items)
    time.sleep(0.3)
    assert len(made) <= 1 + 4 + 1  # taken, waiting, in the making
    items.close()


def test_closing_early_stops_the_thread_and_the_generator():
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    items = prefetch(endless(), 2, "endless")
    next(items)
    items.close()
    assert closed.wait(1)
    assert not named("endless")


def test_a_generator_that_cannot_be_closed_keeps_nobody_waiting():
    class Numbers:
        def __iter__(self):
            return iter([1, 2])

        def close(self):
            raise OSError("the cable")

    got = []
    with pytest.raises(OSError, match="the cable"):
        got.extend(prefetch(Numbers(), 1))
    assert got == [1, 2]


LEFT = """
import builtins, time, cv2, numpy as np
from tracker.prefetch import prefetch
coded = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (500, 500, 3)).astype(np.uint8))[1]
def pictures():
    while True:
        yield cv2.imdecode(coded, cv2.IMREAD_COLOR)
class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(0.3)  # as large modules are, when they are taken down
builtins.held = prefetch(pictures(), 200)  # as an error's traceback would
builtins.slow = Slow()
next(builtins.held)
raise SystemExit(3)
"""


def test_the_end_of_the_process_waits_for_code_of_libraries():
    run = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (3, "")  # not 134 and "terminate called without an active exception"
