"""Trackers as functions of a frame's detections and its time, by motion alone: ours, and those of others as shipped."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from tools.benchmarks.motion_scenes import Maker, Rows, Update
from tracker import Detections
from tracker.association.engine import Engine
from tracker.benchmark.replay import motion_only
from tracker.config import load_recipe


class Published:
    """Camera motion that is known beforehand, a matrix a frame."""

    needs_image = False

    def __init__(self, moved: NDArray[np.float64]) -> None:
        self.moved, self.frame = moved, 0

    def reset(self) -> None:
        """Begin at the first frame."""
        self.frame = 0

    def estimate(self, _image: NDArray[np.uint8] | None, _boxes: NDArray[np.float32]) -> NDArray[np.float64]:
        """``(2, 3)`` of the next frame."""
        self.frame += 1
        return np.asarray(self.moved[self.frame - 1], np.float64)

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Where it is."""
        return {"frame": np.array([self.frame])}

    def load_state_dict(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from there."""
        self.frame = int(state["frame"][0])


def ours(recipe: str, overrides: Iterable[str] = (), camera: NDArray[np.float64] | None = None) -> Update:
    """A recipe by motion alone, with a known camera motion in place of its own."""
    settings = motion_only(load_recipe(recipe, overrides))
    if camera is None:
        engine = Engine(settings)
    else:
        engine = Engine(settings.model_copy(update={"camera_motion": "flow"}), Published(camera))

    def update(rows: Rows, seconds: float) -> tuple[NDArray[np.int64], Rows]:
        tracks = engine.update(Detections(rows[:, :4], rows[:, 4]), timestamp=seconds)
        return tracks.id, tracks.xyxy.astype(np.float64)

    return update


def ultralytics(
    name: str, changes: Mapping[str, object] | None = None, camera: NDArray[np.float64] | None = None
) -> Update:
    """One of Ultralytics' trackers with its shipped settings; those that follow a camera may be told how it moved."""
    from tracker.detection.ultralytics_settings import prepare

    prepare()
    from ultralytics.engine.results import Boxes as Found
    from ultralytics.trackers.track import TRACKER_MAP
    from ultralytics.utils import YAML
    from ultralytics.utils.checks import check_yaml

    settings = YAML.load(check_yaml(f"{name}.yaml")) | {"gmc_method": "none", "with_reid": False} | dict(changes or {})
    tracker = TRACKER_MAP[settings["tracker_type"]](SimpleNamespace(**settings))
    picture = None
    if camera is not None and hasattr(tracker, "gmc"):
        picture = np.zeros((2, 2, 3), np.uint8)
        published = Published(camera)
        tracker.gmc = SimpleNamespace(method="published", apply=published.estimate)

    def update(rows: Rows, _: float) -> tuple[NDArray[np.int64], Rows]:
        boxes = np.column_stack([rows, np.zeros(len(rows))]).astype(np.float32)
        out = np.asarray(tracker.update(Found(boxes, (4000, 4000)), picture), np.float64).reshape(-1, 8)
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

PEERS: dict[str, Maker] = {
    "ultralytics bytetrack": lambda scene: ultralytics("bytetrack", camera=scene.camera),
    "ultralytics bytetrack, paper's settings": lambda scene: ultralytics("bytetrack", PAPER, scene.camera),
    "ultralytics botsort": lambda scene: ultralytics("botsort", camera=scene.camera),
    "ultralytics ocsort": lambda scene: ultralytics("ocsort", camera=scene.camera),
    "ultralytics fasttrack": lambda scene: ultralytics("fasttrack", camera=scene.camera),
    "ultralytics tracktrack": lambda scene: ultralytics("tracktrack", camera=scene.camera),
    "roboflow sort": lambda _: roboflow("SORTTracker"),
    "roboflow bytetrack": lambda _: roboflow("ByteTrackTracker"),
    "roboflow ocsort": lambda _: roboflow("OCSORTTracker"),
    "roboflow botsort": lambda _: roboflow("BoTSORTTracker"),
    "roboflow cbiou": lambda _: roboflow("CBIoUTracker"),
}

MAKERS = ("ultralytics botsort", "ultralytics bytetrack", "roboflow cbiou")
"""Whose output is taken for the truth of sequences without one."""
