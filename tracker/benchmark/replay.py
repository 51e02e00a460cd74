"""Association alone, over what was seen: the part of tracking that is run again and again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tracker.association.engine import Engine
from tracker.association.matching.costs import COSTS, NAMES, BothStage, Embedding, Fused, MinIouEmbedding
from tracker.association.recipe import Recipe
from tracker.association.stage import Stage
from tracker.benchmark.cache import CachedInputs
from tracker.benchmark.dataset import SequenceFolder
from tracker.errors import ConfigError
from tracker.factory import build_camera
from tracker.formats.table import Table, make_table
from tracker.motion.camera import CameraMotion, RecordedCamera
from tracker.types import Tracks


def cameras_of(recipe: Recipe) -> list[str]:
    """How a recipe wants the camera's motion measured in the frames: one way or none."""
    return [] if recipe.camera_motion in ("none", "file", "boxes") else [recipe.camera_motion]


def replay(recipe: Recipe, seen: CachedInputs, sequence: SequenceFolder) -> Iterator[Tracks]:
    """Tracks of every frame, as `Pipeline` would give them for the frames themselves.

    Raises:
        ConfigError: the recipe compares looks of detections that were not embedded.
    """
    looks = recipe.needs_embedding or seen.embedding is not None
    if looks and recipe.embedding_score < seen.embedded_from:
        raise ConfigError(
            f"the recipe {recipe.name!r} compares looks from score {recipe.embedding_score:g} up, embedded are those "
            f"from {seen.embedded_from:g} up"
        )
    engine = Engine(recipe, _camera(recipe, seen, sequence))
    for frame in range(len(seen)):
        yield engine.update(seen.detections(frame), timestamp=frame / sequence.rate)


def _camera(recipe: Recipe, seen: CachedInputs, sequence: SequenceFolder) -> CameraMotion | None:
    """The camera's motion as it was measured; `{sequence}` in the name of a recipe's file is the sequence's."""
    if recipe.camera_motion in ("none", "boxes"):
        return None
    if recipe.camera_motion != "file":
        return RecordedCamera(seen.motions[recipe.camera_motion])
    own = str(recipe.camera_file).replace("{sequence}", sequence.name)
    camera = build_camera(recipe.model_copy(update={"camera_file": own}))
    assert camera is not None
    for _ in range(sequence.start):
        camera.estimate(None, np.empty((0, 4), np.float32))
    return camera


def as_predictions(tracks: Iterator[Tracks]) -> Table:
    """Tracks of all frames as predictions to be scored, rounded as files of them are."""
    frames = list(tracks)
    xyxy = np.concatenate([t.xyxy for t in [*frames, Tracks.empty()]]).astype(np.float64)
    corner, size = np.round(xyxy[:, :2], 2), np.round(xyxy[:, 2:] - xyxy[:, :2], 2)
    return make_table(
        frame=np.repeat(np.arange(len(frames)), [len(t) for t in frames]),
        id=np.concatenate([t.id for t in [*frames, Tracks.empty()]]),
        xyxy=np.concatenate([corner, corner + size], axis=1),
    ).in_file_order()


def motion_only(recipe: Recipe) -> Recipe:
    """A recipe without what needs frames: appearance, and the camera's motion.

    Stages by appearance alone, and those for frames with embeddings, are dropped; of a mix of overlap and looks the
    overlap is left, with the gate that looks exactly alike would have met.

    Raises:
        ConfigError: nothing is left of it.
    """
    blind = [stage for _, stage in recipe.stages_when(embeddings=False)]
    stages = [_without_looks(stage) for stage in blind if not isinstance(stage, Embedding)]
    if not stages:
        raise ConfigError(f"the recipe {recipe.name!r} matches by appearance alone: nothing is left without it")
    content = recipe.model_dump(mode="json", exclude_unset=True)
    camera = "boxes" if recipe.camera_motion == "boxes" else "none"
    content |= {"stages": stages, "camera_motion": camera, "camera_file": None, "reidentification": None}
    return Recipe.model_validate(content)


def _without_looks(stage: Stage) -> dict[str, Any]:
    content = stage.model_dump(mode="json", exclude_unset=True)
    content |= {"max_embedding_distance": None, "when": "any"}
    if isinstance(stage, BothStage):
        content["cost"] = "iou_times_score" if stage.times_score else "iou"
    if isinstance(stage, MinIouEmbedding):
        content["min_iou"] = None  # there it is a gate of the embeddings alone
    if isinstance(stage, Fused):
        content["gate"] = min(stage.gate / max(1 - stage.weight, 1e-6), 1.0)
    for name in set(content) - set(COSTS[NAMES.index(content["cost"])].settings.model_fields):
        del content[name]
    return content
