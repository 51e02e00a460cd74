"""The reference and the schema say what the models say, and the schema takes every shipped recipe."""

import importlib
import json
import re

import pytest
import yaml

from tracker.association.matching.costs import COSTS
from tracker.association.papers import PAPERS, From
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


def sources_of(model):
    return {name: [m for m in info.metadata if isinstance(m, From)] for name, info in model.model_fields.items()}


def test_settings_name_the_papers_that_they_are_from(maker):
    """Every tracker that a description names as the source is in the field's paper column too."""
    models = [*(model for _, _, model in maker.PARTS), *(cost.settings for cost in COSTS)]
    cited = set()
    for model in models:
        for name, sources in sources_of(model).items():
            cited |= {source.paper for source in sources}
            named = set(re.findall(r"\((\S+?)(?:'s \w+)?\)", model.model_fields[name].description or "")) & set(PAPERS)
            assert named <= {source.paper for source in sources}, (model.__name__, name)
    assert cited == set(PAPERS)
    row = next(line for line in maker.reference().splitlines() if line.startswith("| `reupdate`"))
    assert row.endswith("| OC-SORT, section 4.1 |")


def test_a_paper_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="is none of SORT"):
        From("SROT")


def test_every_key_of_a_shipped_recipe_is_in_the_schema(maker, root):
    known = json.loads(maker.schema())
    stages = {key for part in known["$defs"].values() if "tracks" in part["properties"] for key in part["properties"]}
    for name in config_names("trackers"):
        recipe = yaml.safe_load((root / f"configs/trackers/{name}.yaml").read_text(encoding="utf-8"))
        assert set(recipe) <= set(known["properties"])
        assert {key for stage in recipe["stages"] for key in stage} <= stages
