"""Ctrl-C and SIGTERM: the first one asks to stop, a second one does not wait."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def interrupt_main() -> None:
    """Raise `KeyboardInterrupt` in the main thread, also where it waits."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        import _thread

        _thread.interrupt_main()


@contextmanager
def interruptible(
    stop: Callable[[], None] = lambda: None, again: Callable[[], None] = interrupt_main
) -> Generator[Callable[[], bool]]:
    """Yield a function that says whether the user asked to stop; `stop` is called when they do.

    The first Ctrl-C (or SIGTERM) only sets it, so that files are finished; at a second one `again` is called. Both
    are called in a thread that does nothing but wait for signals: the system may give one to any thread, and then the
    main one, in which Python's own handlers run, does not wake up from what it waits for.

    Outside the main thread signals cannot be caught, and it never says yes.
    """
    asked, twice = threading.Event(), threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def handle(signum: int, frame: object) -> None:
        if twice.is_set():
            raise KeyboardInterrupt

    def listen() -> None:
        while number := reader.recv(1):
            if number[0] not in SIGNALS:
                continue
            if asked.is_set():
                twice.set()
                again()
                return
            asked.set()
            stop()

    reader, writer = socket.socketpair()
    writer.setblocking(False)
    listener = threading.Thread(target=listen, name="signals", daemon=True)
    before = {number: signal.signal(number, handle) for number in SIGNALS}
    wakes = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    listener.start()
    try:
        yield asked.is_set
    finally:
        signal.set_wakeup_fd(wakes)
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.close()
        listener.join(1.0)
        reader.close()
