"""Trackers as functions of a frame's detections and its time, by motion alone: ours, and those of others as shipped."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace

import numpy as np
from motion_scenes import Rows, Update
from numpy.typing import NDArray

from tracker import Detections
from tracker.association.engine import Engine
from tracker.config import load_recipe
from tracker.mot.associate import motion_only


def ours(recipe: str, overrides: Iterable[str] = ()) -> Update:
    """A recipe by motion alone."""
    engine = Engine(motion_only(load_recipe(recipe, overrides)))

    def update(rows: Rows, seconds: float) -> tuple[NDArray[np.int64], Rows]:
        tracks = engine.update(Detections(rows[:, :4], rows[:, 4]), timestamp=seconds)
        return tracks.id, tracks.xyxy.astype(np.float64)

    return update


def ultralytics(name: str, changes: Mapping[str, object] | None = None) -> Update:
    """One of Ultralytics' trackers with its shipped settings."""
    from ultralytics.engine.results import Boxes as Found
    from ultralytics.trackers.track import TRACKER_MAP
    from ultralytics.utils import YAML
    from ultralytics.utils.checks import check_yaml

    settings = YAML.load(check_yaml(f"{name}.yaml")) | {"gmc_method": "none", "with_reid": False} | dict(changes or {})
    tracker = TRACKER_MAP[settings["tracker_type"]](SimpleNamespace(**settings))

    def update(rows: Rows, _: float) -> tuple[NDArray[np.int64], Rows]:
        boxes = np.column_stack([rows, np.zeros(len(rows))]).astype(np.float32)
        out = np.asarray(tracker.update(Found(boxes, (4000, 4000))), np.float64).reshape(-1, 8)
        return out[:, 4].astype(np.int64), out[:, :4]

    return update


def roboflow(name: str) -> Update:
    """One of Roboflow's trackers as constructed without a word; those that can are told not to look at pictures."""
    import trackers
    from supervision import Detections as Found

    kind = getattr(trackers, name)
    still = {"enable_cmc": False} if "enable_cmc" in inspect.signature(kind).parameters else {}
    tracker = kind(**still)

    def update(rows: Rows, _: float) -> tuple[NDArray[np.int64], Rows]:
        found = Found(xyxy=rows[:, :4], confidence=rows[:, 4], class_id=np.zeros(len(rows), np.int64))
        out = tracker.update(found)
        ids = np.full(len(out), -1) if out.tracker_id is None else np.asarray(out.tracker_id, np.int64)
        return ids[ids >= 0], np.asarray(out.xyxy, np.float64)[ids >= 0]

    return update


PAPER = {"track_high_thresh": 0.6, "new_track_thresh": 0.7, "match_thresh": 0.8}
"""ByteTrack's own settings, where Ultralytics ships others."""

PEERS: dict[str, Callable[[], Update]] = {
    "ultralytics bytetrack": lambda: ultralytics("bytetrack"),
    "ultralytics bytetrack, paper's settings": lambda: ultralytics("bytetrack", PAPER),
    "ultralytics botsort": lambda: ultralytics("botsort"),
    "ultralytics ocsort": lambda: ultralytics("ocsort"),
    "ultralytics fasttrack": lambda: ultralytics("fasttrack"),
    "ultralytics tracktrack": lambda: ultralytics("tracktrack"),
    "roboflow sort": lambda: roboflow("SORTTracker"),
    "roboflow bytetrack": lambda: roboflow("ByteTrackTracker"),
    "roboflow ocsort": lambda: roboflow("OCSORTTracker"),
    "roboflow botsort": lambda: roboflow("BoTSORTTracker"),
    "roboflow cbiou": lambda: roboflow("CBIoUTracker"),
}

MAKERS = ("ultralytics botsort", "ultralytics bytetrack", "roboflow cbiou")
"""Whose output is taken for the truth of sequences without one."""
