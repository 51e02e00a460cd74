"""A recipe as the records that compiled code reads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.association.matching.costs import NAMES
from tracker.association.recipe import RULES, STAGE, Recipe
from tracker.association.records import write_settings
from tracker.association.stage import Stage

FLAGS = ("falls_back", "own_gates", "weighs_later", "asks_python")


def compile_stage(stage: Stage, number: int = 0) -> Any:
    """A stage's settings as a `STAGE`; `number` is its place in the recipe."""
    record = np.zeros(1, STAGE)
    write_settings(stage, record[0])
    record["number"], record["cost"] = number, NAMES.index(stage.cost)  # type: ignore[attr-defined]
    record["times_score"] = stage.multiplies_by_score or getattr(stage, "times_score", False)
    record["compares"] = stage.needs_embedding
    for flag in FLAGS:
        record[flag] = getattr(stage, flag)
    return record


def compile_rules(recipe: Recipe) -> Any:
    """A recipe's other settings as a `RULES`."""
    record, motion = np.zeros(1, RULES), recipe.motion
    write_settings(recipe, record[0])
    record["nominal"], record["stage_count"] = 1 / recipe.frame_rate, len(recipe.stages)
    filter_ = record["motion"]
    filter_["measurement_noise"] = motion.measurement_noise or motion.position_noise
    filter_["start_velocity"] = motion.start_velocity or 10 * motion.velocity_noise
    if motion.noise_by_score is not None:
        # A floor of 0 asks for noise that vanishes at score 1; the filter needs a little.
        filter_["noise_by_score"] = max(motion.noise_by_score, 1e-6)
    directed = [stage for stage in recipe.stages if stage.direction > 0]
    record["headings"] = max((2 if stage.direction_of == "corners" else 1 for stage in directed), default=0)
    return record


def compile_recipe(recipe: Recipe, *, embeddings: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Stages ``(S,)`` and rules ``(1,)`` for frames whose detections have embeddings, or have none."""
    stages = [compile_stage(stage, number) for number, stage in recipe.stages_when(embeddings=embeddings)]
    rules = compile_rules(recipe)
    names = list(dict.fromkeys(stage.function for stage in recipe.stages if stage.asks_python))  # type: ignore[attr-defined]
    for record, (_, stage) in zip(stages, recipe.stages_when(embeddings=embeddings), strict=True):
        record["function_number"] = names.index(stage.function) if stage.asks_python else 0  # type: ignore[attr-defined]
    rules["embeddings"] = embeddings and recipe.uses_embedding
    return np.concatenate(stages), rules
