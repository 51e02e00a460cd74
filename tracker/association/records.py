"""The records that compiled code works on, field by field, and how settings become records.

Fields of a stage's record and of the rules are those of the recipe's models: a setting that is added there is here.
"""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tracker.motion.kalman import STATE
from tracker.types import TrackState

TENTATIVE, CONFIRMED, LOST = (int(TrackState[name]) for name in ("TENTATIVE", "CONFIRMED", "LOST"))
REMEMBERED = 3
"""Status of a track that is lost for so long that it can come back by its embedding alone."""
HISTORY = 6
"""Matches that a track keeps in mind."""

TRACK = np.dtype(
    [
        ("id", np.int64),  # 0 until confirmed
        ("serial", np.int64),  # of every track, also of those that never get an id
        ("status", np.int64),  # as in `TrackState`, or `REMEMBERED`
        ("hits", np.int64),  # matches; while tentative, those since the last miss
        ("streak", np.int64),  # matches since the last miss
        ("born", np.float64),  # seconds
        ("seen", np.float64),  # seconds of the last match
        ("score", np.float64),  # of the last match
        ("score_before", np.float64),  # of the match before
        ("score_sum", np.float64),  # over its matches; while tentative, over those since the last miss
        ("class_id", np.int64),
        ("class_votes", np.int64),  # by which its class leads all others
        ("box", np.float64, 4),  # the last matched detection
        ("state", STATE),  # of the Kalman filter
        ("state_seen", STATE),  # the same, just after the last match
        ("innovation", np.float64, 4),  # of the last match, in deviations
        ("heading", np.float64, (4, 2)),  # unit direction of each corner; a centre's in the first
        ("history_time", np.float64, HISTORY),  # of the last matches, newest first; NaN where there were none
        ("history_box", np.float64, (HISTORY, 4)),
        ("evidence", np.float64),  # how often its embedding was seen well, each time as far as it could be trusted
        ("gap_kind", np.int64),  # kind of gap it is in, while lost
        ("survival", np.float64),  # probability that it is still where it is expected, while lost
        # True in one frame only.
        ("detection", np.int64),  # that was matched; -1 for none
        ("dead", np.bool_),
        ("waits", np.bool_),  # for its id, while it could be somebody who was lost
    ]
)
"""A row of the table of tracks."""

DETECTION = np.dtype(
    [
        ("score", np.float64),  # raised, where a recipe boosts
        ("given_score", np.float64),
        ("class_id", np.int64),
        ("occluded", np.float64),  # share of it that others cover
        ("taken", np.bool_),
        ("free", np.bool_),
    ]
)
"""A detection of the frame, beside its box."""

COUNTERS = np.dtype(
    [
        ("first", np.float64),  # seconds of the first frame; NaN before it
        ("before", np.float64),  # seconds of the last frame
        ("now", np.float64),  # seconds of the frame that is being worked on
        ("tracks", np.int64),  # there are
        ("born", np.int64),  # there ever were
        ("next_id", np.int64),
        ("moved", np.bool_),  # whether the camera moved towards this frame
        ("camera", np.float64, (2, 3)),  # how, as an affine
        ("correlation", np.float64, 4),  # sum over the frame's matches of this innovation × the last, in deviations
        ("detections", np.int64),  # of the frame
        ("pairs", np.int64),  # written down for explanations; more than there is room for means: again, with more room
        ("include_lost", np.bool_),
    ]
)
"""What an engine keeps beside its tracks."""

VERDICTS = (
    "unassigned", "matched", "beyond the gate", "another class", "too little overlap", "embeddings too far apart",
    "too far by motion", "out of reach", "another size",
)  # fmt: skip
(
    UNASSIGNED, MATCHED, BEYOND_GATE, OTHER_CLASS, LITTLE_OVERLAP, UNLIKE, IMPROBABLE, OUT_OF_REACH, OTHER_SIZE,
) = range(9)  # fmt: skip

TERMS = {
    "iou": "IoU, 0–1",
    "motion": "one minus the stage's overlap (× score), and what the Mahalanobis distance adds",
    "embedding": "half cosine distance, 0–1",
    "direction": "angle to the heading × score",
    "score_change": "how far the score is from where it was going",
    "mahalanobis": "squared distance by motion",
    "centre_distance": "distance of the centres, in heights or, for its cost, in diagonals",
    "given": "what a cost in Python said",
    "likeness": "evidence of the embeddings, a log-likelihood ratio",
    "place": "evidence of place and time, a log-likelihood ratio",
}
"""The terms of a cost; NaN where a stage did not ask."""
PAIR = np.dtype(
    [
        ("stage", np.int64),
        ("track", np.int64),  # its row; its serial once the frame is done
        ("detection", np.int64),
        ("verdict", np.int64),
        ("cost", np.float64),
        ("gate", np.float64),
        *((name, np.float64) for name in TERMS),
    ]
)
"""A pair of a track and a detection: what was measured, and what was thought of it."""


def fields(model: type[BaseModel]) -> list[tuple[Any, ...]]:
    """The fields of a record of a model's settings, those that are numbers or can be told as such."""
    found = [(name, kind) for name, info in model.model_fields.items() if (kind := _kind(info.annotation)) is not None]
    return [(name, *kind) if isinstance(kind, tuple) else (name, kind) for name, kind in found]


def _kind(annotation: Any) -> Any:
    """The type of a field; None for what compiled code does not need."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin in (Union, types.UnionType):
        return _kind(next(a for a in arguments if a is not type(None)))
    if origin is Literal:
        return np.int64 if isinstance(arguments[0], str) else None
    if origin is tuple:
        if Ellipsis in arguments:
            return np.int64 if get_origin(arguments[0]) is Literal else None
        return (np.float64, len(arguments))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return np.dtype(fields(annotation))
    return {float: np.float64, int: np.int64, bool: np.bool_}.get(annotation)


def write_settings(settings: BaseModel, record: Any) -> None:
    """Put the settings of a part of a recipe into its record."""
    for name, info in type(settings).model_fields.items():
        if name not in record.dtype.names:
            continue
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            write_settings(value, record[name])
        elif value is not None or isinstance(info.json_schema_extra, dict):
            record[name] = _number(value, info)


def _number(value: Any, info: FieldInfo) -> Any:
    if value is None:
        assert isinstance(info.json_schema_extra, dict)
        return info.json_schema_extra["unset"]
    if isinstance(value, str):
        return get_args(info.annotation).index(value)
    if isinstance(value, tuple) and isinstance(value[0], str):
        return sum(1 << int(TrackState[name.upper()]) for name in set(value))
    return value
