"""Costs that the caller's Python functions give: slow, and able to see all of `Detections`, `data` included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.association import records as rc
from tracker.association.buffers import Buffers
from tracker.association.recipe import Recipe
from tracker.errors import ConfigError, DataError
from tracker.types import Detections, Tracks

PythonCost = Callable[[Tracks, Detections], NDArray[Any]]
"""Costs ``(M, N)`` of the M tracks and the N detections; NaN or infinite where a pair cannot be.

The tracks are all that there are, also those without an id (0), at the boxes where they are expected; `detection` is
the row of the frame before that each was matched to, -1 for none.
"""


def functions_of(recipe: Recipe, costs: Mapping[str, PythonCost]) -> dict[str, PythonCost]:
    """The functions that a recipe's stages ask for, by name, in the order of the stages.

    Raises:
        ConfigError: a function is missing, or one was given that no stage asks for.
    """
    asked = [stage.function for stage in recipe.stages if stage.asks_python]  # type: ignore[attr-defined]
    for name in asked:
        if name not in costs:
            raise ConfigError(
                f"the recipe {recipe.name!r} has a stage whose cost is the Python function {name!r}: "
                f"give it with load_tracker(…, costs={{{name!r}: function}})"
            )
    idle = [name for name in costs if name not in asked]
    if idle:
        raise ConfigError(f"no stage of the recipe {recipe.name!r} has cost: python and function: {idle[0]}")
    return {name: costs[name] for name in dict.fromkeys(asked)}


def ask(functions: Mapping[str, PythonCost], buffers: Buffers, detections: Detections) -> NDArray[np.float64]:
    """``(F, M, N)``: what each function says of tracks at their `expected` boxes.

    Raises:
        DataError: a function gave no such matrix.
    """
    n = int(buffers.counters["tracks"][0])
    table = buffers.tracks[:n]
    status = np.minimum(table["status"], rc.LOST)
    tracks = Tracks(
        table["id"], buffers.expected[:n], table["score"], table["class_id"], table["detection"], status
    )  # fmt: skip
    given = np.empty((len(functions), n, len(detections)))
    for costs, (name, function) in zip(given, functions.items(), strict=True):
        try:
            answer = np.asarray(function(tracks, detections), np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"the cost {name!r} failed: {error}") from error
        if answer.shape != costs.shape:
            raise DataError(f"the cost {name!r} gave an array of {answer.shape}, expected {costs.shape}")
        costs[:] = np.where(np.isnan(answer), np.inf, answer)
    return given
