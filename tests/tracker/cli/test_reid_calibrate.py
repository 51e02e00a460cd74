"""`reacquire reid calibrate`: from folders, from runs, and what `reid eval` says of it."""

import json

import cv2
import numpy as np
import pytest

from reid.calibration import load_calibration


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Twelve people, each in a colour, six noisy crops of each by two cameras."""
    root, random = tmp_path_factory.mktemp("people"), np.random.default_rng(0)
    for identity in range(1, 13):
        colours = random.integers(0, 255, (3, 3))
        for camera in (1, 2):
            for number in range(6):
                picture = np.repeat(colours, [8, 16, 16], axis=0)[:, None] + random.normal(0, 20, (40, 20, 3))
                name = f"{identity:04d}_c{camera}s1_{number:06d}_00.png"
                cv2.imwrite(str(root / name), picture.clip(0, 255).astype(np.uint8))
    return root


def test_from_a_labelled_folder(reacquire, people, tmp_path):
    out = tmp_path / "odds.json"
    done = reacquire("reid", "calibrate", "default", people, "--out", out, "--json")
    assert done.code == 0, done.stderr
    said = json.loads(done.stdout)
    calibration = load_calibration(out)
    for name, across in (("within", False), ("across", True)):
        assert said[name]["known"] is calibration.knows(across=across) is True
        assert said[name]["embeddings"]["1"]["pairs"] == list(calibration.pairs(across=across))
        evidence = list(said[name]["embeddings"]["2"]["log_likelihood_ratio"].values())
        assert evidence[0] > 0 > evidence[-1]
    assert people.name in calibration.about["data"]

    again = reacquire("reid", "calibrate", "default", "--add", out, "--add", out, "--out", tmp_path / "twice.json")
    assert again.code == 0, again.stderr
    twice = load_calibration(tmp_path / "twice.json")
    np.testing.assert_array_equal(twice.counts.count, 2 * calibration.counts.count)


def test_eval_says_how_the_odds_hold(reacquire, people, tmp_path):
    page = tmp_path / "page.html"
    done = reacquire("reid", "eval", "--query", people, "--gallery", people, "--json", "--report", page)
    assert done.code == 0, done.stderr
    odds = json.loads(done.stdout)["odds"]
    assert {(o["regime"], o["embeddings"]) for o in odds} >= {("within", 1), ("across", 1), ("across", 2)}
    assert all(0 <= o["least_cllr"] <= o["cllr"] + 1e-9 and 0 <= o["ece"] <= 1 for o in odds)
    assert "Do the odds hold?" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["default"], "nothing to learn from"),
        (["default", "{people}"], "give --out"),
        (["default", "{people}", "--out", "odds.txt"], "ends in .json"),
        (["default", "{empty}", "--out", "odds.json"], "no images"),
        (["default", "--add", "{people}", "--out", "odds.json"], "no such weights or calibration"),
    ],
)
def test_what_cannot_be_is_told(reacquire, people, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    done = reacquire("reid", "calibrate", *(a.format(people=people, empty=tmp_path / "empty") for a in arguments))
    assert done.code in (1, 2)
    assert words in done.stderr.replace("\n", " ")


def test_too_few_people_are_told(reacquire, people, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for path in people.glob("000[12]_c1*_00000[01]*.png"):
        (few / path.name).write_bytes(path.read_bytes())
    done = reacquire("reid", "calibrate", "default", few, "--out", tmp_path / "odds.json")
    assert done.code == 1
    assert "too few tracklets" in done.stderr
    assert not (tmp_path / "odds.json").exists()
