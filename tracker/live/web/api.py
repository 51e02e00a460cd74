"""The JSON API: states, tracks, identities, events, zones and lines; and the streams."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, HTTPException, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from tracker.live.status import TakesCameras
from tracker.live.web import problems
from tracker.live.web.context import Context, Shared
from tracker.live.web.metrics import MEDIA_TYPE as METRICS_TYPE
from tracker.live.web.models import (
    CameraOut,
    EventOut,
    Geometry,
    Health,
    IdentityOut,
    NewCamera,
    SavedGeometry,
    StatusOut,
    TracksOut,
)
from tracker.live.web.pictures import Size
from tracker.live.web.streams import MULTIPART, Stream, multipart, server_sent

Documented = dict[int | str, dict[str, Any]]
PROBLEM = {"content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _may(**statuses: str) -> Documented:
    """Documented errors: `_may(s404="…")`."""
    return {int(status[1:]): {"description": words, **PROBLEM} for status, words in statuses.items()}


ALWAYS = _may(
    s400="Not understood, or a host's name that is not ours",
    s401="No login",
    s422="Does not fit the schema",
    s429="Too many wrong tokens",
)
CHANGES = _may(
    s403="A change from elsewhere than our page, without a token",
    s408="The body came too slowly",
    s413="The body is too big",
    s415="Not application/json",
    s503="Could not be saved",
)
MISSING = _may(s404="There is no such camera, or nothing to show of it yet")
FULL = _may(s503="So many viewers as may be are here")

router = APIRouter(responses=ALWAYS)
CameraName = Annotated[str, Path(max_length=64, description="as in the cameras' file")]
JPEG: Documented = {200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}}
MJPEG: Documented = {
    200: {"content": {"multipart/x-mixed-replace": {"schema": {"type": "string", "format": "binary"}}}}
}
LargestId = Annotated[int, Path(ge=0, le=2**63 - 1)]


@router.get("/healthz", tags=["health"], responses=_may(s503="Restart it: it is stuck"))
async def healthz(shared: Shared) -> Health:
    """Whether the service works; needs no login and tells nothing else. Dead cameras are no reason to restart."""
    return _healthy(await shared.pulse.health())


@router.head("/healthz", include_in_schema=False)
async def healthz_head(shared: Shared) -> Health:
    """For probes that send HEAD."""
    return _healthy(await shared.pulse.health())


@router.get("/readyz", tags=["health"], responses=_may(s503="No camera is live, or the service is stuck"))
async def readyz(shared: Shared) -> Health:
    """Whether at least one camera is live."""
    return _healthy(await shared.pulse.readiness())


def _healthy(word: str) -> Health:
    if word != "ok":
        raise HTTPException(503, word)
    return Health(status=word)


@router.get(
    "/metrics",
    tags=["health"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(shared: Shared) -> Response:
    """For Prometheus, which sends the token."""
    return Response(shared.metrics.text(), media_type=METRICS_TYPE)


@router.get("/api/status", tags=["service"])
def status(shared: Shared) -> StatusOut:
    """The service and all cameras, now."""
    return StatusOut.of(shared.view)


@router.get("/api/page", tags=["service"])
def page(shared: Shared) -> dict[str, bool]:
    """What the page has to know: whether there is a login, and whether cameras can be added."""
    return {"login": shared.settings.locked, "add_cameras": _takes_cameras(shared)}


@router.get("/api/cameras", tags=["cameras"])
def cameras(shared: Shared) -> list[CameraOut]:
    """All cameras, now."""
    return StatusOut.of(shared.view).cameras


@router.post("/api/cameras", tags=["cameras"], status_code=201, responses=CHANGES)
def add_camera(shared: Shared, camera: NewCamera) -> CameraOut:
    """Track one more camera until the service stops; refused unless `web.allow_sources` is set."""
    view = shared.view
    if not _takes_cameras(shared) or not isinstance(view, TakesCameras):
        raise HTTPException(403, "cameras are added in the cameras' file; web.allow_sources would allow it here")
    view.add_camera(camera.name, camera.source)
    return CameraOut.of(shared.camera(camera.name))


def _takes_cameras(shared: Shared) -> bool:
    return shared.settings.allow_sources and isinstance(shared.view, TakesCameras)


@router.get("/api/cameras/{name}", tags=["cameras"], responses=MISSING)
def camera(shared: Shared, name: CameraName) -> CameraOut:
    """One camera, now."""
    return CameraOut.of(shared.camera(name))


@router.get("/api/cameras/{name}/tracks", tags=["cameras"], responses=MISSING)
def tracks(shared: Shared, name: CameraName) -> TracksOut:
    """What is in its newest picture."""
    snapshot = shared.camera(name).latest()
    if snapshot is None:
        raise HTTPException(404, "no picture yet")
    return TracksOut.of(snapshot)


@router.get("/api/cameras/{name}/picture", tags=["cameras"], response_class=Response, responses=MISSING | JPEG)
def picture(shared: Shared, name: CameraName, size: Size = Size.LARGE) -> Response:
    """Its newest picture with boxes and ids."""
    snapshot = shared.camera(name).latest()
    if snapshot is None:
        raise HTTPException(404, "no picture yet")
    return Response(shared.gallery.painter(name).picture(snapshot, size).jpeg, media_type="image/jpeg")


@router.get("/api/cameras/{name}/identities", tags=["cameras"], responses=MISSING)
def identities(shared: Shared, name: CameraName, limit: Annotated[int, Query(ge=1, le=100)] = 24) -> list[IdentityOut]:
    """Who was seen last, newest first."""
    at = f"/api/cameras/{quote(name, safe='')}/identities"
    return [IdentityOut.of(one, f"{at}/{one.id}/crop") for one in shared.camera(name).identities(limit)]


@router.get(
    "/api/cameras/{name}/identities/{number}/crop", tags=["cameras"], response_class=Response, responses=MISSING | JPEG
)
def crop(shared: Shared, name: CameraName, number: LargestId) -> Response:
    """The picture of a recent identity."""
    for one in shared.camera(name).identities(100):
        if one.id == number:
            return Response(one.crop, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=2"})
    raise HTTPException(404, "not among the recent identities")


@router.get("/api/cameras/{name}/geometry", tags=["geometry"], response_model=SavedGeometry, responses=MISSING)
def geometry(shared: Shared, name: CameraName) -> Response:
    """Its zones and lines; the ETag says which state they are in."""
    return _geometry(shared, name)


@router.put(
    "/api/cameras/{name}/geometry",
    tags=["geometry"],
    response_model=SavedGeometry,
    responses=MISSING | CHANGES | _may(s412="Changed by somebody else since"),
)
async def set_geometry(
    shared: Shared,
    name: CameraName,
    geometry: Geometry,
    if_match: Annotated[str | None, Header(max_length=200, description="the ETag that the change is made to")] = None,
) -> Response:
    """Replace its zones and lines: applied at once, and written into the file that the answer names, with a backup."""
    async with shared.changing:  # so that of those who have seen one state one wins; who waits holds no thread
        return await run_in_threadpool(_change, shared, name, geometry, if_match)


def _change(shared: Context, name: str, geometry: Geometry, if_match: str | None) -> Response:
    seen = {tag.strip() for tag in (if_match or "*").split(",")}
    if not seen & {"*", _tag(Geometry.of(shared.camera(name)))}:
        raise HTTPException(412, "the zones and lines were changed by somebody else; load them again")
    for kind, shapes in (("zones", geometry.zones), ("lines", geometry.lines)):
        names = [shape.name.lower() for shape in shapes]
        if len(set(names)) < len(names):
            raise HTTPException(422, f"two {kind} have the same name")
    zones = [zone.model_dump(exclude_none=True) for zone in geometry.zones]
    lines = [line.model_dump(exclude_none=True) for line in geometry.lines]
    shared.view.set_geometry(name, zones, lines)
    return _geometry(shared, name)


def _geometry(shared: Context, name: str) -> Response:
    shapes, saved_in = Geometry.of(shared.camera(name)), shared.view.saved_in(name)
    content = shapes.model_dump() | {"saved_in": None if saved_in is None else str(saved_in.absolute())}
    return JSONResponse(content, headers={"ETag": _tag(shapes)})


def _tag(geometry: Geometry) -> str:
    return '"' + hashlib.sha256(geometry.model_dump_json().encode()).hexdigest()[:20] + '"'


@router.get("/api/events", tags=["events"])
def events(
    shared: Shared,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    camera: Annotated[str | None, Query(max_length=64)] = None,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
) -> list[EventOut]:
    """The last events after a number, oldest first."""
    return [EventOut.of(event) for event in shared.view.recent_events(limit, camera, after)]


@router.get("/api/events/stream", tags=["events"], response_class=Response, responses=FULL)
async def event_stream(
    request: Request,
    shared: Shared,
    camera: Annotated[str | None, Query(max_length=64)] = None,
    after: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
) -> Response:
    """Server-sent events: `event` as they happen (those after a number first), `status` once a second."""
    resumed = request.headers.get("last-event-id", "")
    start = int(resumed) if resumed.isascii() and resumed.isdigit() and len(resumed) < 19 else after
    news = server_sent(shared.feed.listen(start, camera))
    return Stream(news, "text/event-stream", shared.listening, partial(shared.access.still, request))


@router.get("/api/stream", tags=["pictures"], response_class=Response, responses=FULL | MJPEG)
async def stream(request: Request, shared: Shared, size: Size = Size.GRID) -> Response:
    """Pictures of all cameras over one connection, each part with `X-Camera`: browsers allow only six connections."""
    return _moving(list(shared.view.cameras), size, request, shared)


@router.get("/api/cameras/{name}/stream", tags=["pictures"], response_class=Response, responses=FULL | MISSING | MJPEG)
async def camera_stream(request: Request, shared: Shared, name: CameraName, size: Size = Size.LARGE) -> Response:
    """Motion JPEG of one camera, as most home automation takes it."""
    shared.camera(name)
    return _moving([name], size, request, shared)


def _moving(names: list[str], size: Size, request: Request, shared: Shared) -> Response:
    pictures = multipart(shared.gallery.watch(names, size))
    return Stream(pictures, MULTIPART, shared.watching, partial(shared.access.still, request))
