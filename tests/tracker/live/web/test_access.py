"""Who may do what: each sentence of the page's security, asked from outside."""

import re

import pytest

from tracker.errors import ConfigError
from tracker.live.web import access, passwords
from tracker.live.web.app import create_app
from tracker.live.web.settings import WebSettings

TOKEN = "a-token-of-more-than-twenty"
PASSWORD = "correct horse"
HERE = {"Origin": "http://127.0.0.1:8080"}
GEOMETRY = {"zones": [{"name": "garden", "polygon": [[0, 0], [1, 0], [1, 1]]}], "lines": []}
CLOSED = ["/api/status", "/api/cameras", "/api/events", "/api/events/stream", "/api/stream", "/api/openapi.json"]
CLOSED += [
    "/metrics",
    "/readyz",
    "/api/cameras/door/picture",
    "/api/cameras/door/stream",
    "/api/cameras/door/identities",
]


@pytest.fixture
def hashed(monkeypatch):
    monkeypatch.setattr(passwords, "COST", 2**10)
    return passwords.hash_password(PASSWORD)


def log_in(page, password=PASSWORD, headers=HERE):
    return page.post("/login", data={"password": password}, headers=headers)


def test_an_unsafe_page_does_not_start(live):
    with pytest.raises(ConfigError, match="without a login"):
        create_app(live, WebSettings(host="0.0.0.0"))


def test_on_loopback_it_is_open(live, client):
    page = client(live)
    assert page.get("/").status_code == 200
    assert page.get("/api/status").json()["cameras"][0]["name"] == "door"
    assert page.get("/login").headers["location"] == "/"
    assert page.put("/api/cameras/door/geometry", json=GEOMETRY, headers=HERE).status_code == 200


@pytest.mark.parametrize("path", CLOSED)
def test_without_login_nothing_is_shown(live, client, hashed, path):
    page = client(live, password_hash=hashed)
    answer = page.get(path)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_without_login_there_is_the_form_and_nothing_secret(live, client, hashed):
    page = client(live, password_hash=hashed)
    assert page.get("/").headers["location"] == "/login"
    assert "password" in page.get("/login").text
    assert page.get("/static/style.css").status_code == 200
    assert page.get("/static/../api/status").status_code in (401, 404)
    health = page.get("/healthz")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert page.head("/healthz").status_code == 200


def test_login_gives_a_strict_cookie_and_logout_ends_it(live, client, hashed):
    page = client(live, password_hash=hashed, session_hours=2)
    answer = log_in(page)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert re.search(r"; HttpOnly", cookie, re.I)
    assert re.search(r"; SameSite=strict", cookie, re.I)
    assert "Max-Age=7200" in cookie
    assert "Secure" not in cookie
    name = page.cookies["reacquire_session"]
    assert page.get("/api/status").status_code == 200
    assert page.post("/logout", headers=HERE).headers["location"] == "/login"
    page.cookies.set("reacquire_session", name)
    assert page.get("/api/status").status_code == 401


def test_the_cookie_is_secure_over_tls_or_when_told(live, client, hashed):
    tls = client(live, base_url="https://127.0.0.1:8080", password_hash=hashed)
    assert "Secure" in log_in(tls, headers={"Origin": "https://127.0.0.1:8080"}).headers["set-cookie"]
    told = client(live, password_hash=hashed, secure_cookie=True)
    assert "Secure" in log_in(told).headers["set-cookie"]


def test_a_session_expires(live, client, hashed):
    page = client(live, password_hash=hashed, session_hours=1)
    log_in(page)
    sessions = page.app.state.context.access.sessions
    before = sessions._clock
    sessions._clock = lambda: before() + 3601
    assert page.get("/api/status").status_code == 401


def test_a_made_up_session_is_none(live, client, hashed):
    page = client(live, password_hash=hashed)
    page.cookies.set("reacquire_session", "x" * 43)
    assert page.get("/api/status").status_code == 401


def test_wrong_logins_are_slowed_by_address_and_no_password_helps(live, client, hashed):
    page = client(live, password_hash=hashed)
    assert [log_in(page, "wrong password").status_code for _ in range(5)] == [401] * 5
    answer = log_in(page)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 31
    assert 'role="alert"' in answer.text
    other = client(live, password_hash=hashed, address="10.0.0.9")
    assert log_in(other).status_code == 303


def test_a_good_login_clears_the_count(live, client, hashed):
    page = client(live, password_hash=hashed)
    for _ in range(4):
        log_in(page, "wrong password")
    assert log_in(page).status_code == 303
    assert [log_in(page, "wrong password").status_code for _ in range(5)] == [401] * 5


def test_wrong_logins_are_slowed_over_all_addresses(live, client, monkeypatch):
    page = client(live, token=TOKEN)
    throttle = page.app.state.context.access.throttle
    now = throttle._clock()
    throttle._clock = lambda: now
    tried = []
    monkeypatch.setattr(access, "_address", lambda request: f"10.{len(tried) // 250}.0.{len(tried) % 250}")
    while len(tried) < 70:
        tried.append(log_in(page, "wrong password").status_code)
    assert tried == [401] * 60 + [429] * 10


def test_token_opens_the_api_and_the_form(live, client):
    page = client(live, token=TOKEN)
    assert page.get("/api/status", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert page.get("/metrics", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200
    for wrong in (f"Bearer {TOKEN}x", "Bearer ", "Bearer tökén".encode(), f"Basic {TOKEN}", TOKEN):
        assert page.get("/api/status", headers={"Authorization": wrong}).status_code == 401, wrong
    assert page.get(f"/api/status?token={TOKEN}").status_code == 401
    assert log_in(page, TOKEN).status_code == 303


def test_guessed_tokens_are_slowed(live, client):
    page = client(live, token=TOKEN)
    found = [page.get("/api/status", headers={"Authorization": f"Bearer guess{i}"}) for i in range(6)]
    assert [answer.status_code for answer in found] == [401] * 5 + [429]
    assert int(found[-1].headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://127.0.0.1:8080.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
)
def test_a_change_from_elsewhere_is_refused_though_logged_in(live, client, hashed, headers):
    page = client(live, password_hash=hashed)
    log_in(page)
    answer = page.put("/api/cameras/door/geometry", json=GEOMETRY, headers=headers)
    assert answer.status_code == 403
    assert page.post("/logout", headers=headers).status_code == 403
    assert live.saved == []
    assert page.put("/api/cameras/door/geometry", json=GEOMETRY, headers=HERE).status_code == 200


def test_on_open_loopback_a_foreign_page_changes_nothing(live, client):
    page = client(live)
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert page.put("/api/cameras/door/geometry", json=GEOMETRY, headers=headers).status_code == 403
    # What a form of another site can send without being asked first is not JSON.
    form = page.put("/api/cameras/door/geometry", content=b"{}", headers={"Content-Type": "text/plain"} | HERE)
    assert form.status_code == 415
    assert live.saved == []


def test_another_site_s_page_reads_nothing(live, client):
    page = client(live)
    for path in ("/api/status", "/api/cameras/door/picture", "/api/stream", "/metrics"):
        for site in ("cross-site", "same-site"):
            assert page.get(path, headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}).status_code == 403
    assert page.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}).status_code == 200
    assert page.get("/api/status", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_login_from_another_site_is_refused(live, client, hashed):
    page = client(live, password_hash=hashed)
    assert log_in(page, headers={"Origin": "http://evil.example"}).status_code == 403


def test_a_token_needs_no_origin(live, client):
    page = client(live, token=TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "http://elsewhere.example"}
    assert page.put("/api/cameras/door/geometry", json=GEOMETRY, headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "[", "10.0.0.1"])
def test_a_name_that_was_made_to_point_here_is_refused(live, client, host):
    answer = client(live).get("/api/status", headers={"Host": host})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert client(live).get("/", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST"])
def test_names_of_this_machine_are_fine(live, client, host):
    assert client(live).get("/api/status", headers={"Host": host}).status_code == 200


def test_a_proxy_s_name_has_to_be_allowed(live, client):
    page = client(live, token=TOKEN, allowed_hosts=("Cameras.example",))
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert page.get("/api/status", headers=bearer | {"Host": "cameras.example"}).status_code == 200
    assert page.get("/api/status", headers=bearer | {"Host": "other.example"}).status_code == 400
    beyond = client(live, host="0.0.0.0", token=TOKEN)
    assert beyond.get("/api/status", headers=bearer | {"Host": "any.example"}).status_code == 200


def test_every_answer_carries_the_security_headers(live, client):
    page = client(live)
    for path in ("/", "/login", "/static/app.js", "/api/status", "/api/none", "/healthz"):
        headers = page.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] in ("no-store", "no-cache")
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers
    refused = page.get("/api/status", headers={"Host": "evil.example"})
    assert "content-security-policy" in refused.headers


def test_the_page_asks_nobody_else_and_has_no_inline_script(root):
    for path in (root / "tracker/live/web/static").iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text), path
        if path.suffix == ".html":
            assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", text), path
        assert "innerHTML" not in text, path
