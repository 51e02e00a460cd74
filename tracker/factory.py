"""Builds the parts of a pipeline from settings: the one place that knows every implementation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reid.runtime import choose_device
from tracker.config import DEFAULT_TRACKER, PipelineSettings, load_pipeline_settings, load_recipe
from tracker.errors import DataError

if TYPE_CHECKING:
    from tracker.association.engine import Engine
    from tracker.association.python_costs import PythonCost
    from tracker.association.recipe import Recipe
    from tracker.motion.camera import CameraMotion
    from tracker.protocols import Detector, Embedder

GPU_BATCH, CPU_BATCH = 16, 8
WEAK_SCORE = 0.1
"""Of the weakest boxes that trackers make use of."""
LOOKS, PAIRS_SHARE = 4, 0.85
"""Embeddings behind a track that odds are asked for; a file's threshold is of single crops, of tracks a share of it."""


def load_tracker(
    recipe: str | Path | Mapping[str, Any] | Recipe = DEFAULT_TRACKER,
    *,
    overrides: Iterable[str] = (),
    record: bool = False,
    embedder: str | Path | None = None,
    costs: Mapping[str, PythonCost] | None = None,
) -> Engine:
    """A tracker from a shipped recipe's name, a YAML file, a mapping or a `Recipe`.

    Args:
        recipe: for example "bytetrack" or "my-recipe.yaml".
        overrides: `key.path=value` settings laid over it.
        record: keep what was thought of every pair, for `Engine.take_record`.
        embedder: weights whose embeddings the detections will have, as `load_embedder` takes them: thresholds of
            re-identification become that embedder's.
        costs: functions for stages of `cost: python`, by name; see `tracker.association.python_costs`. They are slow.

    Raises:
        ConfigError: no such recipe, or a setting that is unknown, of the wrong type or out of range; a stage asks for
            a function that is not among `costs`.
        DataError: the recipe's file of camera motions cannot be read.
    """
    from tracker.association.engine import Engine

    found = load_recipe(recipe, overrides)
    if embedder is not None:
        found = with_embedder_threshold(found, embedder)
    return Engine(found, build_camera(found), record=record, costs=costs)


def with_embedder_threshold(recipe: Recipe, embedder: str | Path) -> Recipe:
    """The recipe with the distance at which an embedder's file calls two tracks as likely one person as two.

    From the file's odds; where it has none, from its threshold; where it has neither, none: then nobody is known
    again by what he looks like before the stream has taught it.
    """
    if recipe.reidentification is None or embedder == "none":
        return recipe
    from reid.calibration import load_calibration
    from reid.embedder import weights_path
    from reid.load import read_about

    path = weights_path(embedder)
    calibration, threshold = load_calibration(path), read_about(path).threshold
    if calibration.knows(across=False):
        distance = np.linspace(0, 2, 2001)
        ratio = calibration.log_likelihood_ratio(distance, LOOKS, LOOKS, across=False)
        threshold = float(distance[max(int((ratio >= 0).sum()) - 1, 1)])
    elif threshold is not None:
        threshold *= PAIRS_SHARE
    fitted = recipe.reidentification.model_copy(update={"threshold": threshold})
    return recipe.model_copy(update={"reidentification": fitted})


def build_camera(recipe: Recipe) -> CameraMotion | None:
    """What measures the camera's motion for a recipe; None where it wants none, or takes it from the boxes."""
    if recipe.camera_motion == "none" or recipe.camera_motion == "boxes":
        return None
    from tracker.motion.camera import MeasuredCamera, RecordedCamera

    if recipe.camera_motion != "file":
        return MeasuredCamera(recipe.camera_motion)
    assert recipe.camera_file is not None
    try:
        rows = np.loadtxt(recipe.camera_file, ndmin=2)
    except (OSError, ValueError) as error:
        raise DataError(f"{recipe.camera_file}: camera motions cannot be read: {error}") from error
    if rows.shape[1] != 7 or not np.isfinite(rows).all():
        raise DataError(
            f"{recipe.camera_file}: expected rows of 7 finite numbers (frame and 2×3 affine), "
            f"got {rows.shape[1]} columns" + (", with NaN or infinity" if not np.isfinite(rows).all() else "")
        )
    gap = np.flatnonzero(np.diff(rows[:, 0]) != 1)
    if len(gap):
        before, after = rows[gap[0] : gap[0] + 2, 0]
        raise DataError(
            f"{recipe.camera_file}: frame {after:g} follows frame {before:g}: expected a row for every frame"
        )
    return RecordedCamera(rows[:, 1:].reshape(-1, 2, 3))


def build_detector(settings: PipelineSettings) -> Detector:
    """The detector that the settings name, on the device that they name."""
    from tracker.detection import load_detector

    d = settings.detector
    least = None if d.weights.startswith("public:") else WEAK_SCORE
    return load_detector(
        d.weights,
        classes=d.classes,
        score=least if d.score is None else d.score,
        nms_iou=d.nms_iou,
        image_size=d.image_size,
        device=settings.device,
        half=d.half,
        trust=d.trust,
    )


def build_embedder(settings: PipelineSettings) -> Embedder | None:
    """The embedder that the settings name, or None where it has no use, or can do without and is to.

    Raises:
        DataError: the recipe needs appearance, and `embedder.weights` is none.
    """
    if not settings.embeds:
        return None
    if settings.embedder.weights == "none":
        raise DataError(
            f"the recipe {settings.tracker.name!r} matches by appearance and needs an embedder: "
            "give --reid WEIGHTS, or take a recipe that uses motion alone, as --tracker bytetrack"
        )
    from reid import load_embedder

    return load_embedder(settings.embedder.weights, device=settings.device)


def batch_size(batch: int | Literal["auto"], device: str) -> int:
    """Frames at a time through the networks."""
    if batch != "auto":
        return batch
    return CPU_BATCH if choose_device(device) == "cpu" else GPU_BATCH


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pipeline is put together from; `batch` frames go through the networks at a time."""

    detector: Detector
    engine: Engine
    embedder: Embedder | None
    batch: int


def build_parts(
    settings: PipelineSettings | str | Path | Mapping[str, Any] = "default",
    overrides: Iterable[str] = (),
    *,
    record: bool = False,
) -> Parts:
    """The parts that settings, their file or their shipped name ask for; see `Pipeline.from_config`."""
    if not isinstance(settings, PipelineSettings):
        settings = load_pipeline_settings(settings, overrides)
    return Parts(
        build_detector(settings),
        load_tracker(settings.tracker, embedder=settings.embedder.weights, record=record),
        build_embedder(settings),
        batch_size(settings.batch, settings.device),
    )
