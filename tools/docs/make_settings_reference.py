"""Writes `docs/recipe-settings.md` and `docs/recipe.schema.json` from the models of the settings.

`python -m tools.docs.make_settings_reference`
"""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tracker.association.matching.costs import COSTS
from tracker.association.papers import PAPERS, From
from tracker.association.recipe import Appearance, Birth, Death, Motion, Recipe, Reidentification
from tracker.association.stage import Chosen, Stage
from tracker.config import DetectorSettings, EmbedderSettings, PipelineSettings

DOCS = Path(__file__).parents[2] / "docs"
HEAD = """# Settings of recipes and pipelines

Made from the models by `python -m tools.docs.make_settings_reference`; a test holds it true. How to write a recipe
stands in [trackers.md](trackers.md). Times are seconds, scores and overlaps are in 0–1, boxes in pixels; null switches
off.
"""
PARTS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("Recipe", "The top of a recipe's file.", Recipe),
    ("motion", "", Motion),
    ("stages", "Of every stage, whatever its cost; each cost adds its own, below.", Stage),
    ("stages.detections", "", Chosen),
    ("birth", "", Birth),
    ("death", "", Death),
    ("appearance", "", Appearance),
    ("reidentification", "", Reidentification),
    ("Pipeline", "The top of a pipeline's file, as `configs/default.yaml`.", PipelineSettings),
    ("detector", "", DetectorSettings),
    ("embedder", "", EmbedderSettings),
)


def kind_of(annotation: Any) -> str:
    """A type as somebody who writes YAML knows it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind_of(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys("null" if a is type(None) else kind_of(a) for a in arguments))
    if origin is Literal:
        return ", ".join(f"`{a}`" for a in arguments)
    if origin is tuple:
        return "list of " + kind_of(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys"
    return {float: "number", int: "whole number", bool: "true, false", str: "text"}.get(annotation, "text")


def limits_of(info: FieldInfo) -> str:
    """Smallest and largest value."""
    found = list(info.metadata)
    for part in (info.annotation, *get_args(info.annotation)):
        for inner in get_args(part) if get_origin(part) is Annotated else ():
            found += getattr(inner, "metadata", [])
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    return ", ".join(f"{sign} {getattr(m, key):g}" for m in found for key, sign in signs.items() if hasattr(m, key))


def row_of(name: str, info: FieldInfo) -> str:
    """A line of a table."""
    default = info.default if not info.is_required() and not isinstance(info.default, BaseModel) else None
    shown = (
        "required" if info.is_required() else "" if isinstance(info.default, BaseModel) else f"`{json.dumps(default)}`"
    )
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    only = f" Only beside `{extra['beside']}`.".replace("=", ": ") if "beside" in extra else ""
    words = (info.description or "").replace("|", "\\|")
    words = words[:1].upper() + words[1:] + ("." if words and not words.endswith(".") else "")
    papers = "; ".join(str(m) for m in info.metadata if isinstance(m, From))
    return f"| `{name}` | {kind_of(info.annotation)} | {limits_of(info)} | {shown} | {words}{only} | {papers} |"


def table(fields: dict[str, FieldInfo]) -> list[str]:
    """Of settings."""
    return [
        "| key | type | range | default | | paper |",
        "|---|---|---|---|---|---|",
        *(row_of(n, i) for n, i in fields.items()),
    ]


def reference() -> str:
    """The page."""
    lines = [HEAD]
    for name, words, model in PARTS:
        about = words or (model.__doc__ or "").strip()
        lines += [f"## {name}", "", about, "", *table(dict(model.model_fields)), ""]
        if model is Stage:
            for cost in COSTS:
                own = {
                    n: i for n, i in cost.settings.model_fields.items() if n not in Stage.model_fields and n != "cost"
                }
                lines += [f"### cost: {cost.name}", "", (cost.settings.__doc__ or "").strip(), ""]
                lines += [*table(own), ""] if own else ["No settings of its own.", ""]
    lines += ["## Papers", "", *(f"- {name}: {paper}" for name, paper in PAPERS.items())]
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def schema() -> str:
    """For editors."""
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A recipe of Reacquire"}
    return json.dumps(Recipe.model_json_schema() | about, indent=1, ensure_ascii=False) + "\n"


FILES = {"recipe-settings.md": reference, "recipe.schema.json": schema}

if __name__ == "__main__":
    for name, make in FILES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
