"""`reacquire live`: cameras that are tracked until you stop them, and a page to watch them."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tracker.cli.console import LOADING, leave_at_once, say_error, stderr, stdout

if TYPE_CHECKING:
    from tracker.live.service import LiveService
    from tracker.live.settings import LiveSettings
    from tracker.live.web.server import Server

LONGEST_STOP = 2.8
"""Seconds from being asked to stop until the process is left, whatever hangs."""
EPILOG = """
[bold]Examples[/]

  reacquire live 0                                             the first webcam, and a page at http://127.0.0.1:8080

  reacquire live rtsp://user:secret@10.0.0.5/stream

  reacquire live cameras.yaml                                  many cameras; copy configs/cameras.example.yaml

  reacquire live cameras.yaml --no-page                        without the page

  reacquire live cameras.yaml --check                          only look whether the file is right

  reacquire live --hash-password                               for the page's login
"""


def live(
    cameras: Annotated[
        str,
        typer.Argument(
            metavar="CAMERAS.yaml|SOURCE", help="File of cameras; or one webcam's number, address or video."
        ),
    ] = "",
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where the page listens.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, metavar="N", help="Its port; 0: any free one.")] = None,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Show the page.")] = True,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of everything written.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Say what is in the file and whether it is right, and leave.")
    ] = False,
    seconds: Annotated[float | None, typer.Option(min=0.1, metavar="S", help="Stop by itself after so long.")] = None,
    hash_password: Annotated[
        bool,
        typer.Option("--hash-password", help="Ask for a password, print its hash for web.password_hash, and leave."),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
) -> None:
    """Track live cameras, keep their ids, and show them on a page."""
    if hash_password:
        _print_hash()
        return
    if not cameras:
        raise typer.BadParameter("which cameras? Give a file of cameras, or one camera's number or address.")
    settings, path = _settings(cameras, host, port, out)
    from tracker.extras import needed
    from tracker.live.service import LiveService
    from tracker.run.interruption import interruptible

    if page:
        with needed("the page", "live"):  # before networks are loaded
            import tracker.live.web.server  # noqa: F401

    if check:
        from tracker.live.reader import check_source

        for camera in settings.cameras:
            check_source(camera)
        LiveService(settings, path)  # finds weights that are not there, and classes that they do not know
        _tell(settings)
        return
    _log_to_stderr(verbose)

    stderr.print(LOADING, highlight=False)
    service: LiveService | None = None

    def stop() -> None:
        if service is None:  # there is nothing to finish yet
            leave_at_once()
        service.ask_to_stop()
        last = threading.Timer(LONGEST_STOP, leave_at_once, (0,))  # whatever hangs, in a disk or in a library
        last.daemon = True
        last.start()

    with interruptible(stop, again=leave_at_once):
        service = LiveService(settings, path)
        server = None
        try:
            server = _serve_page(service, settings) if page else None
            service.start()
            service.wait(seconds)
        finally:
            if server is not None:
                server.ask_to_stop()  # viewers say goodbye while the service stops
            service.stop()
            if server is not None:
                server.stop()
        if service.failure is not None:
            say_error(service.failure)
        else:
            stderr.print("stopped", highlight=False)
        _leave(0 if service.failure is None else 1)


def _leave(code: int) -> NoReturn:
    """End the process now: all is written, and the networks' libraries would take seconds to take themselves down,
    with readers that hang in the network still in them."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _settings(cameras: str, host: str | None, port: int | None, out: Path | None) -> tuple[LiveSettings, Path | None]:
    """Settings with what was said on the command line laid over them, and the file that zones are written into."""
    from tracker.live.cameras_file import zones_file
    from tracker.live.settings import load_live_settings, single_source

    several = cameras.lower().endswith((".yaml", ".yml"))
    path = Path(cameras) if several else zones_file(cameras)
    settings = load_live_settings(cameras) if several else single_source(cameras)
    said = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    web = settings.web.model_copy(update=said).with_environment()
    web.check()  # before anything is loaded
    changed = {"web": web} | ({} if out is None else {"folder": out})
    return settings.model_copy(update=changed), path


def _tell(settings: LiveSettings) -> None:
    from tracker.redact import redact

    for camera in settings.cameras:
        rate = f"{camera.target_fps:g} a second" if camera.target_fps else "all pictures"
        watched = f"{len(camera.zones)} zones, {len(camera.lines)} lines"
        source = redact(camera.source.get_secret_value())
        stderr.print(f"{camera.name}: {source}, {camera.tracker.name}, {rate}, {watched}", highlight=False)
    stderr.print("the file is right", highlight=False)


def _serve_page(service: LiveService, settings: LiveSettings) -> Server:
    """Start the page; what stops it."""
    from tracker.live.web import serve

    server = serve(service, settings.web)
    server.start()
    stderr.print(f"the page is at {server.url}", highlight=False)
    return server


def _print_hash() -> None:
    """Asked twice on a terminal; one line of what is piped in elsewhere, so that no password is in a command."""
    from tracker.live.web.passwords import hash_password

    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    stdout.print(hash_password(password), highlight=False, soft_wrap=True, markup=False)


class _Redacting(logging.Formatter):
    """Masks passwords in whatever is logged, also in tracebacks of libraries."""

    def format(self, record: logging.LogRecord) -> str:
        from tracker.redact import redact

        return redact(super().format(record))


def _log_to_stderr(verbose: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("reacquire").setLevel(logging.DEBUG if verbose else logging.INFO)
