"""What the page's parts share, made once for each app: no global state."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from tracker.live.status import CameraView, LiveView
from tracker.live.web.access import Access
from tracker.live.web.feed import Feed
from tracker.live.web.health import Pulse
from tracker.live.web.metrics import Metrics
from tracker.live.web.pictures import Gallery, Size
from tracker.live.web.settings import WebSettings
from tracker.live.web.streams import Places


@dataclass(frozen=True, slots=True)
class Context:
    """The service, the settings, and what stands between them and the viewers."""

    view: LiveView
    settings: WebSettings
    access: Access
    gallery: Gallery
    feed: Feed
    pulse: Pulse
    metrics: Metrics
    watching: Places
    listening: Places
    changing: asyncio.Lock

    @classmethod
    def of(cls, view: LiveView, settings: WebSettings) -> Context:
        """For a service, with checked settings."""
        gallery = Gallery(view, {Size.GRID: settings.grid, Size.LARGE: settings.large})
        feed = Feed(view)
        watching, listening = Places(settings.max_viewers), Places(settings.max_viewers)
        metrics = Metrics(view, gallery, watching, listening)
        parts = (gallery, feed, Pulse(view), metrics, watching, listening, asyncio.Lock())
        return cls(view, settings, Access(settings), *parts)

    def camera(self, name: str) -> CameraView:
        """By its name, which is looked up and never becomes part of a path."""
        found = self.view.cameras.get(name)
        if found is None:
            raise HTTPException(404, "there is no such camera")
        return found


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Shared = Annotated[Context, Depends(_context)]
