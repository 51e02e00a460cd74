"""One frame, as a list of steps; and which functions a recipe needs for them, so that no other is compiled."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracker.association import appearance, camera_shift, filtering, lifecycle, reidentification
from tracker.association import records as rc
from tracker.association.buffers import Buffers
from tracker.association.grid import Grid, box_at, make_grid
from tracker.association.matching import candidates, costs, stages
from tracker.association.recipe import Recipe
from tracker.compiled import Record, compiled, kernel
from tracker.motion import kalman
from tracker.types import FARTHEST

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.int64]

DONE, BAD_ROW, BAD_TIME, NO_ROOM = range(4)
"""How a frame went."""


class Parts(NamedTuple):
    """The functions that differ from recipe to recipe; where a recipe does not ask for one, one that does nothing."""

    measure_occlusion: Any
    follow_camera: Any
    compensate: Any
    scale_scores: Any
    boost: Any
    cost: Any
    margin: Any
    direction: Any
    weigh: Any
    assign: Any
    widen: Any
    watch_gaps: Any
    estimate_survival: Any
    reupdate: Any
    set_heading: Any
    learn_embedding: Any
    spare: Any
    end_duplicates: Any
    reidentify: Any


def parts_of(recipe: Recipe) -> Parts:
    """What a recipe asks for."""
    numbers = tuple(sorted({costs.NAMES.index(stage.cost) for stage in recipe.stages}))  # type: ignore[attr-defined]
    mutual = {stage.mutual_step is not None and stage.mutual_step > 0 for stage in recipe.stages}
    directed = any(stage.direction > 0 for stage in recipe.stages)
    occluded = recipe.appearance.overlap < 1 or recipe.appearance.gallery_size > 0
    gaps = recipe.death.min_survival_probability is not None
    learns = recipe.uses_embedding
    return Parts(
        measure_occlusion=appearance.measure_occlusion if learns and occluded else appearance.measure_no_occlusion,
        follow_camera=camera_shift.follow_nothing
        if recipe.camera_motion in ("none", "boxes")
        else camera_shift.follow_camera,
        compensate=camera_shift.compensate_from_boxes
        if recipe.camera_motion == "boxes"
        else camera_shift.compensate_nothing,
        scale_scores=lifecycle.scale_scores if recipe.sure_score is not None else lifecycle.keep_scores,
        boost=lifecycle.boost_scores if recipe.boost > 0 else lifecycle.no_boost,
        cost=costs.choose_cost(numbers),
        margin=costs.choose_margin(numbers),
        direction=candidates.direction if directed else candidates.no_direction,
        weigh=stages.weigh_adaptively if any(s.weighs_later for s in recipe.stages) else stages.no_weights,
        assign=stages.assign_either
        if len(mutual) > 1
        else stages.assign_mutually
        if True in mutual
        else stages.assign_exactly,
        widen=lifecycle.widen if gaps or recipe.reidentification is not None else lifecycle.watch_no_gaps,
        watch_gaps=lifecycle.watch_gaps if gaps else lifecycle.watch_no_gaps,
        estimate_survival=lifecycle.estimate_survival if gaps else lifecycle.watch_no_gaps,
        reupdate=filtering.reupdate if recipe.motion.reupdate else filtering.no_reupdate,
        set_heading=lifecycle.set_heading if directed else lifecycle.set_no_heading,
        learn_embedding=appearance.learn_embedding if learns else appearance.learn_nothing,
        spare=lifecycle.spare_overlapping if recipe.birth.overlap < 1 else lifecycle.spare_none,
        end_duplicates=lifecycle.end_duplicates if recipe.death.duplicate_overlap < 1 else lifecycle.end_no_duplicates,
        reidentify=reidentification.reidentify
        if recipe.reidentification is not None
        else reidentification.reidentify_nobody,
    )


@kernel
def fault_of(buffers: Buffers, xyxy: Float32, score: Float32, embedding: Float32, now: float) -> int:
    """Why a frame cannot be taken; `DONE` when it can."""
    for j in range(len(xyxy)):
        ordered = (
            -FARTHEST <= xyxy[j, 0] <= xyxy[j, 2] <= FARTHEST and -FARTHEST <= xyxy[j, 1] <= xyxy[j, 3] <= FARTHEST
        )
        if not (ordered and 0 <= score[j] <= 1):
            return BAD_ROW
    for j in range(len(embedding)):
        bad = False
        for i in range(embedding.shape[1]):
            bad |= embedding[j, i] - embedding[j, i] != 0  # NaN and infinities
        if bad:
            return BAD_ROW
    counters, dimension = buffers.counters[0], buffers.gallery.shape[2]
    if now <= counters.before:
        return BAD_TIME
    if counters.tracks + len(xyxy) > len(buffers.tracks) or (len(xyxy) and dimension < embedding.shape[1]):
        return NO_ROOM
    return DONE


@kernel
def take_in(buffers: Buffers, xyxy: Float32, score: Float32, class_id: Index, now: float) -> None:
    """Copy the detections of a frame; NaN for `now` is a nominal step after the last frame."""
    counters = buffers.counters[0]
    if math.isnan(now):
        now = 0.0 if math.isnan(counters.before) else counters.before + buffers.rules[0].nominal
    if math.isnan(counters.before):
        counters.first = counters.before = now
    counters.now, counters.detections, counters.pairs = now, len(xyxy), 0
    for j in range(len(xyxy)):
        detection = buffers.detections[j]
        detection.score = detection.given_score = score[j]
        detection.class_id, detection.occluded, detection.taken = class_id[j], 0.0, False
        for i in range(4):
            buffers.xyxy[j, i] = xyxy[j, i]
    for row in range(counters.tracks):
        buffers.tracks[row].dead = buffers.tracks[row].waits = False
    candidates.forget_terms(buffers.pairs[0])


@kernel
def name_pairs(buffers: Buffers) -> None:
    """Put the serials of tracks into what was written down: their rows change when tracks end."""
    for e in range(1, min(buffers.counters[0].pairs + 1, len(buffers.pairs))):
        buffers.pairs[e].track = buffers.tracks[buffers.pairs[e].track].serial


@kernel
def write_output(buffers: Buffers) -> int:
    """Write the tracks to show to `output`, by id; returns how many."""
    tracks, rules, counters, rows = buffers.tracks, buffers.rules[0], buffers.counters[0], buffers.rows
    m = 0
    for row in range(counters.tracks):
        track = tracks[row]
        if is_shown(track, rules, counters):
            k = m
            while k > 0 and tracks[rows[k - 1]].id > track.id:  # nearly in order already
                rows[k] = rows[k - 1]
                k -= 1
            rows[k] = row
            m += 1
    for i in range(m):
        track, out = tracks[rows[i]], buffers.output[i]
        j = track.detection
        box = box_at(buffers.xyxy, j) if j >= 0 and rules.box == 1 else kalman.corners(rules.motion.state, track.state)
        out.id, out.class_id, out.state, out.detection = track.id, track.class_id, track.status, j
        out.xyxy[0], out.xyxy[1], out.xyxy[2], out.xyxy[3] = box
        out.score = buffers.detections[j].given_score if j >= 0 else track.score
    return m


@kernel
def is_shown(track: Record, rules: Record, counters: Record) -> bool:
    """Whether a track is among those that the caller gets."""
    if track.detection >= 0:
        # Never missed since the first frame, or again for long enough.
        steady = track.born == counters.first and track.streak == track.hits
        shown = steady or track.streak >= rules.birth.shown_after
        shown = shown and track.status == rc.CONFIRMED
    else:
        unseen = counters.now - track.seen
        shown = rules.death.shown_seconds > 0 and unseen <= rules.death.shown_seconds + 1e-6
        shown = shown or track.survival >= rules.death.min_survival_probability
        shown = shown and track.status == rc.LOST
    return bool(shown or (counters.include_lost and (track.status == rc.CONFIRMED or track.status == rc.LOST)))


@cache
def make_frame(parts: Parts) -> Any:
    """The compiled function that runs a frame of a recipe with these parts."""

    @compiled
    def advance(buffers: Buffers, embedding: Float32, grid: Grid) -> int:
        """A frame that can be taken; how many tracks to show."""
        counters = buffers.counters[0]
        parts.measure_occlusion(buffers, grid)
        if counters.now > counters.before:
            filtering.predict(buffers, parts)
            parts.compensate(buffers, grid)
        parts.scale_scores(buffers)
        parts.boost(buffers, grid)
        stages.associate(buffers, embedding, grid, parts)
        parts.widen(buffers)
        parts.watch_gaps(buffers)
        lifecycle.update_tracks(buffers, embedding, parts)
        born = lifecycle.choose_births(buffers, grid, parts)
        lifecycle.end_tracks(buffers, parts)
        lifecycle.start_tracks(buffers, born, embedding, parts)
        parts.reidentify(buffers)
        lifecycle.confirm(buffers)
        name_pairs(buffers)
        lifecycle.compact(buffers)
        parts.estimate_survival(buffers)
        counters.before, counters.moved = counters.now, False
        return write_output(buffers)

    @compiled
    def run(buffers: Buffers, embedding: Float32) -> int:
        counters = buffers.counters[0]
        return advance(buffers, embedding, make_grid(buffers.xyxy[: counters.detections], counters.tracks))

    @kernel
    def frame(
        arrays: tuple[Any, ...], xyxy: Float32, score: Float32, class_id: Index, embedding: Float32, now: float
    ) -> tuple[int, int]:
        """One frame: how it went, and how many rows of `output` are to be shown. A refused frame changes nothing.

        Args:
            arrays: those of `Buffers`, in a plain tuple, which Python hands over twice as fast.
            now: seconds; NaN for a nominal step after the last frame.
        """
        buffers = Buffers(*arrays)
        fault = fault_of(buffers, xyxy, score, embedding, now)
        if fault != DONE:
            return fault, 0
        take_in(buffers, xyxy, score, class_id, now)
        return DONE, run(buffers, embedding)

    return frame


@cache
def make_forecast(parts: Parts) -> Any:
    """The compiled function that says where the tracks of a recipe with these parts are expected, at `now`."""

    @kernel
    def forecast(buffers: Buffers, now: float) -> None:
        """Predict all tracks, and write down where they are expected: for a copy of an engine's arrays."""
        counters = buffers.counters[0]
        if not math.isnan(counters.before):
            counters.now = counters.before + buffers.rules[0].nominal if math.isnan(now) else now
            filtering.predict(buffers, parts)
        stages.expect(buffers, buffers.rules[0].motion.state, counters.tracks)

    return forecast
