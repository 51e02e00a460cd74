"""Redirects, refusals, answers of no sense: nothing is lost, sent elsewhere, or counted as sent though it was not."""

import json
import socket
import threading

import pytest

from tests.tracker.live.servers import Quiet, serve, until
from tracker.live.events import EventLog
from tracker.live.outputs import Webhook, origin
from tracker.live.settings import WebhookSettings

CODES = (301, 302, 303, 307, 308)


class Server(Quiet):
    """Keeps what it is asked, and answers by path: `/hook` as it is told, all else with 204."""

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        events = [event["number"] for event in json.loads(body)["events"]] if body else []
        self.asked.append((self.command, self.path, events, self.headers.get("Authorization")))
        code, location = self.redirects.get(self.path, (204, None))
        self.send_response(code)
        if location is not None:
            self.send_header("Location", location.format(port=self.server.server_port))
        self.end_headers()

    do_POST = do_GET = answer  # noqa: N815


def server(**redirects):
    return type("Server", (Server,), {"asked": [], "redirects": {f"/{k}": v for k, v in redirects.items()}})


@pytest.fixture
def post():
    """Starts a webhook that has one event to send."""
    started = []

    def start(port, path="hook", **settings):
        settings = {"token": "s3cret", "longest_pause": 0.1, "timeout_seconds": 2} | settings
        out, log = Webhook(WebhookSettings(url=f"http://127.0.0.1:{port}/{path}", **settings)), EventLog()
        log.connect(out.put)
        out.start()
        log.add("entered", "gate", track=1, class_name="person")
        started.append(out)
        return out

    yield start
    for out in started:
        out.stop()
        out.join(5)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(
    "where",
    [
        "http://localhost:{port}/elsewhere",  # the same machine by another name is another origin
        "https://127.0.0.1:{port}/elsewhere",
        "//localhost:{port}/elsewhere",
        "http://user:pw@127.0.0.1:{port}/elsewhere",
        "ftp://127.0.0.1/elsewhere",
        "file:///etc/passwd",
        "http://[nonsense/",
        "http://127.0.0.1:99999/",
    ],
)
def test_nothing_goes_to_another_server_and_nothing_is_lost(code, where, post):
    handler = server(hook=(code, where))
    with serve(handler) as first:
        out = post(first.server_port)
        until(lambda: out.trouble and len(handler.asked) >= 2, 10, "it is told, and tried again")
        assert str(code) in out.trouble
        assert "s3cret" not in out.trouble
        assert (out.sent, out.dropped) == (0, 0)
        assert all(asked == ("POST", "/hook", [1], "Bearer s3cret") for asked in handler.asked)
        handler.redirects.clear()  # the server is mended
        until(lambda: out.sent == 1, 10, "it arrives")
        assert out.trouble is None
        assert out.dropped == 0


@pytest.mark.parametrize("code", [301, 302, 307, 308])
@pytest.mark.parametrize("where", ["/there", "there", "http://127.0.0.1:{port}/there", "//127.0.0.1:{port}/there"])
def test_on_the_same_server_the_same_is_sent_there(code, where, post):
    handler = server(hook=(code, where))
    with serve(handler) as first:
        out = post(first.server_port)
        until(lambda: out.sent == 1, 10, "it arrives")
        assert handler.asked == [("POST", path, [1], "Bearer s3cret") for path in ("/hook", "/there")]
        assert out.trouble is None


def test_a_303_asks_for_a_get_and_takes_nothing(post):
    handler = server(hook=(303, "/there"))
    with serve(handler) as first:
        out = post(first.server_port)
        until(lambda: out.trouble, 10, "it is told")
        assert out.sent == 0
        assert {request[1] for request in handler.asked} == {"/hook"}


@pytest.mark.parametrize("circle", [{"hook": (302, "/hook")}, {"hook": (308, "/b"), "b": (307, "/hook")}])
def test_a_circle_is_left(circle, post):
    handler = server(**circle)
    with serve(handler) as first:
        out = post(first.server_port, longest_pause=60)
        until(lambda: out.trouble, 10, "it is told")
        assert "points to itself" in out.trouble
        assert len(handler.asked) <= 4
        assert out.sent == 0


def test_a_chain_ends_where_it_leaves_the_server(post):
    other = server()
    with serve(other) as second:
        handler = server(hook=(307, "/b"), b=(307, f"http://localhost:{second.server_port}/c"))
        with serve(handler) as first:
            out = post(first.server_port)
            until(lambda: out.trouble, 10, "it is told")
            assert f"http://localhost:{second.server_port}" in out.trouble
            assert out.sent == 0
        assert other.asked == []


@pytest.mark.parametrize("code", [400, 401, 404, 410])
def test_what_is_refused_for_good_is_not_counted_as_sent(code, post):
    handler = server(hook=(code, None))
    with serve(handler) as first:
        out = post(first.server_port)
        until(lambda: out.trouble, 10, "it is told")
        assert out.trouble == f"refused with {code}; 1 events are lost so far"
        assert (out.sent, out.dropped) == (0, 1)


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"", b"HTTP/1.1 101 X\r\n\r\n"])
def test_an_answer_of_no_sense_is_tried_again(answer, post):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        out = post(port)
        until(lambda: out.trouble, 10, "it is told")
        assert (out.sent, out.dropped) == (0, 0)
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    handler = server()
    with serve(handler, port):
        until(lambda: out.sent == 1, 10, "it arrives once there is a server")


def test_what_is_not_delivered_at_the_end_is_counted(post):
    handler = server(hook=(500, None))
    with serve(handler) as first:
        out = post(first.server_port)
        until(lambda: out.trouble, 10, "it fails")
        out.stop()
        out.join(5)
    assert (out.sent, out.dropped) == (0, 1)


def test_origins():
    assert origin("HTTPS://Host/x") == origin("https://host:443") == "https://host:443"
    assert origin("http://[::1]:80/") == origin("http://[::1]/")
    assert origin("http://host") != origin("https://host")
    assert origin("http://host:80") != origin("http://host:81")
    for address in ("http://user@host", "/path", "http://", "http://host:x", "http://[::1", "mailto:x"):
        assert origin(address) is None
