"""What camera motion costs: `python -m tools.benchmarks.bench_camera`.

Milliseconds of CPU a 1080p frame, one thread: the median and the worst. A window wanders over a picture of the bundled
clip, enlarged, as a hand-held camera would; then black, grey and noisy frames, at which others crash or hang.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import cv2
import numpy as np

from tracker.motion.camera import Image, MeasuredCamera, Method, moves_at_most
from tracker.motion.kalman import STILL

CLIP = Path(__file__).parents[2] / "videos/plaza.mp4"
WIDTH, HEIGHT, ROOM = 1920, 1080, 200


def first_picture() -> Image:
    found, picture = cv2.VideoCapture(str(CLIP)).read()
    if not found:
        raise SystemExit(f"{CLIP}: no picture")
    return np.asarray(cv2.resize(picture, (WIDTH + ROOM, HEIGHT + ROOM), interpolation=cv2.INTER_CUBIC), np.uint8)


def shaken(picture: Image, frames: int) -> list[Image]:
    """Windows of the picture that wander by up to some pixels a frame."""
    random = np.random.default_rng(0)
    walk = np.cumsum(random.normal(0, 6, (frames, 2)), axis=0).astype(int)
    places = abs(walk % (2 * ROOM) - ROOM)
    return [np.ascontiguousarray(picture[y : y + HEIGHT, x : x + WIDTH]) for x, y in places.tolist()]


def times(method: Method, pictures: Iterable[Image]) -> tuple[list[float], float]:
    """Milliseconds a frame, and the farthest that the camera is said to have moved, in pixels."""
    camera, spent, farthest = MeasuredCamera(method), [], 0.0
    boxes = np.array([[300 * i, 400, 300 * i + 80, 650] for i in range(6)], np.float32)
    for picture in pictures:
        started = time.process_time()
        moved = camera.estimate(picture, boxes)
        spent.append(1e3 * (time.process_time() - started))
        farthest = max(farthest, 0.0 if moved is STILL else moves_at_most(moved, (HEIGHT, WIDTH)))
    return spent[1:], farthest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    picture, random = first_picture(), np.random.default_rng(1)
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    noise = [random.integers(0, 256, black.shape, np.uint8) for _ in range(10)]
    loads = {
        "a shaking camera": shaken(picture, args.frames),
        "a still one": [picture[:HEIGHT, :WIDTH]] * args.frames,
        "black and grey frames": [black, black + 128] * (args.frames // 2),
        "noise": noise * (args.frames // 10),
    }
    print(f"{'milliseconds a frame':<24}{'':<8}{'median':>8}{'worst':>8}{'moved, pixels':>15}")
    for load, pictures in loads.items():
        for method in get_args(Method):
            spent, farthest = times(method, pictures)
            print(f"{load:<24}{method:<8}{statistics.median(spent):>8.2f}{max(spent):>8.2f}{farthest:>15.1f}")


if __name__ == "__main__":
    main()
