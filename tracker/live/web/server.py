"""uvicorn in a thread of its own, with bounds that it does not have by itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time

import uvicorn

from tracker.errors import ReacquireError
from tracker.live.status import LiveView
from tracker.live.web.app import create_app
from tracker.live.web.connections import HEAD_SECONDS, Connection
from tracker.live.web.context import Context
from tracker.live.web.settings import WebSettings
from tracker.redact import redact

LARGEST_HEAD = 16 * 1024
STALL_MILLISECONDS = 20_000
SEND_BUFFER = 128 * 1024
"""Bytes that wait in the kernel for one viewer: pictures there only grow old."""
START_SECONDS, STOP_SECONDS = 10.0, 3.0


class Server:
    """The page's server; one for each service.

    Args:
        view: the service.
        settings: where to listen, and who may see it.

    Raises:
        ConfigError: it would be reachable from other machines with neither token nor password.
    """

    def __init__(self, view: LiveView, settings: WebSettings) -> None:
        self.settings = settings
        self._app = create_app(view, settings)
        self._context: Context = self._app.state.context
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                self._app,
                http=type("Bounded", (Connection,), {"most_known": 2 * settings.max_viewers + 100}),
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=list(settings.trusted_proxies),
                h11_max_incomplete_event_size=LARGEST_HEAD,
                backlog=128,
                timeout_keep_alive=int(HEAD_SECONDS),
                timeout_graceful_shutdown=1,
            )
        )

    @property
    def port(self) -> int:
        """The one it listens on; 0 before the start."""
        return 0 if self._socket is None else int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """Where a person finds the page."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.settings.host, self.settings.host)
        return f"http://{f'[{host}]' if host.count(':') > 1 and '[' not in host else host}:{self.port}/"

    def start(self) -> None:
        """Listen, and serve in a thread; returns when the page can be opened.

        Raises:
            ReacquireError: the address cannot be listened on.
        """
        self._socket = _listen(self.settings.host, self.settings.port)
        _redact_logs()
        self._thread = threading.Thread(target=self._work, name="page", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._uvicorn.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise ReacquireError("the page's server did not start; the log says why")
            time.sleep(0.01)

    def ask_to_stop(self) -> None:
        """Begin to end streams and requests; returns at once."""
        self._uvicorn.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._end_streams)

    def stop(self) -> None:
        """End streams, requests and the thread, within seconds; may be called twice."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        if self._socket is not None:
            self._socket.close()

    def _end_streams(self) -> None:
        self._context.gallery.close()
        self._context.feed.close()

    def _work(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        assert self._socket is not None
        self._loop = asyncio.get_running_loop()
        await self._uvicorn.serve(sockets=[self._socket])


def _listen(host: str, port: int) -> socket.socket:
    """A socket whose connections inherit its bounds: a viewer that takes nothing is cut off by the kernel."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALL_MILLISECONDS)
        made.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReacquireError(
            f"the page cannot listen on {host} port {port}: {reason}; web.port sets another"
        ) from error
    return made


class _Redacting(logging.Filter):
    """uvicorn's own lines and tracebacks without passwords, whoever handles them."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        if record.exc_info:
            record.exc_text, record.exc_info = redact(logging.Formatter().formatException(record.exc_info)), None
        return True


def _redact_logs() -> None:
    logger = logging.getLogger("uvicorn.error")
    if not any(isinstance(fence, _Redacting) for fence in logger.filters):
        logger.addFilter(_Redacting())
