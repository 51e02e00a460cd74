"""Builds the parts of a pipeline from settings: the one place that knows every implementation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reid.runtime import choose_device
from tracker.config import PipelineSettings, load_pipeline_settings, load_recipe
from tracker.errors import DataError

if TYPE_CHECKING:
    from reid.embedder import Embedder
    from tracker.association.engine import Engine
    from tracker.association.recipe import Recipe
    from tracker.detection.base import Detector
    from tracker.pipeline import Pipeline

GPU_BATCH, CPU_BATCH = 16, 8


def load_tracker(
    recipe: str | Path | Mapping[str, Any] | Recipe = "default",
    *,
    overrides: Iterable[str] = (),
    record: bool = False,
) -> Engine:
    """A tracker from a shipped recipe's name, a YAML file, a mapping or a `Recipe`.

    Args:
        recipe: for example "bytetrack" or "my-recipe.yaml".
        overrides: `key.path=value` settings laid over it.

    Raises:
        ConfigError: no such recipe, or a setting that is unknown, of the wrong type or out of range.
    """
    from tracker.association.engine import Engine

    return Engine(load_recipe(recipe, overrides))


def build_detector(settings: PipelineSettings) -> Detector:
    """The detector that the settings name, on the device that they name."""
    from tracker.detection import load_detector

    d = settings.detector
    return load_detector(
        d.weights,
        classes=d.classes,
        score=d.score,
        nms_iou=d.nms_iou,
        image_size=d.image_size,
        device=settings.device,
        half=d.half,
        trust=d.trust,
    )


def build_embedder(settings: PipelineSettings) -> Embedder | None:
    """The embedder that the settings name, or None where the recipe has no use for one.

    Raises:
        DataError: the recipe needs appearance, and `embedder.weights` is none.
    """
    if not settings.tracker.needs_embedding:
        return None
    if settings.embedder.weights == "none":
        raise DataError(
            f"the recipe {settings.tracker.name!r} matches by appearance and needs an embedder: "
            "give --reid WEIGHTS, or take a recipe that uses motion alone, as --tracker bytetrack"
        )
    from reid import load_embedder

    return load_embedder(settings.embedder.weights, device=settings.device)


def build_pipeline(
    settings: PipelineSettings | str | Path | Mapping[str, Any] = "default",
    overrides: Iterable[str] = (),
    *,
    include_lost: bool = False,
) -> Pipeline:
    """A pipeline with all its parts, from settings, their file or their shipped name."""
    from tracker.pipeline import Pipeline

    if not isinstance(settings, PipelineSettings):
        settings = load_pipeline_settings(settings, overrides)
    batch = settings.batch
    if batch == "auto":
        batch = CPU_BATCH if choose_device(settings.device) == "cpu" else GPU_BATCH
    return Pipeline(
        build_detector(settings),
        load_tracker(settings.tracker),
        build_embedder(settings),
        batch=batch,
        include_lost=include_lost,
    )
