"""Run live cameras for long, as an operator does, and say each minute what they need: memory, threads, latency, drops.

    python -m tools.benchmarks.soak_live                         an hour of four cameras that play the demo clip
    python -m tools.benchmarks.soak_live --seconds 600 --cameras 8 --fps 5
    python -m tools.benchmarks.soak_live --sources rtsp,http,file --outage 300    real streams; RTSP dies at times
    python -m tools.benchmarks.soak_live --file cameras.yaml     your own cameras

`reacquire live` runs as a process of its own, with the page on and somebody watching it, and is asked over the page's
API; streams and viewers run in this process, so that what is measured is the command alone.

Exits with 1 when memory grew by more than --growth MB, or threads became more, from after the first tenth to the end;
when a camera is not live at the end; or when it does not stop within three seconds of SIGTERM.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.tracker.live.servers import free_port, rtsp_cameras, serve, transport_stream, until
from tracker.processes import killed_with_parent

ROOT = Path(__file__).parents[2]

CLIP = ROOT / "videos" / "plaza.mp4"
SOURCES = ("file", "rtsp", "http")
AWAY = 5.0
"""Seconds of an outage."""
STOP_SECONDS = 3.0
MORE_THREADS = 10
"""The page's workers come and go, and pools of libraries fill up: Arrow has eight for files."""


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--every", type=float, default=60, help="seconds between lines")
    parser.add_argument("--cameras", type=int, default=4, help="how many show the clip")
    parser.add_argument("--sources", default="file", help=f"how, in turns: {', '.join(SOURCES)}")
    parser.add_argument("--outage", type=float, help=f"RTSP cameras die so often, for {AWAY:g} s")
    parser.add_argument("--fps", type=float, default=5, help="pictures a second of each")
    parser.add_argument("--tracker", help="instead of the default one")
    parser.add_argument("--image-size", type=int, help="of the detector")
    parser.add_argument("--record", action="store_true", help="record each camera too")
    parser.add_argument("--viewers", type=int, default=1, help="who watch all cameras on the page")
    parser.add_argument("--file", type=Path, help="a cameras' file instead")
    parser.add_argument("--growth", type=float, default=100, help="MB that memory may grow")
    asked = parser.parse_args()
    asked.sources = asked.sources.split(",")
    if not set(asked.sources) <= set(SOURCES):
        parser.error(f"--sources: of {', '.join(SOURCES)}")
    return asked


@contextlib.contextmanager
def cameras_file(asked: argparse.Namespace, folder: Path) -> Iterator[Path]:
    """The file that was given, or one of so many cameras that show the clip, whose servers run meanwhile."""
    if asked.file is not None:
        yield asked.file
        return
    kinds = [asked.sources[i % len(asked.sources)] for i in range(asked.cameras)]
    over, closing = threading.Event(), contextlib.ExitStack()
    with closing:
        closing.callback(over.set)
        start = closing.enter_context(rtsp_cameras(CLIP)) if "rtsp" in kinds else None
        cameras = []
        for i, kind in enumerate(kinds):
            source = str(CLIP)
            if start is not None and kind == "rtsp":
                camera = start()
                source = camera.address
                if asked.outage:
                    threading.Thread(target=dies, args=(camera, start, asked.outage, over), daemon=True).start()
            elif kind == "http":
                port = free_port()
                closing.enter_context(serve(transport_stream(CLIP, seconds=asked.seconds + 600), port))
                source = f"http://127.0.0.1:{port}/live.ts"
            cameras.append({"name": f"{kind} {i + 1}", "source": source})
        defaults: dict[str, Any] = {"target_fps": asked.fps}
        if asked.tracker:
            defaults["tracker"] = asked.tracker
        if asked.record:
            defaults["record"] = {"boxes": True, "max_gb": 1}
        content: dict[str, Any] = {"cameras": cameras, "defaults": defaults}
        if asked.image_size:
            content["detector"] = {"image_size": asked.image_size}
        path = folder / "cameras.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        yield path


def dies(camera: Any, start: Any, every: float, over: threading.Event) -> None:
    """Kill a camera every so often, and start it again."""
    while not over.wait(every):
        camera.kill()
        if over.wait(AWAY):
            return
        camera = start(port=camera.port)


class Command:
    """`reacquire live`, running, and what it says of itself."""

    def __init__(self, path: Path, folder: Path) -> None:
        port, token = free_port(), secrets.token_urlsafe(32)
        self.address, self.headers = ("127.0.0.1", port), {"Authorization": f"Bearer {token}"}
        words = ["-m", "tracker.cli", "live", str(path), "--out", str(folder / "out"), "--port", str(port)]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._running = subprocess.Popen(
                [sys.executable, *words], stdout=log, stderr=log, env=os.environ | {"REACQUIRE_TOKEN": token},
                preexec_fn=killed_with_parent(),
            )  # fmt: skip
        self.process = psutil.Process(self._running.pid)
        until(lambda: self._running.poll() is not None or self.answers(), 600, "the page answers")

    @property
    def code(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._running.poll()

    def ask(self, path: str) -> bytes:
        """What the page answers."""
        request = urllib.request.Request("http://{}:{}".format(*self.address) + path, headers=self.headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())

    def answers(self) -> bool:
        """Whether the page does."""
        with contextlib.suppress(OSError):
            return bool(self.ask("/healthz"))
        return False

    def status(self) -> dict[str, Any]:
        """Of service and cameras."""
        return dict(json.loads(self.ask("/api/status")))

    def tracked(self) -> float:
        """Pictures so far, of all cameras."""
        lines = self.ask("/metrics").decode().splitlines()
        return sum(float(x.rsplit(" ", 1)[1]) for x in lines if x.startswith("reacquire_camera_latency_seconds_count"))

    def stop(self) -> float:
        """Send SIGTERM; the seconds that it took, or infinity when it had to be killed."""
        began = time.monotonic()
        self._running.send_signal(signal.SIGTERM)
        try:
            self._running.wait(20)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()
            return float("inf")
        return time.monotonic() - began


class Viewer:
    """Watches all cameras, as the page in a browser does, and comes back when the stream ends."""

    def __init__(self, command: Command, path: str) -> None:
        self._command, self._path = command, path
        self.bytes = self.pieces = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while self._command.code is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(*self._command.address, timeout=30)
                connection.request("GET", self._path, headers=self._command.headers)
                answer = connection.getresponse()
                while piece := answer.read1(65536):
                    self.bytes += len(piece)
                    self.pieces += piece.count(b"X-Number") + piece.count(b"\nevent: ")
            time.sleep(1)


class Minutes:
    """Says how the command is, since it was asked last."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._began = time.monotonic()
        self.memory, self.threads = 0.0, 0
        self.first = self._before = self._counts()
        self.cameras: list[dict[str, Any]] = []
        self.gpu: int | None = None
        self.p50s: list[float] = []
        self.p95s: list[float] = []

    def _counts(self) -> tuple[float, float, float, int]:
        """Now, seconds of CPU, tracked pictures, and dropped ones, all so far."""
        dropped = sum(c["dropped"] for c in self._command.status()["cameras"])
        used = self._command.process.cpu_times()
        return time.monotonic(), used.user + used.system, self._command.tracked(), dropped

    def line(self) -> str:
        """How it is."""
        status, now = self._command.status(), self._counts()
        self.cameras, self.gpu = status["cameras"], status["gpu_memory"]
        used = self._command.process.memory_info()
        self.memory = (used.rss - used.shared) / 1e6  # its own: what is mapped from files, the system may take back
        self.threads = self._command.process.num_threads()
        self.p50s.append(max(c["latency_p50"] or 0.0 for c in self.cameras))
        self.p95s.append(max(c["latency_p95"] or 0.0 for c in self.cameras))
        said = self._say(self._before, now)
        self._before = now
        return (
            f"{(now[0] - self._began) / 60:6.1f} min  {said}  "
            f"latency p50 {1e3 * self.p50s[-1]:4.0f} p95 {1e3 * self.p95s[-1]:4.0f} ms"
            f"{'  OVERLOADED' if status['overloaded'] else ''}"
        )

    def total(self) -> str:
        """All of it; latencies are medians of the minutes', of the worst camera in each."""
        p50, p95 = (sorted(values)[len(values) // 2] for values in (self.p50s, self.p95s))
        return (
            f"in all       {self._say(self.first, self._before)}  latency p50 {1e3 * p50:4.0f} p95 {1e3 * p95:4.0f} ms"
            f" (worst minute's {1e3 * max(self.p95s):.0f})"
        )

    def _say(self, before: tuple[float, ...], now: tuple[float, ...]) -> str:
        seconds, cpu, tracked, dropped = (a - b for a, b in zip(now, before, strict=True))
        live = sum(c["state"] == "live" for c in self.cameras)
        return (
            f"memory {self.memory:5.0f} MB{'' if self.gpu is None else f', {self.gpu / 1e6:.0f} MB of the GPU'}  "
            f"threads {self.threads:3d}  live {live}/{len(self.cameras)}  "
            f"tracked {tracked:6.0f}, {tracked / seconds:5.1f}/s  dropped {dropped:4.0f}  "
            f"reconnects {sum(c['reconnects'] for c in self.cameras):3d}  "
            f"CPU {1e3 * cpu / max(tracked, 1):4.0f} ms a picture, {cpu / seconds:4.2f} cores"
        )


def soak(command: Command, asked: argparse.Namespace) -> list[str]:
    """Run, print; what is wrong."""
    viewers = [Viewer(command, "/api/stream") for _ in range(asked.viewers)]
    viewers += [Viewer(command, "/api/events/stream") for _ in range(asked.viewers)]
    began, minutes = time.monotonic(), Minutes(command)
    warm: tuple[float, int] | None = None
    while (left := began + asked.seconds - time.monotonic()) > 0.5:
        time.sleep(min(asked.every, left))
        if command.code is not None:
            return [f"it ended by itself, with {command.code}"]
        print(minutes.line(), flush=True)
        if warm is None and time.monotonic() - began >= asked.seconds / 10:
            warm = minutes.memory, minutes.threads
    print(minutes.total())
    pictures, news = (sum(v.pieces for v in part) for part in (viewers[: asked.viewers], viewers[asked.viewers :]))
    print(f"viewers got {pictures} pictures, {news} events and states, {sum(v.bytes for v in viewers) / 1e6:.0f} MB")
    wrong = [f"{c['name']} is {c['state']}: {c['reason']}" for c in minutes.cameras if c["state"] != "live"]
    if warm is not None:
        growth, more = minutes.memory - warm[0], minutes.threads - warm[1]
        print(f"memory grew by {growth:.0f} MB, threads by {more}, after the first tenth")
        wrong += [f"memory grew by {growth:.0f} MB"] * (growth > asked.growth)
        wrong += [f"{more} more threads"] * (more > MORE_THREADS)
    return wrong


def main() -> int:
    """Start, soak, stop, judge."""
    asked = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with cameras_file(asked, folder) as path:
            command = Command(path, folder)
            try:
                wrong = soak(command, asked) if command.code is None else ["it did not start"]
            finally:
                seconds = command.stop()
        print(f"stopped {seconds:.1f} s after SIGTERM, with {command.code}")
        if seconds > STOP_SECONDS or command.code != 0:
            wrong.append("it did not stop as it should")
        if wrong:
            print(*wrong, "the end of its log:", *command.log.read_text(errors="replace").splitlines()[-30:], sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
