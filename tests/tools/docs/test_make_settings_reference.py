"""The reference and the schema say what the models say, and the schema takes every shipped recipe."""

import importlib
import json

import pytest
import yaml

from tracker.config import config_names


@pytest.fixture
def maker():
    return importlib.import_module("tools.docs.make_settings_reference")


def test_the_pages_are_those_that_the_models_make(maker, root):
    for name, make in maker.FILES.items():
        assert (root / "docs" / name).read_text(encoding="utf-8") == make(), (
            "run python -m tools.docs.make_settings_reference"
        )


def test_every_setting_is_described(maker):
    page = maker.reference()
    for _, _, model in maker.PARTS:
        for name in model.model_fields:
            assert f"| `{name}` |" in page


def test_every_key_of_a_shipped_recipe_is_in_the_schema(maker, root):
    known = json.loads(maker.schema())
    stages = {key for part in known["$defs"].values() if "tracks" in part["properties"] for key in part["properties"]}
    for name in config_names("trackers"):
        recipe = yaml.safe_load((root / f"configs/trackers/{name}.yaml").read_text(encoding="utf-8"))
        assert set(recipe) <= set(known["properties"])
        assert {key for stage in recipe["stages"] for key in stage} <= stages
