"""`reacquire mot` as a user meets it."""

import json
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tracker.cli.app import app


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two sequences of a person who walks; the working folder is an empty one."""
    for name in ("one", "two"):
        for part, flag in (("gt", "1"), ("det", "0.9")):
            rows = [f"{f},{1 if part == 'gt' else -1},{10 + 3 * f},50,30,80,{flag},1,1\n" for f in range(1, 31)]
            (tmp_path / "set/train" / name / part).mkdir(parents=True)
            (tmp_path / "set/train" / name / part / f"{part}.txt").write_text("".join(rows))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "set"


def mot(*arguments):
    done = CliRunner().invoke(app, ["mot", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_help_names_the_verbs():
    shown = mot("--help").output
    assert all(verb in shown for verb in ("track", "cache", "replay", "tune", "submit"))


def test_from_a_folder_to_numbers_and_an_archive(data, tmp_path):
    common = ("--data", data, "--detector", "public", "--tracker", "sort")
    tracked = mot("track", *common, "--json")
    assert tracked.exit_code == 0, tracked.output
    document = json.loads(tracked.stdout)
    assert document["combined"]["MOTA"] > 0.8
    assert document["frames"] == 60
    assert document["folder"] == "runs/mot/set-train-sort"

    assert "2 of 2 sequences, 60 frames, 60 detections" in mot("cache", *common).stdout
    replayed = mot("replay", *common)
    assert "combined" in replayed.stdout
    assert "results in runs/mot/set-train-sort-2" in replayed.stdout

    made = mot("submit", "runs/mot/set-train-sort", "-b", "own", "--data", data, "--split", "train", "-o", "out.zip")
    assert made.stdout == "out.zip: 2 sequences\n"
    with zipfile.ZipFile("out.zip") as archive:
        assert archive.namelist() == ["one.txt", "two.txt"]


def memory_of(*said):
    """What the run's record says of `mot track` with the default recipe on public detections."""
    common = ("--detector", "public", "--reid", "none", "--tracker", "reacquire", "--out", "run", "--overwrite")
    done = mot("track", *common, *said)
    assert done.exit_code == 0, done.output
    recipe = json.loads(Path("run/run.json").read_text(encoding="utf-8"))["settings"]["tracker"]
    return recipe.get("memory", "identity"), "memory: visit" in done.stderr


def test_who_comes_back_has_a_new_id_as_in_the_ground_truth_and_it_is_said(data):
    assert memory_of("--data", data) == ("visit", True)
    assert memory_of("--data", data, "--set", "tracker.memory=identity") == ("identity", False)
    assert memory_of("--data", data, "--set", "tracker.memory=visit") == ("visit", False)
    assert memory_of("--data", data, "--motion-only")[1] is False


def test_a_failed_sequence_exits_1_and_is_named(data):
    (data / "train/one/det/det.txt").unlink()
    done = mot("track", "--data", data, "--detector", "public", "--tracker", "sort")
    assert done.exit_code == 1
    assert "not done: one" in done.stdout
    assert "expected det/det.txt" in done.stderr


def test_a_report_is_written(data):
    done = mot("track", "--data", data, "--detector", "public", "--tracker", "sort", "--report", "page.html")
    assert done.exit_code == 0
    assert "<html" in Path("page.html").read_text(encoding="utf-8")


def test_tuning_says_both_scores(data, tmp_path):
    pytest.importorskip("optuna")
    (tmp_path / "space.yaml").write_text("birth.confirm_hits: [1, 4]\n")
    common = ("--data", data, "--detector", "public")
    mot("cache", *common, "--tracker", "sort")
    done = mot("tune", "sort", "--space", tmp_path / "space.yaml", *common, "--trials", 2, "--jobs", 1)
    assert done.exit_code == 0, done.output
    assert "tuned on:" in done.stdout
    assert "held out:" in done.stdout
    assert mot("replay", *common, "--tracker", "runs/mot/tune/sort/best.yaml").exit_code == 0


@pytest.mark.parametrize("page", ["page", "set.txt", "none/page.html"])
def test_a_report_that_cannot_be_is_refused_before_anything_is_tracked(data, page):
    done = mot("track", "--data", data, "--detector", "public", "--tracker", "sort", "--report", page)
    assert done.exit_code == 2
    assert not list(Path().iterdir())
