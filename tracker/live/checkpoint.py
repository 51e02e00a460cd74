"""The state of all cameras in one file, so that a restart goes on: ids for ever, tracks for a moment."""

from __future__ import annotations

import json
import logging
import os
import time
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.association import layout as at
from tracker.association.costs import iou
from tracker.association.engine import Engine
from tracker.errors import DataError
from tracker.live.camera import Camera
from tracker.live.events import EventLog
from tracker.live.presence import Life
from tracker.live.settings import CheckpointSettings
from tracker.sinks.base import writing
from tracker.types import Detections

log = logging.getLogger("reacquire.live")
FORMAT = 1
MOMENT = 0.3
"""Seconds that a pause counts as where looks are not known."""
REJOIN_OVERLAP = 0.3
UNSAVED_IDS, UNSAVED_EVENTS = 100, 1000
"""After a crash so many numbers are passed over: they may have been given after the last checkpoint."""


def save_checkpoint(
    path: Path, cameras: Sequence[Camera], events: EventLog, *, keep_appearance: bool, final: bool = False
) -> None:
    """Write the state of all cameras; the file is whole at any moment, and only its owner may read it.

    What tracks look like is personal data: it is written only if asked for. `final`: no number is given afterwards.

    Raises:
        ReacquireError: it cannot be written; the one before stays.
    """
    about: dict[str, Any] = {"format": FORMAT, "cameras": []}
    arrays: dict[str, NDArray[Any]] = {}
    for i, camera in enumerate(cameras):
        with camera.lock:
            state = camera.engine.state_dict()
            about["cameras"].append(
                {
                    "name": camera.name,
                    "recipe": _fingerprint(camera),
                    "counts": camera.presence.counts,
                    "crossings": camera.crossings,
                    "here": {track: asdict(life) for track, life in camera.presence.here.items()},
                }
            )
            about["cameras"][-1] = json.loads(json.dumps(about["cameras"][-1]))  # as it is now
        if not keep_appearance:
            state |= {"looks": np.zeros_like(state["looks"][..., :0]), "quality": state["quality"][:, :0]}
            state["table"][:, at.EVIDENCE] = 0.0  # else newcomers would be compared with looks that are gone
            state = {
                name: array for name, array in state.items() if not name.startswith("camera.")
            }  # parts of pictures
        arrays |= {f"{i}/{name}": array for name, array in state.items()}
    about |= {"next_event": events.next_number, "time": time.time(), "final": final}
    temporary = path.with_suffix(".partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def restore_checkpoint(path: Path, cameras: Sequence[Camera], events: EventLog, settings: CheckpointSettings) -> str:
    """Go on where `save_checkpoint` was called; what was taken up, in words.

    Ids and the numbers of events always go on; tracks only where they are fresh and of the same recipe. A file that
    cannot be read is put aside.
    """
    if not path.exists():
        return "a first start"
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(bytes(file["about"]))
            arrays = {name: file[name] for name in file.files if name != "about"}
        if about["format"] != FORMAT:
            raise DataError(f"of another version ({about['format']})")
        passed_over = 0 if about.get("final") else 1
        events.continue_at(about["next_event"] + passed_over * UNSAVED_EVENTS)
        age = time.time() - about["time"]
        fresh = 0 <= age <= settings.valid_seconds
        taken_up = 0
        by_name = {camera.name: camera for camera in cameras}
        for i, saved in enumerate(about["cameras"]):
            camera = by_name.get(saved["name"])
            if camera is not None:
                state = {name.partition("/")[2]: a for name, a in arrays.items() if name.startswith(f"{i}/")}
                state["next_id"] = state["next_id"] + passed_over * UNSAVED_IDS
                taken_up += _restore(camera, saved, state, fresh)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        aside = path.with_suffix(".damaged")
        path.replace(aside)
        log.warning("%s cannot be taken up (%s); it is now %s, and ids begin at 1", path, error, aside.name)
        return "a first start"
    return f"{taken_up} tracks of {age:.0f} s ago go on" if fresh else "ids go on; the tracks are too old"


def _restore(camera: Camera, saved: dict[str, Any], state: dict[str, NDArray[Any]], fresh: bool) -> int:
    """Give a camera its state; the number of its tracks."""
    camera.presence.counts, camera.crossings = saved["counts"], saved["crossings"]
    engine = camera.engine
    empty = engine.state_dict()
    if not fresh or saved["recipe"] != _fingerprint(camera):
        engine.load_state_dict(empty | {"next_id": state["next_id"]})
        return 0
    count = len(state["table"])
    kept = state["looks"].shape[2] > 0
    if not kept:
        slots = empty["looks"].shape[1]
        state["looks"] = np.zeros((count, slots, 0), np.float32)
        state["quality"] = np.full((count, slots), -1.0)
        state["quality"][:, 0] = 0.0
    engine.load_state_dict(empty | state)
    camera.rejoin = partial(rejoin, engine, looks_known=kept)
    camera.presence.here = {int(track): Life(**life) for track, life in saved["here"].items()}
    return len(camera.presence.here)


def rejoin(engine: Engine, detections: Detections, now: float, *, looks_known: bool) -> float:
    """Prepare restored tracks for the first picture after the pause, at `now` (s).

    The pause counts as short, so that no track dies of it. Where looks are known they bridge it, so it may be as long
    as the recipe looks for a lost track. Else boxes must: it counts as a moment, and a track that overlaps one of the
    detections most, and is overlapped by it most, is shown what it looks like.

    Returns:
        Seconds by which the pause was made shorter.
    """
    lost_seconds = engine.recipe.death.lost_seconds
    longest = 0.9 * lost_seconds if looks_known else min(MOMENT, 0.5 * lost_seconds)
    pause = now - float(engine.state_dict()["clock"][-1])
    skipped = pause - longest if pause > longest or pause <= 0 else 0.0  # a machine's clock may run back
    engine.skip(skipped)
    state: dict[str, NDArray[Any]] = dict(engine.state_dict())
    if looks_known or detections.embedding is None or not len(detections) or not len(state["table"]):
        return skipped
    boxes = state["table"][:, at.BOX : at.BOX + 4]
    overlap = iou(boxes, detections.xyxy)
    best = overlap.argmax(1)
    mutual = (overlap.argmax(0)[best] == np.arange(len(boxes))) & (overlap.max(1) >= REJOIN_OVERLAP)
    quality = state["quality"]
    looks = np.zeros((*quality.shape, detections.embedding.shape[1]), np.float32)
    looks[mutual, : min(2, looks.shape[1])] = detections.embedding[best[mutual], None]
    if looks.shape[1] > 1:
        quality[mutual, :2] = 1.0
    engine.load_state_dict(state | {"looks": looks})
    return skipped


def _fingerprint(camera: Camera) -> str:
    """The recipe with the embedder's own threshold: what another embedder saw means nothing to this one."""
    return json.dumps(camera.engine.recipe.model_dump(mode="json"), sort_keys=True)
