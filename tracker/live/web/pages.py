"""The page's own files, read once at the start: what was not read then cannot be asked for. And the login."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tracker.live.web.access import COOKIE, session_of
from tracker.live.web.context import Shared

FOLDER = Path(__file__).parent / "static"
MESSAGE = "<!-- message -->"
WORDS = {
    400: "That could not be read. Try again.",
    401: "That is not the password.",
    429: "Too many tries. Wait {wait} seconds.",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    content: bytes
    media_type: str
    tag: str


def _load() -> dict[str, Asset]:
    found = {}
    for path in sorted(FOLDER.iterdir()):
        if path.is_file():
            content = path.read_bytes()
            media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            found[path.name] = Asset(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:20]}"')
    return found


ASSETS = _load()
router = APIRouter(include_in_schema=False)


@router.get("/")
def index() -> Response:
    """The page."""
    return HTMLResponse(ASSETS["index.html"].content)


@router.get("/static/{name}")
def static(request: Request, name: str) -> Response:
    """A file of the page."""
    asset = ASSETS.get(name)
    if asset is None:
        raise HTTPException(404, "there is no such file")
    headers = {"ETag": asset.tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == asset.tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)


@router.get("/login")
def login(request: Request, shared: Shared) -> Response:
    """The form; whoever needs none is sent on."""
    if not shared.settings.locked or shared.access.logged_in(request):
        return RedirectResponse("/", 303)
    return HTMLResponse(ASSETS["login.html"].content)


@router.post("/login")
async def log_in(request: Request, shared: Shared) -> Response:
    """The form, sent."""
    if not shared.settings.locked:
        return RedirectResponse("/", 303)
    status, wait, name = await shared.access.log_in(request)
    if name is not None:
        response: Response = RedirectResponse("/", 303)
        shared.access.set_cookie(request, response, name)
        return response
    words = WORDS[status].format(wait=int(wait) + 1)
    text = ASSETS["login.html"].content.decode().replace(MESSAGE, f'<p class="wrong" role="alert">{words}</p>')
    headers = {"Retry-After": str(int(wait) + 1)} if status == 429 else None
    return HTMLResponse(text, status, headers)


@router.post("/logout")
def log_out(request: Request, shared: Shared) -> Response:
    """The session ends here and in the browser."""
    shared.access.sessions.end(session_of(request) or "")
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response
