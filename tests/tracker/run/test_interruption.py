"""Signals reach who waits, whichever thread the system gives them to."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from tracker.run.interruption import interruptible

needs_threads_signals = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")


@needs_threads_signals
def test_a_signal_that_another_thread_gets_is_heard_by_who_waits_without_a_limit():
    done, stopped = threading.Event(), threading.Event()
    other = threading.Thread(target=done.wait, daemon=True)
    other.start()
    with interruptible(stopped.set) as asked:
        assert not asked()
        signal.pthread_kill(other.ident, signal.SIGTERM)
        assert stopped.wait(30)  # the main thread runs no handler of Python's meanwhile
        assert asked()
    done.set()


@needs_threads_signals
def test_a_second_one_raises_in_the_main_thread_though_it_waits():
    done = threading.Event()
    other = threading.Thread(target=done.wait, daemon=True)
    other.start()

    def twice():
        for _ in range(2):
            signal.pthread_kill(other.ident, signal.SIGINT)
            time.sleep(0.2)

    with pytest.raises(KeyboardInterrupt), interruptible():
        threading.Timer(0.1, twice).start()
        threading.Event().wait(60)
    done.set()


def test_handlers_are_as_before_and_other_signals_ask_for_nothing():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with interruptible() as outer:
        with interruptible() as inner:
            signal.raise_signal(signal.SIGTERM)
            end = time.monotonic() + 30
            while not inner() and time.monotonic() < end:
                time.sleep(0.01)
            assert inner()
            assert not outer()
        signal.raise_signal(signal.SIGINT)
        end = time.monotonic() + 30
        while not outer() and time.monotonic() < end:
            time.sleep(0.01)
        assert outer()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert signal.set_wakeup_fd(-1) == -1


def test_outside_the_main_thread_it_never_says_yes():
    said = []

    def work():
        with interruptible() as asked:
            said.append(asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert said == [False]


DEAF = """
import sys, threading
from tracker.cli.console import leave_at_once
from tracker.run.interruption import interruptible
lock = threading.Lock()
lock.acquire()
with interruptible(again=leave_at_once):
    print("ready", flush=True)
    while True:
        try:
            lock.acquire()
        except BaseException:
            pass
"""


def test_who_asks_twice_leaves_whatever_the_main_thread_does():
    process = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
