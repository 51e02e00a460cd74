import pytest

from tracker import ConfigError, load_tracker
from tracker.association.recipe import Recipe
from tracker.config import (
    apply_overrides,
    config_names,
    find_config,
    load_pipeline_settings,
    load_recipe,
    load_settings,
)
from tracker.yaml_file import read_yaml


def write(tmp_path, text, name="mine.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_shipped_recipe_is_valid_and_bears_its_files_name():
    names = config_names("trackers")
    assert {"sort", "bytetrack", "deepsort", "reacquire"} <= set(names)
    for name in names:
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.paper
        assert recipe.covers


def test_default_pipeline_is_valid():
    settings = load_pipeline_settings()
    assert settings.detector.weights == "person"
    assert settings.tracker.name == "reacquire"


def test_overrides_reach_recipe_and_lists():
    settings = load_pipeline_settings(
        "default", ["tracker.birth.score=0.9", "tracker.stages.0.gate=0.25", "detector.classes=[person, car]"]
    )
    assert settings.tracker.birth.score == 0.9
    assert settings.tracker.stages[0].gate == 0.25
    assert settings.detector.classes == ("person", "car")


def test_a_pipeline_names_a_recipe_beside_it(tmp_path):
    write(tmp_path, "name: near\nstages: [{tracks: [confirmed], gate: 0.5}]\n", "near.yaml")
    settings = load_pipeline_settings(write(tmp_path, "tracker: near.yaml\n"))
    assert settings.tracker.name == "near"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "stages: [{tracks: [lost], gate: 0.5}]\nbirht: {score: 0.5}",
            r"mine.yaml: birht: unknown key; did you mean 'b",
        ),
        ("stages: [{tracks: [lost], gaet: 0.5}]", r"stages.0.gaet: unknown key; did you mean 'gate'"),
        ("stages: [{tracks: [lost], gate: high}]", r"stages.0.gate: expected a valid number.*got 'high'"),
        ("stages: [{tracks: [lost], gate: -1}]", r"stages.0.gate: expected greater than or equal to 0, got -1"),
        ("stages: [{tracks: [gone], gate: 1}]", r"stages.0.tracks.0: expected 'tentative', 'confirmed' or 'lost'"),
        ("stages: [{tracks: [lost]}]", r"stages.0.gate: missing"),
        (
            "stages: [{tracks: [lost], gate: 1, detections: {score: [0.6, 0.2]}}]",
            r"stages.0.detections: score band from 0.6 to 0.2 is empty",
        ),
        ("stages: [", r"mine.yaml, line"),
        ("name: a\nname: b\n", r"mine.yaml, line 2: key 'name' is there twice"),
        ("- 1\n- 2\n", r"expected `key: value` lines, got a list"),
    ],
)
def test_errors_name_file_key_and_remedy(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_settings(Recipe, write(tmp_path, text))


def test_an_error_in_an_override_is_called_that():
    with pytest.raises(ConfigError, match=r"--set detector.score: expected less than or equal to 1, got 7"):
        load_pipeline_settings("default", ["detector.score=7"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("detector.score", "expected key.path=value"),
        ("=1", "expected key.path=value"),
        ("device.kind=1", "device is a text and has no keys"),
        ("tracker.stages.9.gate=1", "'9' should be a number from 0 to"),
        ("detector.scroe=0.5", "unknown key; did you mean 'score'"),
        ("detector.score=[", r"--set detector\.score, line 1: .*expected the node content"),
        ("detector.weights=*x", "a text that begins with \\* needs quotes"),
        (f"tracker.stages.{'9' * 5000}.gate=1", "should be a number from 0 to"),
        (f"detector.{'a.' * 3000}b=1", "nested deeper than 64 levels"),
        ("detector.score=.nan", "--set detector.score: expected a finite number"),
        ("detector.score=1:30", "--set detector.score: expected a valid number.*got '1:30'"),
    ],
)
def test_overrides_that_cannot_be(override, message):
    with pytest.raises(ConfigError, match=message):
        load_pipeline_settings("default", [override])


def test_overriding_leaves_the_original_alone():
    content = {"a": {"b": [1, 2]}}
    assert apply_overrides(content, ["a.b.0=9"]) == {"a": {"b": [9, 2]}}
    assert content == {"a": {"b": [1, 2]}}


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'bytetrack'"):
        load_tracker("bytetrak")


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"x\.yaml"):
        read_yaml(path)


def test_shipped_name_and_path_lead_to_the_same_recipe():
    assert load_recipe(find_config("trackers", "sort")) == load_recipe("sort")


def test_a_recipe_can_be_given_and_changed():
    recipe = load_recipe("sort")
    changed = load_recipe(recipe, ["birth.confirm_hits=1"])
    assert changed.birth.confirm_hits == 1
    assert changed.stages == recipe.stages
    assert load_recipe(recipe) is recipe


def test_the_old_name_of_the_default_recipe_is_refused_and_the_new_one_is_named():
    with pytest.raises(ConfigError, match=r"default: no such file and no shipped settings.*reacquire"):
        load_tracker("default")


@pytest.mark.parametrize(
    ("stages", "problem"),
    [
        ([{"when": "boxes", "tracks": ["lost"], "cost": "embedding", "gate": 0.2}], "stages.0: .*compares them"),
        ([{"when": "boxes", "tracks": ["lost"], "cost": "iou", "gate": 0.2}], "every stage is for frames without"),
    ],
)
def test_stages_for_frames_without_embeddings(stages, problem):
    with pytest.raises(ConfigError, match=problem):
        load_recipe({"stages": stages})


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "1e999"])
def test_a_number_that_is_not_finite_is_refused(tmp_path, number):
    with pytest.raises(ConfigError, match=r"motion\.position_noise: expected a finite number"):
        load_settings(Recipe, write(tmp_path, f"motion: {{position_noise: {number}}}\n"))


def test_a_message_lists_some_faults_and_counts_the_rest(tmp_path):
    (tmp_path / "many.yaml").write_text("".join(f"wrong{i}: 1\n" for i in range(50)))
    with pytest.raises(ConfigError) as refused:
        load_recipe(tmp_path / "many.yaml")
    lines = str(refused.value).splitlines()
    assert len(lines) == 13
    assert lines[-1].endswith("many.yaml: and 39 more faults")
