"""Speed of association beside Ultralytics' trackers: `python tools/bench_association.py`.

Only the update step, one thread, CPU time. Loads: random walks of N objects in a place that grows with them, so that
the crowd is as dense; and, where the data folder is, SORT's public detections of MOT15. The contenders take turns;
microseconds a frame are medians of repeats.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from tracker import Detections, load_tracker

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data"))
RECIPES = ("sort", "bytetrack")
Rows = NDArray[np.float32]


def walk(objects: int, frames: int) -> list[Rows]:
    """``(N, 5)`` boxes and scores of each frame."""
    random = np.random.default_rng(objects)
    side = 150 * objects**0.5
    place, speed = random.uniform(0, side, (objects, 2)), random.normal(0, 2, (objects, 2))
    out = []
    for _ in range(frames):
        place += speed
        corner = place + random.normal(0, 1, place.shape)
        rows = np.column_stack([corner, corner + np.array([40, 100]), random.uniform(0.3, 1, objects)])
        out.append(rows[random.random(objects) > 0.05].astype(np.float32))
    return out


def public() -> Iterator[Rows]:
    """SORT's detections, sequence after sequence."""
    for path in sorted((DATA / "mot15").glob("*/det/det.txt")):
        rows = np.loadtxt(path, delimiter=",")
        rows[:, 4:6] += rows[:, 2:4]
        for frame in range(1, int(rows[:, 0].max()) + 1):
            chosen = rows[rows[:, 0] == frame]
            yield np.column_stack([chosen[:, 2:6], np.clip(chosen[:, 6], 0, 1)]).astype(np.float32)


def ours(recipe: str) -> Callable[[Rows], object]:
    engine = load_tracker(recipe)
    return lambda rows: engine.update(Detections(rows[:, :4], rows[:, 4]))


def ultralytics() -> Callable[[Rows], object]:
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers.byte_tracker import BYTETracker

    settings = SimpleNamespace(
        track_high_thresh=0.6, track_low_thresh=0.1, new_track_thresh=0.7, track_buffer=30, match_thresh=0.8,
        fuse_score=True,
    )  # fmt: skip
    tracker = BYTETracker(settings)
    return lambda rows: tracker.update(Boxes(np.column_stack([rows, np.zeros(len(rows))]), (4000, 4000)))


def cost(make: Callable[[], Callable[[Rows], object]], frames: list[Rows]) -> float:
    """Microseconds of CPU a frame."""
    update = make()
    started = time.process_time()
    for rows in frames:
        update(rows)
    return 1e6 * (time.process_time() - started) / len(frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--objects", type=int, nargs="+", default=[10, 50, 100, 500])
    args = parser.parse_args()
    loads = {f"{n} objects": walk(n, max(20, 4000 // n)) for n in args.objects}
    if DATA.is_dir():
        loads = {"MOT15": list(public())} | loads
    contenders: dict[str, Callable[[], Callable[[Rows], object]]] = {
        f"reacquire {recipe}": (lambda recipe=recipe: ours(recipe)) for recipe in RECIPES
    }
    contenders["ultralytics bytetrack"] = ultralytics
    print(f"{platform.platform()}, {os.cpu_count()} cores; microseconds a frame")
    print(f"{'':<24}" + "".join(f"{load:>14}" for load in loads))
    results: dict[str, dict[str, list[float]]] = {name: {load: [] for load in loads} for name in contenders}
    for _ in range(args.repeats):
        for load, frames in loads.items():
            for name, make in contenders.items():
                results[name][load].append(cost(make, frames))
    for name, by_load in results.items():
        print(f"{name:<24}" + "".join(f"{statistics.median(values):>14.0f}" for values in by_load.values()))


if __name__ == "__main__":
    main()
