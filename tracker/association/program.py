"""A recipe as the numbers that the compiled engine reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.association import costs
from tracker.association import layout as at
from tracker.association.recipe import Recipe, Stage
from tracker.motion.kalman import KINDS
from tracker.types import TrackState

Float64 = NDArray[np.float64]

MODES = {
    "iou": at.MOTION, "iou_times_score": at.MOTION, "embedding": at.LOOK, "fused": at.FUSED, "least": at.LEAST,
    "adaptive": at.ADAPTIVE,
}  # fmt: skip


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def stage_row(stage: Stage) -> Float64:
    """``(S_WIDTH,)``."""
    row = np.zeros(at.S_WIDTH)
    row[at.S_TRACKS] = sum(1 << int(TrackState[name.upper()]) for name in set(stage.tracks))
    row[at.S_LOW], row[at.S_HIGH] = stage.detections.score
    row[at.S_OVERLAP], row[at.S_BUFFER] = costs.KINDS[stage.overlap], stage.buffer
    row[at.S_TIMES_SCORE] = stage.cost == "iou_times_score" or stage.times_score
    row[at.S_MODE], row[at.S_WEIGHT], row[at.S_GATE] = MODES[stage.cost], stage.weight, stage.gate
    row[at.S_LEAST_OVERLAP] = _or(stage.least_overlap, 0.0)
    row[at.S_LOOK_GATE] = _or(stage.appearance_gate, np.inf)
    row[at.S_MAHALANOBIS_GATE] = _or(stage.mahalanobis_gate, np.inf)
    row[at.S_REACH], row[at.S_SLACK] = _or(stage.reach, np.inf), stage.slack
    row[at.S_SIZE_RATIO] = _or(stage.size_ratio, 0.0)
    row[at.S_BY_AGE] = stage.by_age
    row[at.S_SEEN_WITHIN], row[at.S_GONE_FOR] = _or(stage.seen_within, np.inf), stage.gone_for
    row[at.S_AGAINST] = stage.against == "observed"
    row[at.S_DIRECTION], row[at.S_CORNERS] = stage.direction, stage.direction_of == "corners"
    row[at.S_SCORE_CHANGE], row[at.S_SHAPE] = stage.score_change, stage.shape
    row[at.S_MAHALANOBIS] = stage.mahalanobis
    row[at.S_LOW_BELOW], row[at.S_LOW_PENALTY] = stage.low_below, stage.low_penalty
    row[at.S_STEP], row[at.S_SAMPLES] = _or(stage.rounds, 0.0), stage.look == "samples"
    return row


def rules_row(recipe: Recipe) -> Float64:
    """``(R_WIDTH,)``."""
    motion, birth, death, look = recipe.motion, recipe.birth, recipe.death, recipe.appearance
    row = np.zeros(at.R_WIDTH)
    row[at.R_KIND] = KINDS[motion.state]
    row[at.R_POSITION_NOISE], row[at.R_VELOCITY_NOISE] = motion.position_noise, motion.velocity_noise
    # A floor of 0 asks for the noise that vanishes at score 1; the filter needs a little.
    row[at.R_NOISE_BY_SCORE] = 0.0 if motion.noise_by_score is None else max(motion.noise_by_score, 1e-6)
    row[at.R_COAST], row[at.R_REUPDATE] = _or(motion.coast_seconds, np.inf), motion.reupdate
    row[at.R_DIRECTION_STEPS], row[at.R_NOMINAL] = motion.direction_steps, 1 / recipe.frame_rate
    row[at.R_CLASS_AGNOSTIC], row[at.R_BOOST] = recipe.class_agnostic, recipe.boost
    row[at.R_BIRTH_SCORE], row[at.R_CONFIRM_HITS] = birth.score, birth.confirm_hits
    row[at.R_AT_ONCE], row[at.R_BIRTH_OVERLAP] = birth.at_once_in_first_frame, birth.overlap
    row[at.R_KEEP], row[at.R_SHOWN_AFTER] = birth.keep_seconds, birth.shown_after
    row[at.R_LOST], row[at.R_DUPLICATE] = death.lost_seconds, death.duplicate_overlap
    row[at.R_MOMENTUM], row[at.R_MOMENTUM_BY_SCORE] = look.momentum, look.momentum_by_score
    row[at.R_LOOK_SCORE], row[at.R_LOOK_HIDDEN] = look.score, look.overlap
    row[at.R_SAMPLES], row[at.R_NOVELTY] = look.samples, look.novelty
    row[at.R_STAGES] = len(recipe.stages)
    if recipe.reunion is not None:
        back = recipe.reunion
        row[at.R_EVIDENCE], row[at.R_WAIT], row[at.R_REMEMBERED] = back.evidence, back.wait_seconds, back.seconds
        row[at.R_SAME], row[at.R_AT_FIRST] = back.gate * back.threshold, back.at_first
        row[at.R_LEAD] = back.lead * back.threshold
    row[at.R_BOX_DETECTION] = recipe.box == "detection"
    row[at.R_SHOWN_LOST], row[at.R_SHOWN_CHANCE] = death.shown_seconds, _or(death.shown_chance, np.inf)
    row[at.R_MEASUREMENT_NOISE] = _or(motion.measurement_noise, motion.position_noise)
    row[at.R_START_VELOCITY] = _or(motion.start_velocity, 10 * motion.velocity_noise)
    row[at.R_SIZE_NOISE], row[at.R_ADAPT] = motion.size_noise, motion.adapt
    row[at.R_BY_BOXES], row[at.R_BIRTH_CHANCE] = recipe.camera_motion == "boxes", _or(birth.chance, np.inf)
    directed = [stage for stage in recipe.stages if stage.direction > 0]
    row[at.R_DIRECTIONS] = max((2 if stage.direction_of == "corners" else 1 for stage in directed), default=0)
    return row


def compile_recipe(recipe: Recipe, *, looks: bool) -> tuple[Float64, Float64]:
    """Stages ``(S, S_WIDTH)`` and rules ``(R_WIDTH,)`` for frames whose detections have embeddings, or have none."""
    stages = recipe.stages_given(looks=looks)
    rows = np.stack([stage_row(stage) for _, stage in stages])
    rows[:, at.S_NUMBER] = [number for number, _ in stages]
    rules = rules_row(recipe)
    rules[at.R_LOOKS] = looks and recipe.uses_embedding
    return rows, rules
