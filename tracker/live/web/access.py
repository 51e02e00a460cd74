"""Who may do what: the host's name, the login, and that changes come from our own page.

What is asked for is the scope's path, which is what the router goes by. A `request.url` is put together from what the
client says of itself (`Host`), so nothing is decided by one.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Iterable
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tracker.live.web.passwords import verify_password
from tracker.live.web.problems import problem
from tracker.live.web.sessions import Sessions
from tracker.live.web.settings import HOST_NAME, LOCAL_NAMES, WebSettings
from tracker.live.web.throttle import Throttle

COOKIE = "reacquire_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = frozenset({"/login", "/healthz"})
"""Paths that need no login, with everything under /static/."""
SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
HOST = re.compile(rf"(?:{HOST_NAME})(?::([0-9]{{1,5}}))?")
"""The shape of `Host` in small letters: a host, and perhaps a port (RFC 9110)."""


class Access:
    """Decides about requests.

    Args:
        settings: of the page; checked.
    """

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._hosts = (
            LOCAL_NAMES | {settings.host.strip("[]")} | {name.lower().strip("[]") for name in settings.allowed_hosts}
        )
        self._any_host = not settings.loopback and not settings.allowed_hosts
        self._token = None if settings.token is None else settings.token.get_secret_value().encode()
        self._hash = None if settings.password_hash is None else settings.password_hash.get_secret_value()
        self._hashing = asyncio.Semaphore(2)  # each takes 32 MiB for a moment
        self.sessions = Sessions(settings.session_hours * 3600)
        self.throttle = Throttle(burst=settings.login_failures)

    def refuse(self, request: Request) -> Response | None:
        """The answer to a request that may not pass; None for one that may."""
        path = path_of(request)
        if not path.startswith("/"):
            return problem(400, "a path begins with /")
        if path != "/healthz" and not self._host_is_ours(request):
            return problem(400, "this name is not one of ours; web.allowed_hosts says which are")
        bearer = _bearer(request)
        if bearer is not None and self._settings.locked and path != "/healthz":
            return self._judge_bearer(request, bearer)
        if _for_another_site(request):
            return problem(403, "other sites' pages may not read this")
        if request.method not in SAFE and not self._from_our_page(request):
            return problem(403, "a change has to come from the page itself (Origin), or carry a token")
        if not self._settings.locked or path in OPEN or path.startswith("/static/") or self.logged_in(request):
            return None
        if path == "/" and request.method in SAFE:
            return RedirectResponse("/login", 303)
        return problem(401, "log in at /login, or send a token", headers={"WWW-Authenticate": "Bearer"})

    def logged_in(self, request: Request) -> bool:
        """Whether the request carries a session of ours."""
        name = session_of(request)
        return name is not None and self.sessions.holds(name)

    def still(self, request: Request) -> bool:
        """Whether who was let in may go on: a token stays, a login ends."""
        return not self._settings.locked or _bearer(request) is not None or self.logged_in(request)

    async def log_in(self, request: Request) -> tuple[int, float, str | None]:
        """Try the form's password, or token: status, seconds to wait, and the new session's name."""
        address = _address(request)
        wait = self.throttle.attempt(address)
        if wait > 0:
            return 429, wait, None
        try:
            form = parse_qs((await request.body()).decode("utf-8"), max_num_fields=8)
        except ValueError:
            return 400, 0.0, None
        if not await self._knows(form.get("password", [""])[0]):
            return 401, 0.0, None
        self.throttle.forgive(address)
        return 303, 0.0, self.sessions.begin()

    def set_cookie(self, request: Request, response: Response, name: str) -> None:
        """Hand the session out: never to scripts, never to another site, over TLS only where there is TLS."""
        secure = self._settings.secure_cookie
        secure = request.scope["scheme"] == "https" if secure == "auto" else secure
        response.set_cookie(
            COOKIE, name, max_age=int(self.sessions.seconds), httponly=True, samesite="strict", secure=secure
        )

    async def _knows(self, password: str) -> bool:
        good = self._token is not None and hmac.compare_digest(password.encode(), self._token)
        if self._hash is None:
            return good
        async with self._hashing:
            return await run_in_threadpool(verify_password, password, self._hash) or good

    def _judge_bearer(self, request: Request, bearer: str) -> Response | None:
        if self._token is not None and hmac.compare_digest(bearer.encode(), self._token):
            return None
        wait = self.throttle.attempt(_address(request))
        if wait > 0:
            return problem(429, "too many wrong tokens", headers={"Retry-After": str(int(wait) + 1)})
        return problem(401, "this is not the token", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})

    def _host_is_ours(self, request: Request) -> bool:
        """A name that was made to point here (DNS rebinding) is not one of ours."""
        name = host_name(request)
        return name is not None and (self._any_host or name in self._hosts)

    def _from_our_page(self, request: Request) -> bool:
        """Browsers say where a change comes from; what says nothing and has no session is no browser."""
        origins = request.headers.getlist("origin")
        if origins:
            host = request.headers.get("host", "").lower()
            return len(origins) == 1 and origins[0].lower() in (f"http://{host}", f"https://{host}")
        site = request.headers.get("sec-fetch-site")
        return site == "same-origin" if site is not None else session_of(request) is None


def path_of(request: Request) -> str:
    """What is asked for, as the router sees it."""
    path: str = request.scope["path"]
    return path


def host_name(request: Request) -> str | None:
    """The name in the request's one `Host`, without brackets and port; None where it has not the shape of one."""
    said = request.headers.getlist("host")
    found = HOST.fullmatch(said[0].lower()) if len(said) == 1 else None
    if found is None or not 0 < int(found[3] or 1) < 65536:
        return None
    return found[1] or found[2]


def session_of(request: Request) -> str | None:
    """The name of the session in the request's cookies, where it has the shape of one of ours."""
    return own_cookie(request.headers.getlist("cookie"))


def own_cookie(headers: Iterable[str]) -> str | None:
    """Our cookie's value in headers of cookies.

    Ours is never quoted. So others' quotes are let be; Python's own reader takes the square of their number for them.
    """
    for header in headers:
        for pair in header.split(";"):
            key, _, value = pair.strip().partition("=")
            if key == COOKIE and SESSION.fullmatch(value):
                return value
    return None


def _for_another_site(request: Request) -> bool:
    """Browsers say for whom they ask: the answer would not be shown there, and need not be made (Fetch Metadata)."""
    site = request.headers.get("sec-fetch-site", "none")
    return site not in ("same-origin", "none") and request.headers.get("sec-fetch-mode") != "navigate"


def _bearer(request: Request) -> str | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else "unknown"
