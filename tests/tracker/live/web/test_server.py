"""The real server over real sockets: bounds, time-outs, a clean stop, and viewers who are slow or many."""

import contextlib
import json
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace

import numpy as np
import psutil
import pytest

from tracker.errors import ConfigError, ReacquireError
from tracker.live.web import connections, guard, serve, streams
from tracker.live.web.settings import WebSettings

STREAM = b"GET /api/cameras/door/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(page, request=b"", receive_buffer=None):
    made = socket.socket()
    if receive_buffer is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    made.settimeout(5)
    made.connect(("127.0.0.1", page.port))
    made.sendall(request)
    return made


def ask(page, path, **options):
    request = urllib.request.Request(page.url.rstrip("/") + path, **options)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read()


def read_until(sock, mark, most=1_000_000):
    found = b""
    while mark not in found and len(found) < most:
        piece = sock.recv(65536)
        if not piece:
            break
        found += piece
    return found


def wait_for(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_starts_serves_and_stops(live, running):
    page = running(live)
    assert page.url == f"http://127.0.0.1:{page.port}/"
    assert json.loads(ask(page, "/healthz")) == {"status": "ok"}
    page.stop()
    page.stop()
    with pytest.raises(OSError):
        connect(page)


def test_stops_within_two_seconds_with_viewers_connected(live, running):
    live.run(20)
    page = running(live)
    before = {thread.name for thread in threading.enumerate()}
    requests = [STREAM, STREAM.replace(b"/cameras/door", b""), STREAM.replace(b"cameras/door", b"events")]
    viewers = [connect(page, request) for request in requests * 5] + [connect(page, b"GET / HT"), connect(page)]
    for viewer in viewers[:15]:
        assert viewer.recv(1000)
    began = time.monotonic()
    page.stop()
    assert time.monotonic() - began < 2
    wait_for(lambda: not any(t.name.startswith(("paint", "feed", "page")) for t in threading.enumerate()), 3)
    assert "page" in before
    for viewer in viewers:
        viewer.close()


def test_a_port_that_is_taken_is_named(live, running):
    page = running(live)
    with pytest.raises(ReacquireError, match=f"port {page.port}: .*in use"):
        serve(live, WebSettings(port=page.port)).start()


@pytest.mark.parametrize("package", ["uvicorn", "fastapi", "starlette", "h11", "prometheus_client"])
def test_a_package_that_is_not_there_is_named(live, monkeypatch, package):
    for name in [name for name in sys.modules if name.startswith(("tracker.live.web.", f"{package}."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ReacquireError, match=rf"^the page needs {package}: pip install 'reacquire\[live\]'$"):
        serve(live)


def test_refuses_to_be_open_to_others(live):
    with pytest.raises(ConfigError, match="without a login"):
        serve(live, WebSettings(host="0.0.0.0"))


def test_listens_on_loopback_only_by_default(live, running):
    page = running(live)
    listening = [
        c for c in psutil.Process().net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == page.port
    ]
    assert [c.laddr.ip for c in listening] == ["127.0.0.1"]


@pytest.mark.parametrize(
    "request_",
    [b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"GET /?", b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: a=b; "],
)
def test_heads_are_bounded(live, running, request_):
    with connect(running(live), request_) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(b"x" * 200_000)
        with contextlib.suppress(ConnectionError):
            assert read_until(sock, b"\r\n").startswith(b"HTTP/1.1 400")
        assert json.loads(ask(running(live), "/healthz")) == {"status": "ok"}


def test_who_does_not_finish_a_head_is_hung_up_on(live, running, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    page = running(live)
    for request in (b"", b"GET / HTTP/1.1\r\nHost: local", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        with connect(page, request) as sock:
            if request.endswith(b"\r\n\r\n"):  # a first request that was fine does not buy time for the next
                assert b"ok" in read_until(sock, b"ok")
                sock.sendall(b"GET / HTTP/1.1\r\nHo")
            began = time.monotonic()
            with contextlib.suppress(ConnectionError):
                assert sock.recv(100) == b""
            assert time.monotonic() - began < 2


def test_a_body_that_does_not_come_is_given_up(live, running, monkeypatch):
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.3)
    head = (
        "PUT /api/cameras/door/geometry HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with connect(running(live), head.encode()) as sock:
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 408")
    assert live.saved == []


def test_a_long_body_of_unknown_length_is_cut_off(live, running):
    head = (
        "PUT /api/cameras/door/geometry HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with connect(running(live), head.encode()) as sock:
        with contextlib.suppress(OSError):
            for _ in range(100):
                sock.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")
        with contextlib.suppress(ConnectionError):
            assert read_until(sock, b"\r\n").startswith(b"HTTP/1.1 413")
    assert live.saved == []


def test_motion_jpeg_moves(live, running):
    live.run(30)
    with connect(running(live), STREAM) as sock:
        found = b""
        while found.count(b"X-Number") < 4:
            found += read_until(sock, b"--picture\r\n")
    head, _, _ = found.partition(b"\r\n\r\n")
    assert b"multipart/x-mixed-replace; boundary=picture" in head
    numbers = [int(part.split(b"\r\n")[0]) for part in found.split(b"X-Number: ")[1:]]
    assert numbers == sorted(set(numbers))


def test_pictures_are_capped_in_rate(live, running):
    live.run(50)
    page = running(live, large={"width": 320, "fps": 5})
    with connect(page, STREAM) as sock:
        read_until(sock, b"X-Number")
        began, found = time.monotonic(), b""
        while time.monotonic() - began < 2:
            found += sock.recv(65536)
    assert 7 <= found.count(b"X-Number") <= 12


def test_a_painter_rests_when_nobody_looks(live, running, monkeypatch):
    from tracker.live.web import pictures

    monkeypatch.setattr(pictures, "LINGER", 0.1)
    live.run(30)
    page = running(live)
    with connect(page, STREAM) as sock:
        read_until(sock, b"X-Number")
    wait_for(lambda: not any(thread.name == "paint door" for thread in threading.enumerate()))
    waits = live.cameras["door"].waits
    time.sleep(0.2)
    assert live.cameras["door"].waits == waits
    with connect(page, STREAM) as sock:
        assert b"X-Number" in read_until(sock, b"X-Number")


def test_a_painter_outlives_what_it_cannot_paint(live, running, caplog):
    page, camera = running(live), live.cameras["door"]
    good = camera.tick()
    with connect(page, STREAM) as sock:
        read_until(sock, b"X-Number")
        with camera.changed:
            camera.snapshot = replace(good, number=good.number + 1, frame=np.zeros((0, 0, 3), np.uint8))
            camera.changed.notify_all()
        wait_for(lambda: "cannot be painted" in caplog.text)
        camera.tick()
        assert f"X-Number: {good.number + 2}".encode() in read_until(sock, b"X-Number")


def test_events_come_as_they_happen_and_are_resumed(live, running):
    page = running(live)
    live.happen("entered", "door", 1)
    events = STREAM.replace(b"cameras/door", b"events")
    with connect(page, events) as sock:
        found = read_until(sock, b"event: status")
        live.happen("line_crossed", "door", 1, line="kerb", direction="a_to_b")
        found += read_until(sock, b"line_crossed")
    assert b"text/event-stream" in found
    assert b"id: 2\nevent: event\ndata: {" in found
    with connect(page, events.replace(b"\r\n\r\n", b"\r\nLast-Event-ID: 1\r\n\r\n")) as sock:
        assert b"id: 1\n" not in read_until(sock, b"id: 2\n")
    with connect(page, events.replace(b"stream", b"stream?after=0&camera=yard")) as sock:
        live.happen("camera_back", "yard")
        found = read_until(sock, b"camera_back")
    assert b"line_crossed" not in found


def test_streams_end_with_the_login(live, running):
    live.run()
    page = running(live, token="a-token-of-more-than-twenty")
    sessions = page._context.access.sessions
    name = sessions.begin()
    cookie = f"Host: localhost\r\nCookie: reacquire_session={name}\r\n".encode()
    requests = [STREAM.replace(b"Host: localhost\r\n", cookie)]
    requests.append(requests[0].replace(b"cameras/door", b"events"))
    viewers = [connect(page, request) for request in requests]
    for viewer in viewers:
        assert b"200 OK" in viewer.recv(1000)
    sessions.end(name)
    wait_for(lambda: page._context.watching.taken == page._context.listening.taken == 0)
    for viewer in viewers:
        viewer.close()


def test_who_listened_before_a_restart_without_a_checkpoint_hears_all(live, running):
    """Events are numbered from 1 again; the browser asks for those after the last one that it saw."""
    page = running(live)
    sock = connect(page, b"GET /api/events/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 500\r\n\r\n")
    read_until(sock, b"event: status")
    live.happen("entered", "door", 1)
    assert b'"kind":"entered"' in read_until(sock, b'"entered"')
    sock.close()


def test_of_twenty_editors_who_saw_one_state_one_wins(live, running):
    page, change = running(live), live.set_geometry

    def slowly(*arguments):
        time.sleep(0.02)  # others come in between where they can
        change(*arguments)

    live.set_geometry = slowly
    at = "/api/cameras/door/geometry"
    for turn in range(3):
        with urllib.request.urlopen(page.url.rstrip("/") + at, timeout=5) as answer:
            tag = answer.headers["ETag"]
        start, statuses = threading.Barrier(20), []

        def edit(number, turn=turn, tag=tag, start=start, statuses=statuses):
            zone = {"name": f"turn {turn} editor {number}", "polygon": [[0, 0], [0, 1], [1, 1]]}
            headers = {"Content-Type": "application/json", "If-Match": tag, "Origin": page.url.rstrip("/")}
            start.wait(10)
            try:
                ask(page, at, data=json.dumps({"zones": [zone]}).encode(), headers=headers, method="PUT")
                statuses.append(200)
            except urllib.error.HTTPError as error:
                statuses.append(error.code)

        editors = [threading.Thread(target=edit, args=(number,)) for number in range(20)]
        for editor in editors:
            editor.start()
        for editor in editors:
            editor.join()
        assert sorted(statuses) == [200] + [412] * 19
        assert len(live.saved) == turn + 1


def test_a_slow_viewer_slows_nobody(live, running, monkeypatch):
    """One who reads nothing: the tracking goes on at its pace, others see everything, and memory stays."""
    monkeypatch.setattr(streams, "PATIENCE", 1.0)
    page = running(live, large={"width": 640, "fps": 60, "quality": 100})
    ticks = []

    def track():
        for _ in range(150):
            began = time.monotonic()
            live.cameras["door"].tick()
            ticks.append(time.monotonic() - began)
            time.sleep(0.01)

    with connect(page, STREAM, receive_buffer=4096), connect(page, STREAM) as fast:
        read_until(fast, b"X-Number")
        memory = psutil.Process(os.getpid()).memory_info().rss
        tracking = threading.Thread(target=track)
        tracking.start()
        found = b""
        fast.settimeout(0.3)
        while tracking.is_alive():
            with contextlib.suppress(TimeoutError):
                found = found[-1000:] + fast.recv(1 << 20)
        shown = int(found.rsplit(b"X-Number: ", 1)[1].split(b"\r\n")[0])
        assert shown > 140  # of 151: the fast one is up to date
        assert max(ticks) < 0.25
        assert psutil.Process(os.getpid()).memory_info().rss - memory < 60e6
        watching = page._context.watching
        wait_for(lambda: watching.taken == 1, 5)  # the one who takes nothing was let go


def test_a_hundred_viewers_share_each_picture_and_one_more_is_refused(live, running):
    page = running(live, large={"width": 320, "fps": 10}, max_viewers=100)
    live.run(20)
    with contextlib.ExitStack() as stack:
        viewers = [stack.enter_context(connect(page, STREAM)) for _ in range(100)]
        for viewer in viewers:
            assert b"X-Number" in read_until(viewer, b"X-Number")
        gallery, threads = page._context.gallery, threading.active_count()
        before, began = gallery.encoded, time.monotonic()
        for viewer in viewers:  # each goes on to see new pictures
            assert b"X-Number" in read_until(viewer, b"X-Number")
        time.sleep(max(0, 1 - (time.monotonic() - began)))
        encoded, seconds = gallery.encoded - before, time.monotonic() - began
        assert encoded <= 10 * seconds + 2  # not a hundred times as many
        assert threading.active_count() <= threads
        with connect(page, STREAM) as late:
            answer = read_until(late, b"web.max_viewers")
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 10" in answer
        assert json.loads(ask(page, "/healthz")) == {"status": "ok"}
    wait_for(lambda: page._context.watching.taken == 0)
    with connect(page, STREAM) as again:
        assert b"X-Number" in read_until(again, b"X-Number")


def test_forwarded_addresses_are_believed_from_a_trusted_proxy_only(live, running):
    token = "a-token-of-more-than-twenty"
    for trusted, expected in (((), [401] * 5 + [429]), (("127.0.0.1",), [401] * 6)):
        page = running(live, token=token, trusted_proxies=trusted)
        found = []
        for number in range(6):
            request = (
                f"GET /api/status HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 10.0.0.{number}\r\n"
                "Authorization: Bearer wrong\r\nConnection: close\r\n\r\n"
            )
            with connect(page, request.encode()) as sock:
                found.append(int(read_until(sock, b"\r\n")[9:12]))
        assert found == expected
