"""Tuning: the space is checked, folds never leak, a study goes on, and nothing better is claimed than was found."""

from dataclasses import replace

import pytest

from tracker.benchmark.cache import Cache
from tracker.benchmark.dataset import find_dataset
from tracker.benchmark.jobs import Audience
from tracker.benchmark.perceive import SequenceCache
from tracker.benchmark.space import read_space, with_values
from tracker.benchmark.tune import ALL, TuneJob, deal, read_objective, tune
from tracker.config import config_names, load_pipeline_settings, load_recipe
from tracker.errors import ConfigError, DataError, ReacquireError

pytest.importorskip("optuna")


@pytest.fixture
def recipe():
    return load_recipe("bytetrack")


def space_of(tmp_path, text, recipe):
    path = tmp_path / "space.yaml"
    path.write_text(text)
    return read_space(path, recipe)


def test_a_space_knows_kinds_of_values(tmp_path, recipe):
    text = """
birth.score: [0.3, 0.9]
birth.confirm_hits: [1, 4]
death.lost_seconds: {low: 1, high: 8, log: true}
motion.state: [xyah, xywh]
stages.0.detections.score.0, stages.1.detections.score.1: [0.3, 0.7]
stages.1.gate: {low: 0.25, high: 0.75, step: 0.25}
class_agnostic: [true, false]
"""
    found = {d.name: d for d in space_of(tmp_path, text, recipe)}
    assert not found["birth.score"].whole
    assert found["birth.confirm_hits"].whole
    assert not found["death.lost_seconds"].whole
    assert found["motion.state"].choices == ("xyah", "xywh")
    assert found["class_agnostic"].choices == (True, False)
    varied = with_values(recipe, {"stages.0.detections.score.0, stages.1.detections.score.1": 0.5, "birth.score": 0.4})
    assert varied.stages[0].detections.score[0] == varied.stages[1].detections.score[1] == 0.5
    assert varied.birth.score == 0.4
    assert varied.death == recipe.death


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("birth.scroe: [0.3, 0.9]", "birth.scroe: the recipe has no such setting; did you mean 'birth.score'"),
        ("stages.9.gate: [0.3, 0.9]", "stages.9.gate: the recipe has no such setting; did you mean"),
        ("birth.score: [0.9, 0.3]", "low below high, got 0.9 and 0.3"),
        ("birth.score: [0.3, 1.9]", "less than or equal to 1, got 1.9"),
        ("birth.score: 0.3", r"expected \[low, high\]"),
        ("birth.score: {low: 0, high: 1, lgo: true}", "unknown 'lgo'; did you mean"),
        ("birth.score: {low: 0, high: 1, log: true}", "log needs low above 0"),
        ("motion.state: [xyah, round]", "motion.state: .*got 'round'"),
        ("motion.state: [xyah]", "two choices or more"),
        ("birth.score: [0.1, 0.2]\nbirth.score, birth.overlap: [0.1, 0.2]", "birth.score is there twice"),
    ],
)
def test_a_wrong_space_names_key_and_reason(tmp_path, recipe, text, message):
    with pytest.raises(ConfigError, match=message):
        space_of(tmp_path, text, recipe)


def test_shipped_spaces_fit_their_recipes(root):
    spaces = {path.stem: path for path in (root / "configs/tune").glob("*.yaml")}
    assert "any" in spaces
    for name in config_names("trackers"):
        assert read_space(spaces.get(name, spaces["any"]), load_recipe(name))
        assert read_space(spaces["any"], load_recipe(name))


def test_objectives():
    assert read_objective("HOTA") == {"HOTA": 1}
    assert read_objective("hota=3,IDF1=1") == {"HOTA": 0.75, "IDF1": 0.25}
    assert sum(read_objective("mix").values()) == 1
    for wrong in ("HOPE", "HOTA=-1", "HOTA=x", ""):
        with pytest.raises(ConfigError, match="expected mix"):
            read_objective(wrong)


def test_folds_hold_out_each_scene_once_and_keep_variants_together():
    names = [f"MOT17-{n:02d}-{v}" for n in (2, 4, 5) for v in ("DPM", "FRCNN", "SDP")]
    folds = deal(names, None)
    assert sorted(n for out in folds.values() for n in out) == sorted(names)
    assert all(len({n[:8] for n in out}) == 1 for out in folds.values())
    assert len(deal([f"s{i}" for i in range(12)], None)) == 5
    for names, count in ((["a"], None), (["a", "b"], 3), (["MOT17-02-DPM", "MOT17-02-SDP"], None)):
        with pytest.raises(DataError, match="needs two sequences"):
            deal(names, count)


@pytest.fixture
def job(small, tmp_path):
    """Two sequences in the cache, and a recipe that is set badly: births need a score that no detection has."""
    settings = load_pipeline_settings(
        "default", ["detector.weights=public", "tracker.birth.score=0.95"], tracker="sort"
    )
    cache = Cache(tmp_path / "cache")
    sequences = find_dataset(small)
    for sequence in sequences:
        SequenceCache(settings, cache).fill(sequence, embed=False, cameras=[], report=lambda stage, done: None)
    space = tmp_path / "space.yaml"
    space.write_text("birth.score: [0.1, 0.99]\nbirth.confirm_hits: [1, 4]\n")

    def make(**changes):
        options = {
            "sequences": sequences, "settings": settings, "cache": cache.folder, "folds": None, "benchmark": "mot17",
            "space": read_space(space, settings.tracker), "objective": {"HOTA": 1.0}, "trials": 4, "jobs": 1,
            "storage": tmp_path / "study.sqlite3", "study": "test",
        }  # fmt: skip
        return TuneJob(**{**options, **changes})

    return make


def test_a_bad_setting_is_found_and_the_gain_holds_on_what_was_held_out(job, tmp_path):
    tuning = tune(job(), Audience())
    assert tuning.problems == {}
    assert set(tuning.found) == {"fold 1", "fold 2", ALL}
    for name in ("fold 1", "fold 2"):
        found = tuning.found[name]
        assert found.default.tuned_on == found.default.held_out == 0
        assert found.best.tuned_on > 0.8
        assert found.best.held_out > 0.8
        assert len(found.trials) == 4
        assert all(row["held_out"] is not None for row in found.trials if row["state"] == "done")
        best = max(row["tuned_on"] for row in found.trials)
        assert best == pytest.approx(found.best.tuned_on)
    assert tuning.recipe.birth.score <= 0.9
    assert tuning.tuned.summary()["HOTA"] > 0.8
    assert tuning.default.summary()["HOTA"] == 0


def test_it_goes_on_where_it_stopped_to_the_same_end(job, tmp_path):
    whole = tune(job(), Audience())
    parts = {"storage": tmp_path / "other.sqlite3"}
    tune(job(trials=2, **parts), Audience())
    again = tune(job(**parts), Audience())
    for name, found in whole.found.items():
        assert again.found[name].trials == found.trials
    assert again.recipe == whole.recipe


class Heard(Audience):
    """Remembers what is said."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def test_a_search_that_goes_on_says_so(job):
    heard = Heard()
    tune(job(trials=1), heard)
    assert heard.lines == []
    tune(job(trials=2), heard)
    assert heard.lines == [f"{name}: goes on after 1 trials" for name in ("fold 1", "fold 2", ALL)]


def another_recipe(job, **_):
    settings = load_pipeline_settings("default", ["detector.weights=public", "tracker.birth.score=0.9"], tracker="sort")
    return {"settings": settings}, ["recipe"]


def another_space(job, tmp_path, **_):
    path = tmp_path / "other.yaml"
    path.write_text("birth.score: [0.1, 0.9]\n")
    return {"space": read_space(path, job().settings.tracker)}, ["space"]


def another_objective(job, **_):
    return {"objective": {"IDF1": 1.0}}, ["objective"]


def another_benchmark(job, **_):
    return {"benchmark": "mot15"}, ["benchmark"]


def another_ground_truth(job, **_):
    path = job().sequences[0].gt
    path.write_text(path.read_text().replace(",1,1,1\n", ",1,1,0.9\n") + "\n")
    return {}, ["ground truth"]


def another_frame_rate(job, **_):
    return {"sequences": [replace(s, rate=s.rate + 1) for s in job().sequences]}, ["ground truth"]


def another_set_of_detections(job, **_):
    path = job().sequences[0].public
    path.write_text(path.read_text() + "1,-1,1,1,20,30,0.5,-1,-1,-1\n")
    return {}, ["ground truth", "frames or detections"]  # the ground truth is still another one


def the_half_of_it(job, **_):
    return {"sequences": [replace(s, length=s.length // 2) for s in job().sequences]}, [
        "ground truth", "frames or detections",
    ]  # fmt: skip


def test_another_search_under_the_same_name_is_refused_and_says_what_is_other(job, tmp_path):
    tune(job(trials=1), Audience())
    for change in (
        another_recipe, another_space, another_objective, another_benchmark, another_frame_rate, the_half_of_it,
        another_ground_truth, another_set_of_detections,
    ):  # fmt: skip
        changes, parts = change(job, tmp_path=tmp_path)
        made = job(trials=1, **changes)
        problems = tune(made, Audience()).problems
        said = f"the study 'test' in {made.storage} was begun with another {' and '.join(parts)}: give another --study"
        assert [problem for problem in problems.values() if said in problem], (change, problems)


def test_other_folds_are_another_search(job):
    """A fold of the same name that holds out something else has tuned on what it would be judged by."""
    tune(job(trials=1), Audience())
    swapped = tune(job(trials=2, sequences=job().sequences[::-1]), Audience())
    assert all("another set of sequences" in p for p in swapped.problems.values())
    assert len(swapped.problems) == 3


def test_a_study_of_an_older_version_is_refused(job):
    import optuna

    tune(job(trials=1), Audience())
    for name in ("fold 1", "fold 2", ALL):
        optuna.load_study(study_name=f"test: {name}", storage=f"sqlite:///{job().storage}").set_user_attr("about", "x")
    assert len(tune(job(trials=2), Audience()).problems) == 3


@pytest.mark.parametrize("content", [b"no database " * 500, b"\0" * 4096])
def test_a_file_that_holds_no_studies(job, content):
    job().storage.write_bytes(content)
    with pytest.raises(ReacquireError, match=r"study\.sqlite3: no file of studies can be read or written there: \w"):
        tune(job(trials=1), Audience())


def test_a_place_where_no_study_can_be_kept(job, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ReacquireError, match="cannot be written"):
        tune(job(trials=1, storage=tmp_path / "file" / "study.sqlite3"), Audience())
    with pytest.raises(ConfigError, match=r"that has a \? in its name"):
        tune(job(trials=1, storage=tmp_path / "what?" / "study.sqlite3"), Audience())


def test_what_is_written(job, tmp_path):
    from tracker.cli.tuning import write_tuning

    made = job()
    tuning = tune(made, Audience())
    document = write_tuning(made, tuning, tmp_path)
    assert document["folds"]["fold 1"]["held_out"] != []
    assert load_recipe(tmp_path / "best.yaml").birth == tuning.recipe.birth
    lines = (tmp_path / "trials.csv").read_text().splitlines()
    assert lines[0] == "study,trial,state,tuned_on,held_out,birth.score,birth.confirm_hits"
    assert len(lines) == 1 + 3 * 4
