"""Which settings of a recipe may vary, and how far: a YAML file, checked against the recipe."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.association.recipe import Recipe
from tracker.config import apply_overrides, load_settings
from tracker.errors import ConfigError
from tracker.yaml_file import read_yaml

if TYPE_CHECKING:
    import optuna

RANGE_KEYS = {"low", "high", "log", "step"}


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing that varies.

    Attributes:
        keys: settings that take its value, all the same.
        low: smallest value, None for choices.
        high: largest.
        whole: values are whole numbers.
        log: drawn evenly in the logarithm.
        step: values are `low` plus multiples of it.
        choices: values instead of a range.
    """

    keys: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    whole: bool = False
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """Its keys, as in the file."""
        return ", ".join(self.keys)

    def suggest(self, trial: optuna.Trial) -> Any:
        """A value for a trial."""
        if self.choices:  # as text, because Optuna keeps only plain values
            return json.loads(trial.suggest_categorical(self.name, [json.dumps(c) for c in self.choices]))
        assert self.low is not None and self.high is not None  # noqa: PT018
        if self.whole:
            step = int(self.step or 1)
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log, step=step)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log, step=self.step)

    def stored(self, value: Any) -> Any:
        """A setting's value as Optuna keeps it; None where it is not of this dimension."""
        if self.choices:
            value = list(value) if isinstance(value, tuple) else value
            return json.dumps(value) if value in self.choices else None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        assert self.low is not None and self.high is not None  # noqa: PT018
        return value if number and self.low <= value <= self.high else None


def read_space(path: Path, recipe: Recipe) -> list[Dimension]:
    """Dimensions of a file: `key.path: [low, high]`, `{low, high, log, step}`, or a list of choices.

    Several keys with commas between them take one value together.

    Raises:
        ConfigError: a key that the recipe does not have (names the nearest), or a range that it does not allow.
    """
    known = flatten(recipe.model_dump(mode="json"))
    content = read_yaml(path)
    if not content:
        raise ConfigError(f"{path}: no settings to vary; expected lines as `birth.score: [0.4, 0.8]`")
    found = [_dimension(path, str(key), value, known) for key, value in content.items()]
    keys = [key for dimension in found for key in dimension.keys]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise ConfigError(f"{path}: {min(twice)} is there twice")
    for dimension in found:
        _try_ends(path, dimension, recipe)
    return found


def flatten(value: Any, before: str = "") -> dict[str, Any]:
    """Settings by their dotted key; items of lists by number."""
    items: Any
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return {before: value}
    inner = {f"{before}.{key}" if before else str(key): item for key, item in items}
    return {before: value} | {k: v for key, item in inner.items() for k, v in flatten(item, key).items()}


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with other values.

    Args:
        recipe: as it is.
        values: by a dimension's name.

    Raises:
        ConfigError: the recipe does not allow them, alone or together.
    """
    keys = {key: value for name, value in values.items() for key in name.split(", ")}
    # What a recipe says is kept apart from its defaults, since saying what changes nothing is refused.
    written, whole = recipe.model_dump(mode="json", exclude_unset=True), recipe.model_dump(mode="json")
    for key in keys:
        _lead(written, whole, key.split("."))
    written = apply_overrides(written, [f"{key}={json.dumps(value)}" for key, value in keys.items()])
    return load_settings(Recipe, written, name=f"recipe {recipe.name}")


def _lead(written: Any, whole: Any, keys: list[str]) -> None:
    """Write out what a path leads through where the recipe leaves it to defaults: lists whole, of mappings nothing."""
    for key in keys[:-1]:
        slot: Any = int(key) if isinstance(whole, list) else key
        whole = whole[slot]
        if isinstance(written, dict) and slot not in written:
            written[slot] = copy.deepcopy(whole) if isinstance(whole, list) else {}
        written = written[slot]


def _dimension(path: Path, name: str, value: Any, known: Mapping[str, Any]) -> Dimension:
    keys = tuple(key.strip() for key in name.split(",") if key.strip())
    for key in keys:
        if key not in known or key == "":
            near = difflib.get_close_matches(key, [k for k in known if k], n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{path}: {key}: the recipe has no such setting{hint}")
    numbers = isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
    if isinstance(value, list) and not numbers:
        return _choices(path, name, keys, value)
    if numbers:
        value = {"low": value[0], "high": value[1]}
    if isinstance(value, dict) and set(value) == {"choices"} and isinstance(value["choices"], list):
        return _choices(path, name, keys, value["choices"])
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: {name}: expected [low, high], {{low, high, log, step}} or choices, got {value!r}")
    return _range(path, name, keys, value, known)


def _range(path: Path, name: str, keys: tuple[str, ...], value: dict[str, Any], known: Mapping[str, Any]) -> Dimension:
    for key in value:
        if key not in RANGE_KEYS:
            near = difflib.get_close_matches(str(key), RANGE_KEYS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{path}: {name}: unknown {key!r}{hint}")
    low, high, step = value.get("low"), value.get("high"), value.get("step")
    if low is None or high is None or not (_is_number(low) and _is_number(high) and low < high):
        raise ConfigError(f"{path}: {name}: expected two numbers, low below high, got {low} and {high}")
    if value.get("log") and (low <= 0 or step is not None):
        raise ConfigError(f"{path}: {name}: log needs low above 0, and no step")
    if step is not None and not (_is_number(step) and step > 0):
        raise ConfigError(f"{path}: {name}: step must be above 0, got {step}")
    whole = all(isinstance(v, int) for v in (low, high, step or 1)) and isinstance(known[keys[0]], int)
    return Dimension(keys, low=low, high=high, whole=whole, log=bool(value.get("log")), step=step)


def _choices(path: Path, name: str, keys: tuple[str, ...], values: list[Any]) -> Dimension:
    if len(values) < 2:
        raise ConfigError(f"{path}: {name}: expected two choices or more, got {values}")
    return Dimension(keys, choices=tuple(values))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _try_ends(path: Path, dimension: Dimension, recipe: Recipe) -> None:
    """Refuse what can never work; what only fails together with others is left to the trials."""
    problems = []
    values = dimension.choices or (dimension.low, dimension.high)
    for value in values:
        try:
            with_values(recipe, {dimension.name: value})
        except ConfigError as error:
            problems.append(str(error))
            if any(f": {key}: " in str(error) for key in dimension.keys):  # of the value itself, whatever the others
                raise ConfigError(f"{path}: {error}") from error
    if len(problems) == len(values):
        raise ConfigError(f"{path}: {dimension.name}: {problems[0]}")
