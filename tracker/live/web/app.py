"""The app: API and page behind the guard, over any service that has the view's methods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from tracker import __version__
from tracker.live.status import LiveView
from tracker.live.web import api, pages, problems
from tracker.live.web.context import Context
from tracker.live.web.guard import Guard
from tracker.live.web.models import Problem
from tracker.live.web.settings import WebSettings

ABOUT = (
    "States, tracks, identities, events, zones and lines of a running `reacquire live`. Errors are problem JSON "
    "(RFC 9457). Send the token as `Authorization: Bearer …`; changes take JSON of 64 KiB at most."
)


def create_app(view: LiveView, settings: WebSettings) -> FastAPI:
    """The ASGI app over a service.

    Raises:
        ConfigError: it would be reachable from other machines with neither token nor password.
    """
    settings.check()
    context = Context.of(view, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        context.feed.start(asyncio.get_running_loop())
        yield
        context.gallery.close()
        context.feed.close()

    app = FastAPI(
        title="Reacquire live",
        version=__version__,
        description=ABOUT,
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # its redirects name the host that the client named
    )
    app.state.context = context
    problems.install(app)
    app.include_router(api.router)
    app.include_router(pages.router)
    app.add_middleware(Guard, access=context.access)
    app.openapi = lambda: _document(app, settings)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI, settings: WebSettings) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
        if settings.locked:
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"token": []}]
            document["paths"]["/healthz"]["get"]["security"] = []
        app.openapi_schema = document
    return app.openapi_schema
