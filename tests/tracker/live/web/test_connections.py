"""Connections that say nothing, little or too slowly take nobody's place: health and those logged in are answered."""

import contextlib
import itertools
import select
import socket
import time

import pytest

from tracker.live.web import connections, guard
from tracker.live.web.connections import MOST_GUESTS

TOKEN = "a-token-of-more-than-twenty"
MANY = 3 * MOST_GUESTS + 20
LOGGED_IN = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
STREAM = b"GET /api/cameras/door/stream HTTP/1.1\r\n" + LOGGED_IN + b"\r\n"
SLOW_BODY = b"POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 1000\r\n\r\np"
HOLDS = {
    "idle": b"",
    "a slow head": b"GET /healthz HTTP/1.1\r\nHo",
    "a slow body": SLOW_BODY,
    "a body that nobody waits for": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
    "kept alive": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no login": b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a wrong token": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\n\r\n",
    "many requests and none read": b"GET /static/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20,
}


def connect(page, request=b"", source="127.0.0.1"):
    made = socket.create_connection(("127.0.0.1", page.port), 10, (source, 0))
    with contextlib.suppress(OSError):  # closed at once, to make room
        made.sendall(request)
    return made


def answer(page, request):
    with connect(page, request) as sock:
        found = b""
        with contextlib.suppress(ConnectionError):
            while b"\r\n\r\n" not in found:
                piece = sock.recv(65536)
                if not piece:
                    break
                found += piece
        return found


def still_open(socks):
    """How many the server has not closed; what it sent before is read."""
    count = 0
    for sock in socks:
        sock.setblocking(False)
        try:
            while sock.recv(1 << 20):
                pass
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


def wait_for(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def moves(sock):
    """Whether new pictures come."""
    while select.select([sock], [], [], 0)[0]:
        sock.recv(1 << 20)
    found, deadline = b"", time.monotonic() + 10
    while b"X-Number" not in found and time.monotonic() < deadline:
        found += sock.recv(65536)
    return b"X-Number" in found


@pytest.mark.parametrize("addresses", ["one", "many"])
@pytest.mark.parametrize("hold", HOLDS)
def test_those_who_hold_connections_take_nobodys_place(live, running, hold, addresses, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 60.0)  # they are as patient as can be
    monkeypatch.setattr(guard, "BODY_SECONDS", 60.0)
    live.run(20)
    page = running(live, token=TOKEN)
    with connect(page, STREAM) as viewer, contextlib.ExitStack() as stack:
        assert moves(viewer)
        held = []
        for number in range(MANY):
            source = "127.0.0.1" if addresses == "one" else f"127.0.{number // 250 + 1}.{number % 250 + 1}"
            held.append(stack.enter_context(connect(page, HOLDS[hold], source)))
            if number % 100 == 99:
                assert answer(page, HOLDS["kept alive"]).startswith(b"HTTP/1.1 200")
        for _ in range(3):
            assert answer(page, HOLDS["kept alive"]).startswith(b"HTTP/1.1 200")
            assert answer(page, b"GET /api/status HTTP/1.1\r\n" + LOGGED_IN + b"\r\n").startswith(b"HTTP/1.1 200")
            assert answer(page, b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 200")
        assert moves(viewer)
        assert page._context.watching.taken == 1
        wait_for(lambda: still_open(held) <= MOST_GUESTS)


def test_of_many_it_is_who_holds_most_that_goes(live, running, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 60.0)
    page = running(live, token=TOKEN)
    with connect(page, b"GET / HT", "127.0.0.2") as slow, contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(page, b"", "127.0.0.3")) for _ in range(MANY)]
        wait_for(lambda: still_open(held) <= MOST_GUESTS)
        slow.sendall(b"TP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(100).startswith(b"HTTP/1.1 303")


def test_who_says_nothing_goes_soon(live, running, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.5)
    page = running(live, token=TOKEN)
    page._uvicorn.config.timeout_keep_alive = 1
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(page, request)) for request in HOLDS.values() for _ in range(5)]
        for sock in held[::2]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)  # half open
        wait_for(lambda: still_open(held) == 0)
    wait_for(lambda: not page._uvicorn.server_state.connections)


def test_drops_of_a_body_buy_no_time(live, running, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.5)
    page = running(live, token=TOKEN)
    for hold in ("a slow body", "a body that nobody waits for", "a slow head"):
        with connect(page, HOLDS[hold]) as sock, contextlib.suppress(ConnectionError):
            began = time.monotonic()
            for _ in itertools.repeat(None, 200):
                sock.sendall(b"x")
                time.sleep(0.05)
            pytest.fail(f"{hold}: {time.monotonic() - began:.0f} s and still there")


def test_more_logged_in_who_read_nothing_than_there_are_places(live, running, monkeypatch):
    """Of answers that nobody takes there are no more than places; others are answered all the same."""
    page = running(live, token=TOKEN, max_viewers=5, large={"width": 640, "fps": 5, "quality": 100})
    picture = b"GET /api/cameras/door/picture HTTP/1.1\r\n" + LOGGED_IN + b"\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(150):
            stack.enter_context(connect(page, picture * 20))
        taken = page._uvicorn.server_state.connections
        wait_for(lambda: sum(one.known for one in list(taken)) > 90)

        def few():  # each newcomer gets the place of one
            assert answer(page, HOLDS["kept alive"]).startswith(b"HTTP/1.1 200")
            return sum(one.known for one in list(taken)) <= 111

        wait_for(few)
        assert answer(page, b"GET /readyz HTTP/1.1\r\n" + LOGGED_IN + b"\r\n").startswith(b"HTTP/1.1 200")


def test_more_logged_in_than_there_are_places_lose_only_idle_ones(live, running, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 60.0)
    live.run(20)
    page = running(live, token=TOKEN, max_viewers=5)  # so 110 connections
    page._uvicorn.config.timeout_keep_alive = 60
    with connect(page, STREAM) as viewer, contextlib.ExitStack() as stack:
        held = []
        for _ in range(150):
            held.append(stack.enter_context(connect(page, b"GET /readyz HTTP/1.1\r\n" + LOGGED_IN + b"\r\n")))
            assert held[-1].recv(100).startswith(b"HTTP/1.1 200")
        wait_for(lambda: still_open(held) <= 111)
        assert moves(viewer)
        assert answer(page, HOLDS["kept alive"]).startswith(b"HTTP/1.1 200")
