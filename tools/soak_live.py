"""Run live cameras for long, and say each minute what they need: memory, threads, latency, dropped pictures.

    python tools/soak_live.py                               an hour of four cameras that play the demo clip
    python tools/soak_live.py --seconds 600 --cameras 8 --fps 5
    python tools/soak_live.py --file cameras.yaml           your own cameras

Exits with 1 when memory grew by more than --growth MB, or threads became more, from after the first tenth to the end.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from tracker.live.service import LiveService
from tracker.live.settings import LiveSettings, load_live_settings
from tracker.redact import redact

CLIP = Path(__file__).parents[1] / "videos" / "plaza.mp4"


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--every", type=float, default=60, help="seconds between lines")
    parser.add_argument("--cameras", type=int, default=4, help="how many play the clip")
    parser.add_argument("--fps", type=float, default=5, help="pictures a second of each")
    parser.add_argument("--tracker", default="reacquire")
    parser.add_argument("--image-size", type=int, help="of the detector")
    parser.add_argument("--record", action="store_true", help="record each camera too")
    parser.add_argument("--file", type=Path, help="a cameras' file instead")
    parser.add_argument("--growth", type=float, default=100, help="MB that memory may grow")
    return parser.parse_args()


def settings(asked: argparse.Namespace, folder: str) -> LiveSettings:
    """The file's, or so many cameras that play the clip."""
    path = asked.file
    if path is None:
        path = Path(folder) / "cameras.yaml"
        record = "  record: {boxes: true, max_gb: 1}\n" if asked.record else ""
        size = f"detector: {{image_size: {asked.image_size}}}\n" if asked.image_size else ""
        names = "".join(f"  - {{name: camera {i + 1}, source: {CLIP}}}\n" for i in range(asked.cameras))
        path.write_text(
            f"{size}defaults:\n  target_fps: {asked.fps}\n  tracker: {asked.tracker}\n{record}cameras:\n{names}"
        )
    return load_live_settings(path).model_copy(update={"folder": Path(folder)})


class Minutes:
    """Says how a service is, since it was asked last."""

    def __init__(self, service: LiveService) -> None:
        self._service, self._process = service, psutil.Process()
        self._began = time.monotonic()
        self._before = self._counts()
        self.memory, self.threads = 0.0, 0

    def _counts(self) -> tuple[float, float, int, int]:
        """Now, seconds of CPU, tracked pictures, and dropped ones, all so far."""
        cameras = [camera.status() for camera in self._service.cameras.values()]
        tracked = sum(sum(c.latencies.counts) for c in cameras if c.latencies is not None)
        used = self._process.cpu_times()
        return time.monotonic(), used.user + used.system, tracked, sum(c.dropped for c in cameras)

    def line(self) -> str:
        """How it is."""
        cameras = [camera.status() for camera in self._service.cameras.values()]
        now = self._counts()
        seconds, cpu, tracked, dropped = (a - b for a, b in zip(now, self._before, strict=True))
        self._before = now
        self.memory, self.threads = self._process.memory_info().rss / 1e6, threading.active_count()
        p50 = max((c.latency_p50 or 0.0 for c in cameras), default=0.0)
        p95 = max((c.latency_p95 or 0.0 for c in cameras), default=0.0)
        live = sum(c.state == "live" for c in cameras)
        return (
            f"{(now[0] - self._began) / 60:6.1f} min  memory {self.memory:5.0f} MB  threads {self.threads:3d}  "
            f"live {live}/{len(cameras)}  tracked {tracked / seconds:5.1f}/s  "
            f"CPU {1e3 * cpu / max(tracked, 1):4.0f} ms a picture, {cpu / seconds:4.2f} cores  "
            f"latency p50 {1e3 * p50:4.0f} p95 {1e3 * p95:4.0f} ms  dropped {dropped:4.0f}"
            f"{'  OVERLOADED' if self._service.status().overloaded else ''}"
        )


def main() -> int:
    """Run, print, judge."""
    asked = arguments()
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        service = LiveService(settings(asked, folder), asked.file)
        warm: tuple[float, int] | None = None
        with service:
            began, minutes = time.monotonic(), Minutes(service)
            while (left := began + asked.seconds - time.monotonic()) > 0.5:
                if service.wait(min(asked.every, left)):
                    print(redact(f"it stopped: {service.failure}"))
                    return 1
                print(minutes.line(), flush=True)
                if warm is None and time.monotonic() - began >= asked.seconds / 10:
                    warm = minutes.memory, minutes.threads
    if warm is None:
        return 0
    growth, more = minutes.memory - warm[0], minutes.threads - warm[1]
    print(f"memory grew by {growth:.0f} MB, threads by {more}, after the first tenth")
    return int(growth > asked.growth or more > 0)


if __name__ == "__main__":
    sys.exit(main())
