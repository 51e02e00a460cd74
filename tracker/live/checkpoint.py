"""The state of all cameras in one file, so that a restart goes on: ids for ever, tracks for a moment."""

from __future__ import annotations

import json
import logging
import math
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from reid.files import replacing, writing
from tracker.association.rejoin import MOMENT
from tracker.errors import DataError
from tracker.live.camera import Camera
from tracker.live.camera_tracker import State
from tracker.live.events import EventLog
from tracker.live.numbers import EVENTS, HIGHEST, Numbers, put_aside, series_of
from tracker.live.settings import CheckpointSettings
from tracker.live.visits import Visit

log = logging.getLogger("reacquire.live")
FORMAT = 1
UNSAVED_IDS, UNSAVED_EVENTS = 100, 1000
"""Numbers that are passed over where a checkpoint is not the last word: they may have been given after it."""


class _Strict(BaseModel):
    """What is read back is what was written, or nothing."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


Count = Annotated[int, Field(ge=0, le=HIGHEST)]


class _SavedVisit(_Strict):
    class_name: str
    first: float
    last: float


class _SavedCamera(_Strict):
    name: str
    recipe: str
    counts: dict[str, Count]
    crossings: dict[str, dict[str, dict[str, Count]]]
    here: dict[Count, _SavedVisit]


class _Saved(_Strict):
    """All that is not an array."""

    format: Literal[1]
    cameras: list[_SavedCamera]
    next_event: Annotated[int, Field(ge=1, le=HIGHEST)]
    time: float
    final: bool = False
    numbered: bool = False
    """Whether it was written beside a file of reserved numbers."""


_Content = tuple[_Saved, dict[str, tuple[_SavedCamera, State]]]
"""What is in a checkpoint, and each camera's part and arrays by its name."""


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
        with camera.tracker.lock:
            state = camera.tracker.engine.state_dict(embeddings=keep_appearance)
            about["cameras"].append(
                {
                    "name": camera.name,
                    "recipe": camera.tracker.fingerprint,
                    "counts": camera.activity.visits.counts,
                    "crossings": camera.activity.crossings,
                    "here": {track: asdict(visit) for track, visit in camera.activity.visits.here.items()},
                }
            )
            about["cameras"][-1] = json.loads(json.dumps(about["cameras"][-1]))  # as it is now
        arrays |= {f"{i}/{name}": array for name, array in state.items()}
    about |= {"next_event": events.next_number, "time": time.time(), "final": final, "numbered": True}
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, mode=0o600) as partial, partial.open("wb") as file:
        np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)  # type: ignore[arg-type]


def restore_checkpoint(
    path: Path,
    cameras: Sequence[Camera],
    events: EventLog,
    settings: CheckpointSettings | None,
    numbers: Numbers | None = None,
    report: Callable[[str], None] = log.warning,
) -> str:
    """Go on where `save_checkpoint` was called; what was taken up, in words.

    Ids and the numbers of events always go on; tracks only where they are fresh and of the same recipe. What cannot be
    read, or what an engine refuses, is put aside, and the rest is taken up. Never fails.

    Args:
        path: of the checkpoint.
        cameras: to be given their state.
        events: to be numbered on.
        settings: None where nothing but numbers goes on.
        numbers: what is reserved, not read yet; None where the checkpoint alone is to know.
        report: takes what could not be taken up, in words.
    """
    saved, known = None, True
    try:
        saved = _read(path)
    except DataError as error:
        known = False
        report(f"{error}; {put_aside(path)}")
    numbers = _known_numbers(numbers, saved, known, report)
    about, states = (None, {}) if saved is None or settings is None else saved
    age = math.inf if about is None else time.time() - about.time
    fresh = settings is not None and 0 <= age <= settings.valid_seconds
    taken_up, refused = 0, []
    for camera in cameras:
        part, state = states.get(camera.name, (None, {}))
        try:
            taken_up += _restore(camera, part, state, fresh, numbers.first(series_of(camera.name)))
        except DataError as error:
            refused.append(f"{camera.name}: {error}")
    events.continue_at(numbers.first(EVENTS))
    if refused:
        report(f"{path}: cannot all be taken up ({'; '.join(refused)}); {put_aside(path)}")
    if about is None:
        return "a first start" if events.next_number == 1 else "nothing is taken up but numbers"
    return f"{taken_up} tracks of {age:.0f} s ago go on" if fresh else "ids go on; the tracks are too old"


def _known_numbers(
    numbers: Numbers | None, saved: _Content | None, known: bool, report: Callable[[str], None]
) -> Numbers:
    """What the file of reserved numbers and the checkpoint know together of numbers that were given.

    Args:
        numbers: of the file, not read yet; None where the checkpoint alone is to know.
        saved: the checkpoint's content.
        known: whether there was no other content, which could not be read.
        report: takes what could not be taken up, in words.
    """
    alone = numbers is None
    numbers = numbers or Numbers(Path())
    try:
        reserved = alone or numbers.read()
    except DataError as error:
        known = reserved = False
        report(f"{error}; {put_aside(numbers.path)}; ids and numbers of events go on far from all that were given")
    if saved is not None:
        about, states = saved
        known = known and not about.numbered
        passed_over = 0 if about.final else 1
        numbers.know(EVENTS, about.next_event + passed_over * UNSAVED_EVENTS)
        for name, (_, state) in states.items():
            with suppress(DataError):
                numbers.know(series_of(name), _following(state) + passed_over * UNSAVED_IDS)
    if not (known or reserved):
        numbers.forgotten()
    return numbers


def _read(path: Path) -> _Content | None:
    """A checkpoint's content; None where there is none.

    Raises:
        DataError: it cannot be read, or is of another version.
    """
    try:
        _check_size(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name != "about"}
            saved = _Saved.model_validate_json(bytes(file["about"]))
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever is wrong with an old file, it does not stop the start
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path}: cannot be taken up ({reason})") from error
    states: list[State] = [{} for _ in saved.cameras]
    for name, array in arrays.items():
        number, _, key = name.partition("/")
        if number.isdecimal() and int(number) < len(states):
            states[int(number)][key] = array
    return saved, {camera.name: (camera, state) for camera, state in zip(saved.cameras, states, strict=True)}


def _check_size(path: Path) -> None:
    """Refuse what unpacks to more than it is: NumPy's files do not."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
            raise DataError("it holds more than was written")


def _following(state: State) -> int:
    """The next id that a state knows.

    Raises:
        DataError: it knows none.
    """
    array = state.get("next_id", np.zeros(0))
    if array.shape != (1,) or array.dtype.kind != "i" or not 1 <= array[0] <= HIGHEST:
        raise DataError("its next id is none")
    return int(array[0])


def _restore(camera: Camera, saved: _SavedCamera | None, state: State, fresh: bool, first: int) -> int:
    """Give a camera its state, with ids from `first` on; the number of its tracks.

    Raises:
        DataError: the state is none of this engine; the camera begins anew.
    """
    tracker = camera.tracker
    tracker.engine.continue_ids_at(first)
    if saved is None:
        return 0
    camera.activity.visits.counts = dict(saved.counts)
    camera.activity.crossings = {
        line: {way: dict(n) for way, n in ways.items()} for line, ways in saved.crossings.items()
    }
    if not fresh or saved.recipe != camera.tracker.fingerprint:
        return 0
    try:
        _following(state)
        _check_visits(saved, state)
        tracker.restore(state, first)
    except Exception as error:  # whatever a state that somebody changed is like, the camera begins anew
        tracker.begin_anew(first)
        reason = str(error) or type(error).__name__
        raise DataError(reason[:200]) from error
    camera.activity.visits.here = {track: Visit(**visit.model_dump()) for track, visit in saved.here.items()}
    return len(camera.activity.visits.here)


def _check_visits(saved: _SavedCamera, state: State) -> None:
    """Those who are here were seen, and not later than the last picture.

    Raises:
        DataError: one was not.
    """
    last_picture = float(state["clock"][-1])
    for track, visit in saved.here.items():
        if not visit.first <= visit.last <= last_picture + MOMENT:
            raise DataError(
                f"{track} was seen from {visit.first} to {visit.last} s, the last picture is of {last_picture}"
            )
