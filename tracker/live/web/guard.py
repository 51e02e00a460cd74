"""What every request passes: access, bounds on its body, headers of the answer, and errors that tell nothing."""

from __future__ import annotations

import asyncio
import logging
import re
import traceback
from collections.abc import Iterable

from fastapi import HTTPException
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tracker.live.web.access import COOKIE, Access, own_cookie, path_of
from tracker.live.web.problems import problem
from tracker.redact import redact

LOGGER = logging.getLogger(__name__)
LARGEST_BODY = 64 * 1024
BODY_SECONDS = 10.0
KNOWN = "reacquire.known"
"""Where a request's scope says whether it came with a login, or none is asked for."""
LENGTH = re.compile(r"[0-9]{1,9}")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # not no-referrer: forms would then say Origin: null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


class Guard:
    """The outermost layer of the app."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        asked, scope = scope, {**scope, "headers": _without_foreign_cookies(scope["headers"])}
        request = Request(scope)
        try:
            refusal = self._access.refuse(request)
            asked[KNOWN] = refusal is None and path_of(request) != "/healthz" and self._access.still(request)
            await (refusal or _refuse_body(request) or self._app)(scope, _bounded(receive), send_with_headers)
        except ClientDisconnect:
            pass
        except Exception:  # noqa: BLE001  # nothing of an unforeseen error may reach the outside
            LOGGER.error("%s %s failed:\n%s", request.method, path_of(request)[:200], redact(traceback.format_exc()))  # noqa: TRY400  # redacted
            if not started:
                await problem(500, "this is a fault of ours; the log has more")(scope, receive, send_with_headers)


def _without_foreign_cookies(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Of the cookies only ours: a browser sends along what other services of the same name have set."""
    kept = [(key, value) for key, value in headers if key != b"cookie"]
    own = own_cookie(value.decode("latin-1") for key, value in headers if key == b"cookie")
    return kept if own is None else [*kept, (b"cookie", f"{COOKIE}={own}".encode())]


def _refuse_body(request: Request) -> ASGIApp | None:
    length = request.headers.get("content-length", "0")
    if LENGTH.fullmatch(length) is None or int(length) > LARGEST_BODY:
        return problem(413, f"a request's body may have {LARGEST_BODY} bytes")
    if request.method not in ("POST", "PUT") or not path_of(request).startswith("/api/"):
        return None
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return problem(415, "send application/json")
    return None


def _bounded(receive: Receive) -> Receive:
    """The body counted as it comes, whatever its length was said to be; all of it within a time."""
    size, whole, end = 0, False, asyncio.get_running_loop().time() + BODY_SECONDS

    async def bounded() -> Message:
        nonlocal size, whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout_at(end):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"the request's body did not come within {BODY_SECONDS:.0f} s") from None
        size += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if size > LARGEST_BODY:
            raise HTTPException(413, f"a request's body may have {LARGEST_BODY} bytes")
        return message

    return bounded
