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
    parser.add_argument("--tracker", default="default")
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


def line(service: LiveService, began: float, dropped: int) -> tuple[str, float, int, int]:
    """How it is now; with memory (MB), threads, and pictures dropped so far."""
    process = psutil.Process()
    cameras = [camera.status() for camera in service.cameras.values()]
    memory, threads = process.memory_info().rss / 1e6, threading.active_count()
    p50 = [c.latency_p50 for c in cameras if c.latency_p50 is not None]
    p95 = [c.latency_p95 for c in cameras if c.latency_p95 is not None]
    total = sum(c.dropped for c in cameras)
    live = sum(c.state == "live" for c in cameras)
    load = process.cpu_percent()
    text = (
        f"{(time.monotonic() - began) / 60:6.1f} min  memory {memory:6.0f} MB  threads {threads:3d}  "
        f"CPU {load:4.0f} %  live {live}/{len(cameras)}  fps {sum(c.fps_out for c in cameras):5.1f}  "
        f"p50 {1e3 * max(p50, default=0):4.0f} ms  p95 {1e3 * max(p95, default=0):4.0f} ms  "
        f"dropped {total - dropped:4d}  ids {sum(sum(c.counts.values()) for c in cameras)}"
        f"{'  OVERLOADED' if service.status().overloaded else ''}"
    )
    return text, memory, threads, total


def main() -> int:
    """Run, print, judge."""
    asked = arguments()
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        service = LiveService(settings(asked, folder), asked.file)
        warm: tuple[float, int] | None = None
        memory, threads, dropped = 0.0, 0, 0
        with service:
            began = time.monotonic()
            psutil.Process().cpu_percent()
            while (left := began + asked.seconds - time.monotonic()) > 0.5:
                if service.wait(min(asked.every, left)):
                    print(redact(f"it stopped: {service.failure}"))
                    return 1
                text, memory, threads, dropped = line(service, began, dropped)
                print(text, flush=True)
                if warm is None and time.monotonic() - began >= asked.seconds / 10:
                    warm = memory, threads
    if warm is None:
        return 0
    print(f"memory grew by {memory - warm[0]:.0f} MB, threads by {threads - warm[1]}, after the first tenth")
    return int(memory - warm[0] > asked.growth or threads > warm[1])


if __name__ == "__main__":
    sys.exit(main())
