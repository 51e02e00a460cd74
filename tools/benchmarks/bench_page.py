"""What the page costs: milliseconds to paint and encode a picture, and what a hundred viewers take; on this machine.

`python -m tools.benchmarks.bench_page [--viewers 100] [--seconds 5]`; sends to the loopback address only.
"""

import argparse
import socket
import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil

from tracker import Tracks, open_source
from tracker.config import config_folder
from tracker.live.status import CameraStatus, ServiceStatus, Snapshot
from tracker.live.web import serve
from tracker.live.web.pictures import Painter, Size
from tracker.live.web.settings import WebSettings

PEOPLE, RATE = 8, 10.0


class Camera:
    """The demo clip's frames with made tracks, ten a second: all that a page needs of a camera."""

    name = "plaza"
    settings = SimpleNamespace(name="plaza", zones=(), lines=())

    def __init__(self, images: list[np.ndarray]) -> None:
        self._images, self._changed = images, threading.Condition()
        self.snapshot = self._make(1)

    def _make(self, number: int) -> Snapshot:
        image = self._images[number % len(self._images)]
        corner = np.linspace((50, 100), (600, 350), PEOPLE) + 20 * np.sin(number / 10 + np.arange(PEOPLE))[:, None]
        boxes = np.hstack([corner, corner + np.array([40, 100])])
        n = np.arange(PEOPLE)
        tracks = Tracks(n + 1, boxes, np.ones(PEOPLE), n * 0, n, np.ones(PEOPLE))
        now = time.time()
        return Snapshot(
            number=number, frame=image, tracks=tracks, class_names={0: "person"}, timestamp=now, arrived=now
        )

    def tick(self) -> None:
        """The next picture."""
        with self._changed:
            self.snapshot = self._make(self.snapshot.number + 1)
            self._changed.notify_all()

    def status(self) -> CameraStatus:
        return CameraStatus(name=self.name, state="live", since=0.0)

    def latest(self) -> Snapshot:
        return self.snapshot

    def wait(self, number: int, timeout: float) -> Snapshot | None:
        with self._changed:
            self._changed.wait_for(lambda: self.snapshot.number > number, timeout)
        return self.snapshot if self.snapshot.number > number else None

    def identities(self, limit: int) -> list[Any]:
        return []


class Live:
    """A service of that camera alone."""

    def __init__(self, camera: Camera) -> None:
        self.cameras = {camera.name: camera}

    def status(self) -> ServiceStatus:
        return ServiceStatus(started=0.0, overloaded=False, detector_fps=0, batch=0, gpu_memory=None, version="bench")

    def recent_events(self, limit: int, camera: str | None = None, after: int = 0) -> list[Any]:
        return []

    def wait_events(self, after: int, timeout: float) -> list[Any]:
        time.sleep(timeout)
        return []

    def set_geometry(self, camera: str, zones: Any, lines: Any) -> None:
        raise NotImplementedError

    def saved_in(self, camera: str) -> None:
        raise NotImplementedError


def watch(port: int, got: list[int], stop: threading.Event) -> None:
    """One viewer of the large picture; counts bytes."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"GET /api/cameras/plaza/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        sock.settimeout(5)
        while not stop.is_set():
            got.append(len(sock.recv(1 << 20)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    args = parser.parse_args()
    with open_source(config_folder().parent / "videos/plaza.mp4", max_frames=50) as source:
        images = [frame.image for frame in source]
    settings = WebSettings(port=0, max_viewers=max(1, args.viewers))
    camera = Camera(images)
    painter = Painter(camera, {Size.GRID: settings.grid, Size.LARGE: settings.large})
    for size in Size:
        took, length = [], 0
        for _ in range(60):
            camera.tick()
            began = time.perf_counter()
            length += len(painter.picture(camera.snapshot, size).jpeg)
            took.append(time.perf_counter() - began)
        print(f"{size}: {np.median(took) * 1e3:.1f} ms, {length / 60 / 1e3:.0f} KB a picture of {PEOPLE} people")
    server = serve(Live(camera), settings)
    server.start()
    process, stop, got = psutil.Process(), threading.Event(), [list[int]() for _ in range(args.viewers)]
    before = process.memory_info().rss
    viewers = [threading.Thread(target=watch, args=(server.port, g, stop), daemon=True) for g in got]
    for viewer in viewers:
        viewer.start()
    busy, began = sum(process.cpu_times()[:2]), time.monotonic()
    while time.monotonic() - began < args.seconds:
        camera.tick()
        time.sleep(1 / RATE)
    busy, seconds = sum(process.cpu_times()[:2]) - busy, time.monotonic() - began
    grown = process.memory_info().rss - before
    stop.set()
    began = time.monotonic()
    server.stop()
    sent = sum(sum(g) for g in got)
    print(f"{args.viewers} viewers: {sent / seconds / 1e6:.1f} MB/s, {100 * busy / seconds:.0f} % of a core with the")
    print(f"viewers' own threads, {grown / 1e6:.0f} MB more memory; stopped in {time.monotonic() - began:.2f} s")


if __name__ == "__main__":
    main()
