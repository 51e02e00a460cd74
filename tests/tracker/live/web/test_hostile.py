"""Requests that are made to cost much, or to pass for others: each is answered at once, and changes nothing.

Lengths are such that work of their square would take minutes; heads are longer than the server lets through.
"""

import asyncio
import json

import pytest
from starlette.requests import Request

from tracker.live.web import guard
from tracker.live.web.access import Access
from tracker.live.web.settings import WebSettings

TOKEN = "a-token-of-more-than-twenty"
HERE = {"Origin": "http://127.0.0.1:8080"}
JSON = HERE | {"Content-Type": "application/json"}
GEOMETRY = "/api/cameras/door/geometry"
LONG = 200_000
BODY = guard.LARGEST_BODY - 100
CLOSED = [("GET", "/api/status"), ("GET", "/metrics"), ("GET", "/api/cameras/door/picture"), ("PUT", GEOMETRY)]
CLOSED += [("POST", "/api/cameras"), ("GET", "/readyz"), ("GET", "/api/openapi.json"), ("POST", "/logout")]
POISONED = [
    "127.0.0.1/static/",
    "localhost/healthz?",
    "localhost/login#",
    "localhost?/static/",
    "localhost#/static/",
    "localhost\\static\\",
    "localhost:80/static/",
    "localhost:8080@evil.example",
    "evil.example@localhost",
    "localhost:",
    "localhost:0",
    "localhost:65536",
    "localhost:80a",
    "localhost:٣",
    "localhost:80:80",
    "localhost ",
    "local host",
    "localhost,evil.example",
    "[::1",
    "[::1]x",
    "[::1]/static/",
    "::1",
    "[localhost]",
    "[]",
    ".localhost",
    "localhost.",
    "%6cocalhost",
    "http://localhost",
    "",
    "a" * LONG,
    ":" * LONG,
    "a." * LONG,
]


def scope(method, path, *hosts):
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", host.encode("utf-8", "surrogateescape")) for host in hosts],
        "scheme": "http",
        "server": ("127.0.0.1", 8080),
        "root_path": "",
        "client": ("10.0.0.9", 1),
    }


def ask(app, path, query=""):
    """What the app answers, without a client's own bounds: status and body."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope("GET", path, "localhost") | {"query_string": query.encode()}, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize("host", POISONED, ids=lambda host: repr(host[:30]))
def test_no_host_stands_for_a_path(host):
    """Whatever starlette makes of it: what is asked for is the scope's path, and this is no host's shape."""
    access = Access(WebSettings(token=TOKEN, host="0.0.0.0"))  # on every address: any name is let through
    for method, path in CLOSED:
        answer = access.refuse(Request(scope(method, path, host)))
        assert answer is not None
        assert answer.status_code == 400
    assert access.refuse(Request(scope("GET", "/healthz", host))) is None


@pytest.mark.parametrize("hosts", [(), ("localhost", "localhost"), ("localhost", "evil.example")])
def test_there_is_one_host(hosts):
    answer = Access(WebSettings()).refuse(Request(scope("GET", "/api/status", *hosts)))
    assert answer is not None
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1", "a.example:65535", "[::1]", "[::1]:8080", "x_y-z.example"]
)
def test_a_right_host_does_not_log_in(host):
    access = Access(WebSettings(token=TOKEN, host="0.0.0.0"))
    for method, path in CLOSED:
        answer = access.refuse(Request(scope(method, path, host)))
        assert answer is not None
        assert answer.status_code in (401, 403)


@pytest.mark.parametrize(
    "path", ["@localhost/static/", "http://localhost/static/x", "static/x", "", "*", "healthz", "?/static/"]
)
def test_a_path_begins_with_a_slash(path):
    answer = Access(WebSettings(token=TOKEN)).refuse(Request(scope("GET", path, "localhost")))
    assert answer is not None
    assert answer.status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1/static/", "localhost/healthz?", "localhost/login"])
def test_through_the_whole_app_no_host_opens_anything(live, client, host):
    page = client(live, token=TOKEN)
    for method, path in CLOSED:
        answer = page.request(method, path, headers=JSON | {"Host": host}, content=b"{}" if method != "GET" else None)
        assert answer.status_code == 400
    assert live.saved == []


def test_no_answer_repeats_the_host(live, client):
    page = client(live, host="0.0.0.0", token=TOKEN)
    for path in ("/healthz/", "/api/status/", "/static/", "/login/", "/", "/login"):
        answer = page.get(path, headers={"Host": "evil.example"})
        assert "evil.example" not in answer.text + str(answer.headers)


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"zones": [], "_" * BODY: 1}),
        json.dumps({"zones": [], "-" * BODY: 1}),
        json.dumps({"zones": [], "a:" * (BODY // 2): 1}),
        json.dumps({f"k{i}": i for i in range(3000)}),
        json.dumps({"zones": [{}] * 10_000}),
        json.dumps({"zones": [{"name": "_" * BODY, "polygon": []}]}),
        json.dumps({"zones": [{"name": "z", "polygon": [[0, 0]] * 5000}]}),
        "[" * BODY,
        '{"zones":' * 6000,
        '{"zones": [[[' + "1" * BODY,
        '{"zones": ' + "1" * BODY + "}",
        '{"zones": [{"name": "z", "dwell": 1e' + "9" * BODY + "}]}",
        '"' + "\\u0000" * 5000 + '"',
        '"' + "\\" * BODY,
        "\ud800".encode("utf-8", "surrogatepass") * 1000,
        b"\xff" * BODY,
        b"",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_bodies_that_cost_are_refused_in_few_words(live, client, content):
    answer = client(live).put(GEOMETRY, content=content, headers=JSON)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 6000
    assert live.saved == []


def test_keys_are_told_only_where_they_look_like_keys(live, client):
    answer = client(live).put(GEOMETRY, json={"colour": 1, "rtsp://u:s3cret@h": 2}, headers=HERE)
    assert [error.partition(":")[0] for error in answer.json()["errors"]] == ["body.colour", "body.…"]
    assert "s3cret" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": 'reacquire_session="' + '\\"' * LONG + '"'},
        {"Cookie": 'other="' + "\\1" * LONG + '"'},
        {"Cookie": ";" * LONG},
        {"Cookie": "=" * LONG},
        {"Cookie": "a=b; " * LONG},
        {"Authorization": "Bearer " + "x" * LONG},
        {"Authorization": " " * LONG + "x"},
        {"Content-Type": 'application/json; a="' + ';"' * LONG},
        {"If-Match": '"' * LONG},
        {"If-None-Match": "W/" * LONG},
        {"Accept": "*/*;q=" * LONG},
        {"Range": "bytes=" + "0-," * LONG},
        {"Last-Event-ID": "9" * LONG},
        {"Origin": "http://" * LONG},
        {"X-Forwarded-For": "1," * LONG},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_headers_that_cost_are_read_at_once(live, client, headers):
    page = client(live, token=TOKEN)
    for path in ("/healthz", "/", "/login", "/static/app.js", "/api/status", "/api/events"):
        assert page.get(path, headers=headers).status_code in (200, 303, 401)
    allowed = {"Authorization": f"Bearer {TOKEN}"} | headers
    assert page.put(GEOMETRY, content=b"[]", headers=JSON | allowed).status_code in (401, 415, 422, 429)


@pytest.mark.parametrize("length", ["²", "٣", "-5", "+5", "1e3", "1_0", " ", "9" * 5000, "0x10", "5,5", ""])
def test_a_length_is_a_number(length):
    """Of a server that hands anything on; h11 refuses most of these itself."""
    asked = scope("PUT", GEOMETRY, "localhost")
    asked["headers"] += [(b"content-length", length.encode()), (b"content-type", b"application/json")]
    refusal = guard._refuse_body(Request(asked))
    assert refusal is not None
    assert refusal.status_code == 413


@pytest.mark.parametrize(
    "query",
    ["a=&" * LONG, "&" * LONG, "%" * LONG, "%25" * LONG, "limit=" + "9" * LONG, "camera=" + "_" * LONG, "=" * LONG],
)
def test_queries_that_cost_are_read_at_once(live, client, query):
    status, body = ask(client(live).app, "/api/events", query)
    assert status in (200, 422)
    assert len(body) < 6000


@pytest.mark.parametrize("path", ["_" * LONG, "%2f" * LONG, "../" * LONG, "%" * LONG, "a/" * LONG])
def test_paths_that_cost_are_read_at_once(live, client, path):
    app = client(live).app
    assert ask(app, f"/api/cameras/{path}")[0] in (404, 422)
    assert ask(app, f"/static/{path}")[0] == 404


@pytest.mark.parametrize(
    "form",
    ["password=" + "x" * BODY, "&" * BODY, "password&" * 5000, "%" * BODY, "=" * BODY, b"\xff" * BODY, "%ff" * 20000],
)
def test_forms_that_cost_are_refused(live, client, form):
    page = client(live, token=TOKEN)
    assert page.post("/login", content=form, headers=HERE).status_code in (400, 401)


def test_of_a_list_one_fault_is_told(live, client):
    """To gather all of thousands holds the interpreter, and the tracking waits."""
    wrong = [{"name": f"z{i}", "polygon": [[0, 0], [2, 0]] * 99} for i in range(5)]
    errors = client(live).put(GEOMETRY, json={"zones": wrong}, headers=HERE).json()["errors"]
    assert {error.partition(":")[0] for error in errors} <= {
        f"body.zones.{i}.polygon{at}"
        for i in range(5)
        for at in ("", ".1.0")  # and that too few are right
    }


def test_only_our_cookie_is_handed_on():
    """Python's reader of cookies takes the square of their quotes: nothing behind the guard may see others."""
    headers = [(b"a", b"b"), (b"cookie", b'x="\\""; reacquire_session=abc; y=1'), (b"cookie", b"z=2")]
    assert guard._without_foreign_cookies(headers) == [(b"a", b"b"), (b"cookie", b"reacquire_session=abc")]
    assert guard._without_foreign_cookies([(b"cookie", b'reacquire_session="abc"')]) == []


def test_other_services_cookies_are_not_read(live, client):
    """Cookies go by name, not by port: those of whatever else runs on this machine are sent along."""
    page = client(live, token=TOKEN)
    name = page.app.state.context.access.sessions.begin()
    for cookie in (
        f'a="\\"{{}}"; reacquire_session={name}',
        f"reacquire_session={name}; b=\\",
        f"x;;=;reacquire_session={name}",
    ):
        assert page.get("/api/status", headers={"Cookie": cookie}).status_code == 200
    for cookie in (f'reacquire_session="{name}"', f"xreacquire_session={name}", f"reacquire_session={name}x"):
        assert page.get("/api/status", headers={"Cookie": cookie}).status_code == 401


def test_a_wrong_token_does_not_hide_whether_the_service_lives(live, client):
    page = client(live, token=TOKEN)
    found = [page.get("/healthz", headers={"Authorization": "Bearer guess"}).status_code for _ in range(10)]
    assert found == [200] * 10
