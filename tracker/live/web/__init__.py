"""A page to watch the cameras, a JSON API, health and metrics: served by one thread beside the tracking."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracker.live.status import LiveView
    from tracker.live.web.server import Server
    from tracker.live.web.settings import WebSettings


def serve(view: LiveView, settings: WebSettings | None = None) -> Server:
    """The page's server over a running service; `start()` and `stop()` are the caller's.

    Raises:
        ConfigError: it would be reachable from other machines with neither token nor password.
        ReacquireError: a package of the extra `live` is missing.
    """
    from tracker.extras import needed
    from tracker.live.web.settings import WebSettings

    with needed("the page", "live"):
        from tracker.live.web.server import Server

    return Server(view, settings or WebSettings())
