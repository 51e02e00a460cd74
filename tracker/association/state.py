"""An engine's state as plain arrays, and the checks that it must pass before an engine continues with it.

Compiled code trusts every index, count and kind in these arrays, so each is checked here, by value.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracker.association import priors as pr
from tracker.association import records as rc
from tracker.association.buffers import Buffers, make_counters
from tracker.association.recipe import Recipe
from tracker.errors import DataError
from tracker.motion.kalman import KINDS, STATE
from tracker.types import FARTHEST

VERSION = 2
LARGEST = 2**53
"""Counts beyond this are none."""
LARGEST_ID = 2**52
"""The next id is at most this: what float64 tells apart lasts for as many again."""
LATEST = 1e11
"""Seconds from 0 that a time may be, some 3,000 years: there float64 still has fractions of a millisecond."""
FAR = 1e30
"""What a filter can come to in as many frames; its variances, the square."""
NAMES = ("version", "clock", "next_id", "born", "motion", "tracks", "gallery", "quality", "priors")
Array = NDArray[Any]


class State(NamedTuple):
    """What an engine continues with."""

    counters: Array
    priors: Array
    tracks: Array
    gallery: Array
    quality: Array


def save_state(recipe: Recipe, buffers: Buffers) -> dict[str, NDArray[np.generic]]:
    """Everything that the next frame depends on, but for the camera."""
    counters = buffers.counters[0]
    n = int(counters["tracks"])
    tracks = buffers.tracks[:n].copy()
    tracks["detection"], tracks["dead"], tracks["waits"] = -1, False, False
    return {
        "version": np.array([VERSION]),
        "clock": np.array([counters["first"], counters["before"]]),
        "next_id": np.array([counters["next_id"]]),
        "born": np.array([counters["born"]]),
        "motion": np.array([KINDS[recipe.motion.state]]),
        "tracks": tracks,
        "gallery": buffers.gallery[:n].copy(),
        "quality": buffers.quality[:n].copy(),
        "priors": buffers.priors.copy(),
    }


def without_embeddings(state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A state in which nobody is known by what he looks like, and without parts of pictures."""
    kept = {name: np.array(state[name]) for name in NAMES}
    kept["gallery"] = kept["gallery"][..., :0]
    kept["quality"][:] = -1.0
    kept["quality"][:, 0] = 0.0
    kept["tracks"]["evidence"] = 0.0  # else newcomers would be compared with embeddings that are gone
    return kept | {"anonymous": np.array([True])}


def read_state(state: Mapping[str, NDArray[Any]]) -> dict[str, Array]:
    """The arrays of a state.

    Raises:
        DataError: one is missing or cannot be read, or it is of another version.
    """
    try:
        version = np.asarray(state["version"]).tolist()[0] if "version" in state else 1
        if version != VERSION:
            raise DataError(f"the saved state is of version {version}, expected {VERSION}: begin anew")
        missing = [name for name in NAMES if name not in state]
        if missing:
            raise DataError(f"the saved state has no {', '.join(missing)}: it is of another version")
        return {name: np.asarray(state[name]) for name in NAMES}
    except (ValueError, TypeError, IndexError, OverflowError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"the saved state cannot be read: {error}") from error


def check_state(recipe: Recipe, state: Mapping[str, Array]) -> State:
    """A state that an engine of this recipe can continue with.

    Raises:
        DataError: says what is wrong with it.
    """
    n = len(state["tracks"]) if state["tracks"].ndim else 0
    slots = 1 + recipe.appearance.gallery_size
    expected: dict[str, tuple[Any, tuple[int | None, ...]]] = {
        "version": (np.int64, (1,)),
        "clock": (np.float64, (2,)), "next_id": (np.int64, (1,)), "born": (np.int64, (1,)), "motion": (np.int64, (1,)),
        "tracks": (rc.TRACK, (n,)), "gallery": (np.float32, (n, slots, None)), "quality": (np.float64, (n, slots)),
        "priors": (pr.PRIORS, (1,)),
    }  # fmt: skip
    for name, (dtype, shape) in expected.items():
        array = state[name]
        fits = array.ndim == len(shape) and all(b is None or a == b for a, b in zip(array.shape, shape, strict=True))
        if array.dtype != np.dtype(dtype) or not fits:
            wanted = tuple("any" if size is None else size for size in shape)
            raise DataError(
                f"the saved state's {name} is {_short(array.dtype)} of {array.shape}, expected "
                f"{_short(np.dtype(dtype))} of {wanted}: it is of another version or recipe"
            )
    if state["motion"][0] != KINDS[recipe.motion.state]:
        raise DataError(
            f"the saved state is of a recipe with another motion.state than {recipe.motion.state!r}: "
            "continue with that recipe, or begin anew"
        )
    _check_priors(state["priors"][0])
    _check_tracks(state)
    counters = make_counters()
    counters["first"], counters["before"] = state["clock"]
    counters["next_id"], counters["born"], counters["tracks"] = state["next_id"], state["born"], n
    return State(counters, state["priors"], state["tracks"], state["gallery"], state["quality"])


def _short(dtype: np.dtype[Any]) -> str:
    return "a record" if dtype.names else str(dtype)


def _refuse(what: str, bad: Any) -> None:
    """An error that names the first row where something is wrong, if it is anywhere."""
    rows = np.flatnonzero(bad)
    if len(rows):
        raise DataError(f"the saved state is damaged: track {rows[0]}: {what}")


def _out(values: Array, low: float, high: float) -> NDArray[np.bool_]:
    """Rows in which a value is not within these limits, or NaN."""
    inside = (values >= low) & (values <= high)
    flat: NDArray[np.bool_] = inside.reshape(len(values), inside.size // max(len(values), 1))
    return np.asarray(~flat.all(axis=1))


def _not_finite(values: Array) -> NDArray[np.bool_]:
    return _out(np.where(np.isfinite(values), 0, 1), 0, 0)


def _check_priors(priors: Any) -> None:
    limits = {"noise_factor": (1e-4, 1e3), "survival": (0, 1)}
    for name in pr.PRIORS.names or ():
        low, high = limits.get(name, (-np.inf, np.inf) if name in ("left", "right", "top", "bottom") else (0, LARGEST))
        if _out(np.atleast_1d(priors[name])[None], low, high).any():
            raise DataError(f"the saved state is damaged: priors.{name} is not within {low:g} and {high:g}")


def _check_tracks(state: Mapping[str, Array]) -> None:
    """Every number of every track that compiled code uses."""
    tracks, (first, before) = state["tracks"], state["clock"]
    next_id, born = int(state["next_id"][0]), int(state["born"][0])
    timed = -2 * LATEST <= first <= before <= 2 * LATEST  # it may have gone on by itself since the last time given
    if not (timed or (np.isnan([first, before]).all() and not len(tracks))):
        raise DataError(f"the saved state is damaged: its clock is {first} to {before}")
    if not (1 <= next_id <= LARGEST_ID and len(tracks) <= born <= LARGEST):
        raise DataError(f"the saved state is damaged: its next id is {next_id}, {born} tracks were born")
    t, ids, serials = tracks, tracks["id"], tracks["serial"]
    _refuse("its id is not below the next", _out(ids, 0, next_id - 1))
    _refuse("its serial is not below the number of tracks born", _out(serials, 0, born - 1))
    _refuse("its id is another's too", (ids > 0) & ~_first_of(ids))
    _refuse("its serial is another's too", ~_first_of(serials))
    whole = {
        "status": (0, rc.REMEMBERED), "hits": (0, LARGEST), "streak": (0, LARGEST), "class_votes": (0, LARGEST),
        "gap_kind": (0, pr.KINDS - 1),
    }  # fmt: skip
    parts = {"score": (0, 1), "score_before": (0, 1), "survival": (0, 1), "evidence": (0, LARGEST), "heading": (-2, 2)}
    parts["innovation"] = (-3, 3)
    for name, (low, high) in (whole | parts).items():
        _refuse(f"{name} is not within {low} and {high}", _out(t[name], low, high))
    _refuse("its sum of scores is more than its matches allow", _out(t["score_sum"] - t["hits"], -LARGEST, 1e-6 * 1))
    _refuse("its sum of scores is negative", _out(t["score_sum"], 0, LARGEST))
    _refuse(
        "it was born after it was seen, or seen later than now", ~((t["born"] <= t["seen"]) & (t["seen"] <= before))
    )
    _refuse("a time is not finite", _not_finite(t["born"]))
    _refuse("its box is beyond what a picture can be", _out(t["box"], -FARTHEST, FARTHEST))
    _refuse("its box has a negative size", (t["box"][:, 2:] < t["box"][:, :2]).any(1))
    for state_of in ("state", "state_seen"):
        for name in STATE.names or ():
            limit = FAR * FAR if name.endswith("variance") else FAR
            _refuse(f"{state_of}.{name} is beyond what a filter can come to", _out(t[state_of][name], -limit, limit))
    known = ~np.isnan(t["history_time"])
    _refuse("its history has gaps", (known[:, 1:] & ~known[:, :-1]).any(1))
    _refuse("its history is later than now", (t["history_time"] > before).any(1))
    inside = (np.abs(t["history_box"]) <= FARTHEST).all(2)
    _refuse("its history has a box beyond what a picture can be", (known & ~inside).any(1))
    _refuse("its embeddings are not finite", _not_finite(state["gallery"]))
    counts, quality = state["quality"][:, 0], state["quality"][:, 1:]
    _refuse("its count of embeddings is none", _out(counts, 0, LARGEST) | (counts != np.floor(counts)))
    _refuse(
        "the quality of an embedding is not within 0 and 1",
        ~((quality == -1) | ((quality >= 0) & (quality <= 1))).all(1),
    )


def _first_of(values: Array) -> NDArray[np.bool_]:
    """Which rows have a value that no row before has."""
    first = np.zeros(len(values), bool)
    first[np.unique(values, return_index=True)[1]] = True
    return first
