"""Runs one package's trackers for `bench_association.py`, in that package's own environment.

Reads the loads from an npz file (first argument), then a JSON request a line from stdin, answers a JSON object a line
on stdout. Imports nothing but numpy and the package (second argument); each is used by its documented interface, with
its own default settings. Inputs are made beforehand: only the update is timed, in CPU time of the whole process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any, TextIO

import numpy as np

Update = Callable[[Any], object]
Maker = Callable[[], tuple[Callable[[Any], Any], Update]]
"""A new tracker: what makes its input of ``(N, 5)`` float32 corners and scores, and its update."""


def wide(rows: Any) -> Any:
    """``(N, 5)`` float64."""
    return np.ascontiguousarray(rows, np.float64)


def ours(recipe: str) -> Maker:
    def make() -> tuple[Callable[[Any], Any], Update]:
        from tracker import Detections, load_tracker
        from tracker.benchmark.replay import motion_only
        from tracker.config import load_recipe

        engine = load_tracker(motion_only(load_recipe(recipe)))
        return lambda rows: Detections(rows[:, :4].copy(), rows[:, 4].copy()), engine.update

    return make


def ours_from_arrays(recipe: str) -> Maker:
    """The same with the making of `Detections` timed too, and the reading of ids and boxes."""

    def make() -> tuple[Callable[[Any], Any], Update]:
        from tracker import Detections

        _, update = ours(recipe)()

        def from_rows(rows: Any) -> object:
            tracks: Any = update(Detections(rows[:, :4], rows[:, 4]))
            return tracks.id, tracks.xyxy

        return lambda rows: rows, from_rows

    return make


def ultralytics(name: str) -> Maker:
    def make() -> tuple[Callable[[Any], Any], Update]:
        from tracker.detection.ultralytics_settings import prepare

        prepare()
        from ultralytics.engine.results import Boxes
        from ultralytics.trackers.track import TRACKER_MAP
        from ultralytics.utils import YAML
        from ultralytics.utils.checks import check_yaml

        settings = YAML.load(check_yaml(f"{name}.yaml")) | {"gmc_method": "none", "with_reid": False}
        tracker = TRACKER_MAP[settings["tracker_type"]](SimpleNamespace(**settings))
        return lambda rows: Boxes(np.column_stack([rows, np.zeros(len(rows))]), (4000, 4000)), tracker.update

    return make


def supervised(rows: Any) -> Any:
    """`supervision.Detections`."""
    import supervision

    return supervision.Detections(rows[:, :4].copy(), confidence=rows[:, 4].copy(), class_id=np.zeros(len(rows), int))


def supervision() -> tuple[Callable[[Any], Any], Update]:
    import supervision

    make: Any = supervision  # later versions leave its tracker out
    return supervised, make.ByteTrack().update_with_detections


def trackers(name: str) -> Maker:
    def make() -> tuple[Callable[[Any], Any], Update]:
        import trackers

        options = {"enable_cmc": False} if name == "BoTSORTTracker" else {}
        return supervised, getattr(trackers, name)(**options).update

    return make


def pyxtrackers(name: str) -> Maker:
    def make() -> tuple[Callable[[Any], Any], Update]:
        import pyxtrackers

        options = {"det_thresh": 0.3} if name == "OCSort" else {}
        return wide, getattr(pyxtrackers, name)(**options).update

    return make


def ioutrack(name: str) -> Maker:
    def make() -> tuple[Callable[[Any], Any], Update]:
        import ioutrack

        update = getattr(ioutrack, name)().update
        return lambda rows: rows, lambda rows: update(rows, False)

    return make


def visiontrack() -> tuple[Callable[[Any], Any], Update]:
    import visiontrack_cpp

    update = visiontrack_cpp.ByteTracker().update
    return lambda rows: (wide(rows[:, :4]), wide(rows[:, 4])), lambda pair: update(*pair)


def motrackers(name: str) -> Maker:
    def make() -> tuple[Callable[[Any], Any], Update]:
        import motrackers

        update = getattr(motrackers, name)().update

        def prepare(rows: Any) -> Any:
            size = rows[:, 2:4] - rows[:, :2]
            return np.column_stack([rows[:, :2], size]), rows[:, 4].copy(), np.zeros(len(rows), int)

        return prepare, lambda parts: update(*parts)

    return make


def norfair() -> tuple[Callable[[Any], Any], Update]:
    from norfair import Detection, Tracker

    tracker = Tracker(distance_function="iou", distance_threshold=0.7)

    def prepare(rows: Any) -> Any:
        return [Detection(points=r[:4].reshape(2, 2), scores=np.repeat(r[4], 2)) for r in wide(rows)]

    return prepare, lambda found: tracker.update(found)


def deep_sort_realtime() -> tuple[Callable[[Any], Any], Update]:
    from deep_sort_realtime.deepsort_tracker import DeepSort

    update = DeepSort(embedder=None).update_tracks

    def prepare(rows: Any) -> Any:  # appearance that says nothing: two numbers, the same for all
        boxes = [([r[0], r[1], r[2] - r[0], r[3] - r[1]], r[4], 0) for r in rows.tolist()]
        return boxes, [np.array([1.0, 0.0])] * len(boxes)

    return prepare, lambda pair: update(pair[0], embeds=pair[1])


def boxmot(name: str) -> Maker:
    def make() -> tuple[Callable[[Any], Any], Update]:
        import boxmot

        update, picture = getattr(boxmot, name)().update, np.zeros((1080, 1920, 3), np.uint8)
        return lambda rows: np.column_stack([wide(rows), np.zeros(len(rows))]), lambda rows: update(rows, picture)

    return make


TRACKERS: dict[str, dict[str, Maker]] = {
    "reacquire": {
        "sort": ours("sort"),
        "bytetrack": ours("bytetrack"),
        "ocsort": ours("ocsort"),
        "reacquire": ours("reacquire"),
        "sort, from and to arrays": ours_from_arrays("sort"),
    },
    "pyxtrackers": {"sort": pyxtrackers("Sort"), "bytetrack": pyxtrackers("BYTETracker"),
                    "ocsort": pyxtrackers("OCSort")},
    "ioutrack": {"sort": ioutrack("Sort"), "bytetrack": ioutrack("ByteTrack")},
    "visiontrack-cpp": {"bytetrack": lambda: visiontrack()},
    "ultralytics": {"bytetrack": ultralytics("bytetrack"), "ocsort": ultralytics("ocsort"),
                    "botsort": ultralytics("botsort")},
    "trackers": {"sort": trackers("SORTTracker"), "bytetrack": trackers("ByteTrackTracker"),
                 "ocsort": trackers("OCSORTTracker"), "botsort": trackers("BoTSORTTracker")},
    "supervision": {"bytetrack": lambda: supervision()},
    "norfair": {"norfair": lambda: norfair()},
    "motrackers": {"sort": motrackers("SORT"), "iou": motrackers("IOUTracker")},
    "deep-sort-realtime": {"deepsort": lambda: deep_sort_realtime()},
    "boxmot": {"bytetrack": boxmot("ByteTrack"), "ocsort": boxmot("OcSort")},
}  # fmt: skip
"""By package, and by what each implements."""


def measure(make: Maker, frames: list[Any], warm: int, seconds: float) -> dict[str, float]:
    """Microseconds of CPU a frame, after `warm` frames, over as many as take `seconds`, in tens."""
    prepare, update = make()
    for rows in frames[:warm]:
        update(prepare(rows))
    inputs = [prepare(rows) for rows in frames[warm:]]
    done, started = 0, time.process_time()
    while done < len(inputs):
        for given in inputs[done : done + 10]:
            update(given)
        done = min(done + 10, len(inputs))
        spent = time.process_time() - started
        if spent > seconds:
            break
    return {"microseconds": 1e6 * spent / done, "frames": done}


def resident() -> float:
    """MB in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def keep_memory(make: Maker, frames: list[Any], count: int) -> dict[str, Any]:
    """MB after each tenth of `count` frames, the load again and again."""
    prepare, update = make()
    levels = []
    for i in range(count):
        update(prepare(frames[i % len(frames)]))
        if (i + 1) % (count // 10) == 0:
            levels.append(round(resident(), 1))
    return {"megabytes": levels}


def answer(request: dict[str, Any], package: str, loads: dict[str, list[Any]]) -> dict[str, Any]:
    """What was asked for, or the reason why not."""
    try:
        make, frames = TRACKERS[package][request["tracker"]], loads[request["load"]]
        if "count" in request:
            return keep_memory(make, frames, request["count"])
        return measure(make, frames, request["warm"], request["seconds"])
    except Exception as error:  # noqa: BLE001  # whatever a peer does is written down beside it
        return {"error": f"{type(error).__name__}: {error}"[:300]}


def serve(out: TextIO) -> None:
    """Answer until stdin ends."""
    with np.load(sys.argv[1]) as file:
        loads = {}
        for name in {key.rsplit("|", 1)[0] for key in file.files}:
            loads[name] = np.split(file[f"{name}|rows"], file[f"{name}|ends"][:-1])
    package = sys.argv[2]
    print(json.dumps({"version": version(package), "python": sys.version.split()[0]}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), package, loads)), file=out, flush=True)


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a peer prints is no answer
    serve(answers)
