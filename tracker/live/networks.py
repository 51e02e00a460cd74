"""The networks that all cameras share: which ones the settings ask for, and their first use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tracker.analytics.zones import Line, Zone
from tracker.config import PipelineSettings
from tracker.detection.base import class_ids
from tracker.errors import ConfigError
from tracker.factory import build_detector, build_embedder, load_tracker
from tracker.live.camera import Camera
from tracker.live.perception import Perception
from tracker.live.settings import LiveSettings
from tracker.protocols import Detector, Embedder
from tracker.types import Detections, Frame


def load_networks(settings: LiveSettings) -> tuple[Detector, Embedder | None]:
    """The detector for all cameras' classes, and the embedder where a recipe needs one.

    Raises:
        ReacquireError: weights that cannot be loaded; classes that nobody knows.
    """
    wanted = [camera.classes for camera in settings.cameras]
    classes: tuple[str, ...] | None = None
    if all(c is not None for c in wanted):
        classes = tuple(sorted({name for c in wanted if c is not None for name in c}))
    detector_settings = settings.detector
    if classes is not None and detector_settings.classes is None:
        detector_settings = detector_settings.model_copy(update={"classes": classes})
    recipes = [camera.tracker for camera in settings.cameras]
    comparing = max(recipes, key=lambda recipe: (recipe.needs_embedding, recipe.uses_embedding))
    pipeline = PipelineSettings(
        detector=detector_settings, embedder=settings.embedder, tracker=comparing, device=settings.device
    )
    return build_detector(pipeline), build_embedder(pipeline)


def warm_up(perception: Perception, cameras: Sequence[Camera], batch: int) -> None:
    """Let everything that compiles at first use do so before pictures wait for it."""
    image = np.zeros((360, 640, 3), np.uint8)
    # A whole batch, so that the networks take all the memory that they will ever need now.
    requests = [camera.request for camera in cameras][:batch]
    perception([Frame(image, i, 0.0, "warm-up") for i in range(len(requests))], requests)
    box = Detections([[10, 10, 50, 90]], [0.9], embedding=np.eye(1, 8, dtype=np.float32))
    for recipe in {repr(c.settings.tracker): c.settings.tracker for c in cameras}.values():
        engine = load_tracker(recipe)
        for frame in range(3):
            engine.update(box, timestamp=frame / 10, image=image if engine.needs_image else None)


def check_classes(zones: Sequence[Zone], lines: Sequence[Line], names: Mapping[int, str]) -> None:
    """Refuse classes that the detector does not know.

    Raises:
        ConfigError: names the zone or line, and the nearest class.
    """
    for kind, items in (("zone", zones), ("line", lines)):
        for item in items:
            try:
                class_ids(item.classes, names, "the detector")
            except ConfigError as error:
                raise ConfigError(f"{kind} {item.name!r}: {error}") from error
