"""Settings: YAML files in, typed and checked models out.

A setting that is unknown, of the wrong type or out of range is an error that names the file, the key,
what was expected, what was there and, for a misspelt key, the nearest one that exists.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Self, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretBytes, SecretStr, ValidationError

from tracker.association.recipe import Recipe
from tracker.errors import ConfigError
from tracker.yaml_file import DEEPEST, kind_of, parse_yaml, read_yaml

Model = TypeVar("Model", bound=BaseModel)
Kind = TypeVar("Kind")

DEFAULT_TRACKER = "reacquire"
"""The recipe that is taken where none is named."""


class Settings(BaseModel):
    """Base of all settings: unknown keys are refused, numbers are finite, values cannot change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


ClassNames = Annotated[tuple[str, ...], Field(min_length=1)] | None
"""Of the detector; an empty list would find nothing, and None is all."""


class DetectorSettings(Settings):
    """Which detector, and what it may report."""

    weights: str = Field("person", description="bundled name, a weights file, or public:DET.txt")
    classes: ClassNames = Field(None, description="names to keep; all when absent")
    score: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="lowest score; 0.1 when absent, since trackers use weak boxes too"
    )
    nms_iou: float = Field(0.6, ge=0, le=1, description="boxes that overlap more than this are one object")
    image_size: Annotated[int, Field(ge=32, le=8192)] | None = Field(
        None, description="long side in pixels; the weights' own when absent"
    )
    half: bool | None = Field(None, description="half precision; on a GPU by default")
    trust: bool = Field(False, description="load weights that may run code when loaded")


class EmbedderSettings(Settings):
    """Which re-identification network; `weights: none` switches appearance off."""

    weights: str = Field("default", description="bundled name, a weights file, or none")


class PipelineSettings(Settings):
    """Everything that one run needs to know."""

    detector: DetectorSettings = DetectorSettings()
    embedder: EmbedderSettings = EmbedderSettings()
    tracker: Recipe
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda:0, mps")
    batch: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = Field(
        "auto", description="frames at a time through the networks; live sources always take one"
    )
    max_pixels: int = Field(50_000_000, ge=1, description="of a picture; what is larger is not even decoded")

    @property
    def embeds(self) -> bool:
        """Whether looks are compared: the recipe can, and an embedder is named or it cannot do without."""
        named = self.embedder.weights != "none"
        return self.tracker.needs_embedding or (self.tracker.uses_embedding and named)


def config_folder() -> Path:
    """Where the shipped settings are: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "configs"


def config_names(kind: str = "") -> list[str]:
    """Names of the shipped settings of a kind: `trackers`, `reid`, or "" for whole pipelines."""
    return sorted(path.stem for path in (config_folder() / kind).glob("*.yaml") if ".example" not in path.name)


def find_config(kind: str, name: str | Path) -> Path:
    """The file behind a shipped name or a path.

    Raises:
        ConfigError: neither a shipped name nor a file; lists what there is.
    """
    shipped = config_folder() / kind / f"{name}.yaml"
    if shipped.is_file():
        return shipped
    path = Path(name)
    if path.is_file():
        return path
    names = config_names(kind)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"{name}: no such file and no shipped settings of that name{hint} (shipped: {', '.join(names)})")


def apply_overrides(content: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """`content` with `key.path=value` settings laid over it; list items by number: `stages.0.gate=0.7`.

    Raises:
        ConfigError: not of that form, or a path through something that has no keys.
    """
    result: dict[str, Any] = _deep_copy(content)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {override}: expected key.path=value, as in detector.score=0.3")
        key = key.strip()
        if key.count(".") >= DEEPEST:
            raise ConfigError(f"--set {key[:40]}…: nested deeper than {DEEPEST} levels")
        _put(result, key.split("."), parse_yaml(text, f"--set {key}"), key)
    return result


def _deep_copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _deep_copy(item) for key, item in value.items()}
    return [_deep_copy(item) for item in value] if isinstance(value, list) else value


def _put(target: Any, keys: list[str], value: Any, name: str) -> None:
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        slot: Any = key
        if isinstance(target, list):
            slot = int(key) if re.fullmatch(r"[0-9]{1,6}", key) else len(target)
            if slot >= len(target):
                raise ConfigError(f"--set {name}: {key!r} should be a number from 0 to {len(target) - 1}")
        elif not isinstance(target, dict):
            raise ConfigError(f"--set {name}: {'.'.join(keys[:depth])} is {kind_of(target)} and has no keys")
        elif not last:
            target.setdefault(slot, {})
        if last:
            target[slot] = value
        else:
            target = target[slot]


def load_settings(
    model: type[Model],
    source: str | Path | Mapping[str, Any],
    overrides: Iterable[str] = (),
    *,
    name: str = "",
) -> Model:
    """A file or mapping, with overrides, as a checked `model`; `name` is what errors call a mapping.

    Raises:
        ConfigError: names file, key, expected, got, and the nearest key for an unknown one.
    """
    name = name or ("settings" if isinstance(source, Mapping) else str(source))
    content = source if isinstance(source, Mapping) else read_yaml(Path(source))
    overrides = list(overrides)
    try:
        return model.model_validate(apply_overrides(content, overrides))
    except ValidationError as error:
        raise ConfigError(explain(error, model, name, overrides)) from error


def load_recipe(recipe: str | Path | Mapping[str, Any] | Recipe, overrides: Iterable[str] = ()) -> Recipe:
    """A tracker's recipe from a shipped name, a file, a mapping, or as it is."""
    overrides = list(overrides)
    if isinstance(recipe, Recipe):
        if not overrides:
            return recipe
        recipe = recipe.model_dump(mode="json", exclude_unset=True)
    return load_settings(Recipe, recipe if isinstance(recipe, Mapping) else find_config("trackers", recipe), overrides)


def load_pipeline_settings(
    source: str | Path | Mapping[str, Any] = "default",
    overrides: Iterable[str] = (),
    *,
    tracker: str | Path | None = None,
) -> PipelineSettings:
    """Settings of a whole pipeline; its `tracker` may be a recipe's name or file, or the recipe itself.

    Overrides reach into the recipe too: `tracker.birth.score=0.5`.
    """
    if isinstance(source, Mapping):
        content, name, folder = dict(source), "settings", Path()
    else:
        path = find_config("", source)
        content, name, folder = read_yaml(path), str(path), path.parent
    recipe = content.get("tracker", DEFAULT_TRACKER) if tracker is None else tracker
    if isinstance(recipe, str | Path):
        beside = folder / recipe  # a recipe's file is looked for beside the file that names it
        found = beside if tracker is None and beside.is_file() else find_config("trackers", recipe)
        load_settings(Recipe, found)  # so that an error in it names its own file
        content["tracker"] = read_yaml(found)
    return load_settings(PipelineSettings, content, overrides, name=name)


MOST_TOLD = 12
"""Faults that one message lists."""
WORDS = {
    "tuple_type": "expected a list",
    "model_type": "expected keys and values",
    "model_attributes_type": "expected keys and values",
    "dict_type": "expected keys and values",
}
"""What pydantic says of types, as somebody who writes YAML knows them."""


class Written(str):
    """A text that stands for another one in its file, as `${PASSWORD}` does; errors show it as it is written there."""

    __slots__ = ("written",)
    written: str

    def __new__(cls, value: str, written: str) -> Self:
        text = super().__new__(cls, value)
        text.written = written
        return text


def explain(error: ValidationError, model: type[BaseModel], name: str, overrides: Iterable[str] = ()) -> str:
    """A validation error in words: file, key, expected, got, nearest key."""
    lines = []
    details = error.errors()
    for detail in details:
        if detail["type"] == "too_short" and any(_lies_in(other["loc"], detail["loc"]) for other in details):
            continue  # a list seems too short where what is in it is wrong
        keys = _path(model, detail["loc"])
        dotted = ".".join(keys) or "(top level)"
        overridden = any(dotted == o.split("=")[0].strip() for o in overrides)
        where = f"--set {dotted}" if overridden else f"{name}: {dotted}"
        if detail["type"] == "extra_forbidden":
            known = _keys_at(model, keys[:-1])
            near = difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            lines.append(f"{where}: unknown key; {hint}")
        elif detail["type"] == "invalid_key":
            lines.append(f"{where}: a key must be a text")
        elif detail["type"] == "missing":
            lines.append(f"{where}: missing")
        else:
            wanted = WORDS.get(detail["type"]) or _lower_first(detail["msg"])
            secret = _is_secret(model, keys)
            lines.append(f"{where}: {wanted}{'' if secret else _got(detail['input'], detail['type'])}")
    told = list(dict.fromkeys(lines))
    rest = [f"{name}: and {len(told) - MOST_TOLD} more faults"] if len(told) > MOST_TOLD else []
    return "\n".join(told[:MOST_TOLD] + rest)


def _got(value: object, problem: str) -> str:
    """What was there: a plain value itself, of others their kind, since they may hold a secret in a wrong place."""
    if isinstance(value, Mapping):
        return ""
    section = problem in ("model_type", "model_attributes_type", "dict_type")
    if (section and isinstance(value, str)) or not isinstance(value, str | int | float | None):
        return f", got {kind_of(value)}"
    shown = repr(value.written if isinstance(value, Written) else value)
    return f", got {shown if len(shown) <= 60 else shown[:57] + '…'}"


def _lies_in(inner: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _lower_first(message: str) -> str:
    message = message.removeprefix("Value error, ").replace("Input should be", "expected")
    return message if message[1:2].isupper() else message[:1].lower() + message[1:]  # URL stays URL


def _path(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys as they stand in the file: without the branch of a union, which is named after the number of an item."""
    models: list[type[BaseModel]] = [model]
    keys = []
    for before, part in zip((None, *loc), loc, strict=False):
        known = [m.model_fields[part].annotation for m in models if isinstance(part, str) and part in m.model_fields]
        if isinstance(before, int) and isinstance(part, str) and len(models) > 1 and not known:
            continue
        keys.append(str(part))
        models = [found for kind in known for found in _models_in(kind)] or models
    return keys


def _keys_at(model: type[BaseModel], keys: list[str]) -> list[str]:
    """The keys that are known at a path inside a model; numbers and union branches are stepped over."""
    models: list[type[BaseModel]] = [model]
    for key in keys:
        inner = [found for m in models if key in m.model_fields for found in _models_in(m.model_fields[key].annotation)]
        models = inner or models
    return sorted({field for m in models for field in m.model_fields})


def _is_secret(model: type[BaseModel], keys: list[str]) -> bool:
    """Whether a path inside a model leads to a secret, or into what should be one."""
    models: list[type[BaseModel]] = [model]
    for key in keys:
        kinds = [m.model_fields[key].annotation for m in models if key in m.model_fields]
        if any(_inside(kind, SecretStr) or _inside(kind, SecretBytes) for kind in kinds):
            return True
        models = [found for kind in kinds for found in _models_in(kind)] or models
    return False


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models inside a type such as `list[Stage] | None`."""
    return _inside(annotation, BaseModel)


def _inside(annotation: Any, base: type[Kind]) -> list[type[Kind]]:
    """The classes of a kind inside a type such as `list[Stage] | None`."""
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, base):
        return [annotation]
    if get_origin(annotation) in (list, tuple, dict, Union, UnionType, Annotated):
        return [found for argument in get_args(annotation) for found in _inside(argument, base)]
    return []
