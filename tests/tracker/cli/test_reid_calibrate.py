"""`reacquire reid calibrate`: from folders, from runs, and what `reid eval` says of it."""

import json

import cv2
import numpy as np
import pytest

from reid.calibration import load_calibration
from tracker.formats.registry import FORMATS
from tracker.formats.table import make_table


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


@pytest.fixture
def run_folder(tmp_path):
    """A run as `track` leaves it: twelve people in colours, three at a time, each for 24 pictures."""
    pictures, rows = tmp_path / "pictures", []
    pictures.mkdir()
    random = np.random.default_rng(0)
    colours = random.integers(0, 255, (12, 3, 3))
    for frame in range(96):
        image = np.full((120, 240, 3), 110, np.uint8)
        for lane in range(3):
            person = 3 * (frame // 24) + lane
            left, top = 10 + 76 * lane + frame % 5, 10
            person_now = np.repeat(colours[person], [20, 40, 40], axis=0)[:, None]
            image[top : top + 100, left : left + 50] = (person_now + random.normal(0, 20, (100, 50, 3))).clip(0, 255)
            rows.append((frame, person + 1, left, top, left + 50, top + 100))
        cv2.imwrite(str(pictures / f"{frame:04}.png"), image)
    frame, person, *corners = np.array(rows).T
    folder = tmp_path / "run"
    folder.mkdir()
    table = make_table(
        folder, "run", frame=frame, id=person, xyxy=np.stack(corners, 1), columns={"time": frame / 10}, rate=10
    )
    FORMATS["parquet"].write(folder / "tracks.parquet", [table], None)
    record = {"source": {"name": "pictures", "place": str(pictures), "kind": "images"}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_from_a_run_without_labels(reacquire, run_folder, tmp_path):
    out = tmp_path / "odds.json"
    done = reacquire("reid", "calibrate", "--from", run_folder, "--out", out, "--json")
    assert done.code == 0, done.stderr
    before, after = load_calibration(), load_calibration(out)
    same, different = (b - a for a, b in zip(before.pairs(across=False), after.pairs(across=False), strict=True))
    assert same > 12
    assert 0 < different <= 12 * 64  # four times three pairs of people, at most eight tracklets each
    assert after.pairs(across=True) == before.pairs(across=True)
    assert "without labels" in after.about["data"]
    assert after.quality is not None


def test_a_foreign_network_knows_nothing_until_enough_is_seen(reacquire, run_folder, tmp_path):
    foreign = tmp_path / "foreign.onnx"
    exported = reacquire("reid", "export", "--out", foreign, "--inputs", "crops")
    assert exported.code == 0, exported.stderr
    sidecar = foreign.with_suffix(".calibration.json")
    np.testing.assert_array_equal(load_calibration(foreign).value, load_calibration().value)
    sidecar.unlink()
    assert not load_calibration(foreign).known.any()
    done = reacquire("reid", "calibrate", foreign, "--from", run_folder)
    assert done.code == 0, done.stderr
    assert "not known: too few pairs" in done.stdout  # across cameras
    assert sidecar.is_file()
    learned = load_calibration(foreign)
    assert learned.knows(across=False)
    assert not learned.knows(across=True)
    near, far = learned.log_likelihood_ratio([0.05, 1.0], 4, 4, across=False)
    assert near > 0 > far


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda run: (run / "run.json").unlink(), "no run"),
        (lambda run: (run / "run.json").write_text("{"), "damaged"),
        (lambda run: (run / "tracks.parquet").unlink(), "no table of tracks"),
        (lambda run: (run.parent / "pictures").rename(run.parent / "away"), "which is not there"),
        (
            lambda run: [p.unlink() for p in (run.parent / "pictures").glob("*.png") if p.name > "0050"],
            "was it changed",
        ),
        (
            lambda run: (run / "run.json").write_text('{"source": {"name": "rtsp://gate", "kind": "stream"}}'),
            "cannot be read again",
        ),
    ],
)
def test_runs_that_cannot_be_read_again_are_told(reacquire, run_folder, tmp_path, damage, words):
    damage(run_folder)
    done = reacquire("reid", "calibrate", "--from", run_folder, "--out", tmp_path / "odds.json")
    assert done.code == 1
    assert words in " ".join(done.stderr.split())
    assert not (tmp_path / "odds.json").exists()


def test_adapting_to_too_little_is_refused(reacquire, run_folder, tmp_path):
    done = reacquire("reid", "adapt", run_folder, "--out", tmp_path / "ours.safetensors", "--minutes", "0.05")
    assert done.code == 1
    assert "12 tracklets are too few" in done.stderr
    assert not (tmp_path / "ours.safetensors").exists()


def test_adapting_writes_a_page_and_weights_only_if_they_are_better(reacquire, tmp_path):
    random = np.random.default_rng(0)
    for camera in range(2):
        for person in range(30):
            folder = tmp_path / "people" / f"camera{camera}" / f"{person:03}"
            folder.mkdir(parents=True)
            clothes = np.random.default_rng(person).integers(0, 255, (3, 3)) * (1.0 - 0.3 * camera)
            for number in range(4):
                crop = np.repeat(clothes, [16, 32, 32], axis=0)[:, None] + random.normal(0, 15, (80, 40, 3))
                cv2.imwrite(str(folder / f"{number}.png"), crop.clip(0, 255).astype(np.uint8))
    out = tmp_path / "ours.safetensors"
    done = reacquire("reid", "adapt", tmp_path / "people", "--out", out, "--minutes", "0.1", "--json")
    assert done.code == 0, done.stderr
    said = json.loads(done.stdout)
    assert out.exists() is said["promoted"]
    assert (said["weights"] is None) is not said["promoted"]
    page = out.with_suffix(".html").read_text()
    assert said["reason"] in page
    assert "Who is nearest" in page
