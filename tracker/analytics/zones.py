"""Zones and lines of a picture, as users write them, for files and for live cameras."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tracker.config import ClassNames, Settings, load_settings
from tracker.yaml_file import read_yaml

Fraction = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Fraction, Fraction]
Polygon = Annotated[tuple[Point, ...], Field(min_length=3, max_length=200)]


def as_text(value: Any) -> Any:
    """A number that stands where a text should: `name: 12`, `source: 0`."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _is_a_name(value: str) -> str:
    if re.fullmatch(r"\w[\w .-]*", value) is None:
        raise ValueError("a name has letters, digits, spaces, dots and hyphens, and begins with a letter or digit")
    return value


Name = Annotated[str, Field(min_length=1, max_length=64), BeforeValidator(as_text), AfterValidator(_is_a_name)]


class Zone(Settings):
    """A polygon that is watched; who stands in it is judged at the bottom centre of the box."""

    name: Name
    polygon: Polygon = Field(description="x, y in fractions of the picture")
    dwell: Annotated[float, Field(gt=0)] | None = Field(None, description="seconds in it that are an event")
    classes: ClassNames = Field(None, description="names that count; all when absent")


class Line(Settings):
    """A line that is watched. Seen along it, "a_to_b" goes from its left to its right."""

    name: Name
    points: Annotated[tuple[Point, ...], Field(min_length=2, max_length=200)] = Field(description="x, y in fractions")
    classes: ClassNames = Field(None, description="names that count; all when absent")


class Scene(Settings):
    """What is watched in a picture, and what is left out."""

    zones: tuple[Zone, ...] = Field((), description="who is in, who came and left, for how long")
    lines: tuple[Line, ...] = Field((), description="who crossed, and which way")
    ignore: tuple[Polygon, ...] = Field(
        (), description="posters, mirrors, screens: whoever's middle is in one is not there"
    )

    @model_validator(mode="after")
    def _one_of_a_name(self) -> Scene:
        """A count belongs to one zone or line."""
        names = [zone.name for zone in self.zones] + [line.name for line in self.lines]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the name {twice[0]!r} stands for two zones or lines")
        return self


def read_scene(path: Path) -> Scene:
    """Zones, lines and what is left out, from a file of their own or from a cameras' file with one camera.

    Raises:
        ConfigError: names file, key, expected and got.
    """
    content = read_yaml(path)
    cameras = content.get("cameras")
    if isinstance(cameras, list) and len(cameras) == 1 and isinstance(cameras[0], Mapping):
        content = {key: cameras[0][key] for key in Scene.model_fields if key in cameras[0]}
    return load_settings(Scene, content, name=str(path))
