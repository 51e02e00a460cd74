"""KITTI's rules beside TrackEval's own reader, and KITTI's pitfalls."""

import json

import numpy as np
import pytest
import trackeval
from trackeval.metrics import CLEAR, HOTA, Identity

from tracker.errors import DataError
from tracker.evaluation.benchmarks import RULES
from tracker.evaluation.evaluate import evaluate, evaluate_files

FRAMES = 20
# What is in every frame: type, truncated, occluded, left, top, width, height.
SCENE = [
    ("Car", 0, 0, 50, 150, 90, 60),
    ("Car", 0, 3, 180, 150, 90, 60),  # hidden too much to count
    ("Car", 1, 0, 300, 150, 90, 60),  # cut off
    ("Van", 0, 0, 420, 140, 100, 70),  # a distractor
    ("Truck", 0, 0, 540, 130, 120, 90),
    ("Pedestrian", 0, 1, 680, 150, 40, 90),
    ("Pedestrian", 0, 0, 740, 150, 40, 90),
    ("Person", 0, 0, 800, 170, 45, 60),  # sits
    ("Cyclist", 0, 0, 870, 150, 60, 90),
]
REGION = ("DontCare", -1, -1, 950, 100, 200, 150)
THREE_D = "-1 -1 -1 -1000 -1000 -1000 -10"


def line(frame, i, kind, truncated, occluded, left, top, width, height, score=""):
    return f"{frame} {i} {kind} {truncated} {occluded} -10 {left} {top} {left + width} {top + height} {THREE_D} {score}"


@pytest.fixture
def folders(tmp_path):
    random = np.random.default_rng(3)
    truth, found = [], []
    for frame in range(FRAMES):
        for i, (kind, truncated, occluded, left, *rest) in enumerate(SCENE):
            left += 2 * frame
            truncated = truncated if frame % 3 else 0  # cut off for part of its life
            truth.append(line(frame, i, kind, truncated, occluded, left, *rest))
            seen_as = {"Van": "Car", "Truck": "Car", "Person": "Pedestrian", "Cyclist": "Pedestrian"}.get(kind, kind)
            if random.random() < 0.85:
                box = np.array([left, *rest]) + random.normal(0, 4, 4)
                found.append(line(frame, i + 20 * (i == 0 and frame > 9), seen_as, -1, -1, *box.round(3), 0.9))
        truth.append(line(frame, -1, *REGION))
        truth.append(line(frame, -1, "DontCare", -1, -1, 0, 0, 30, 30))
        # Without a partner: within a region, low, at the edge of low, half in a region, and plainly false.
        for k, box in enumerate([(980, 120, 60, 60), (40, 300, 30, 20), (90, 300, 30, 25), (1110, 120, 100, 60),
                                 (200, 300, 50, 50)]):  # fmt: skip
            found.append(line(frame, 50 + k, "Car" if k % 2 == 0 else "Pedestrian", -1, -1, *box, 0.8))
    (tmp_path / "gt/label_02").mkdir(parents=True)
    (tmp_path / "gt/label_02/0000.txt").write_text("\n".join(truth) + "\n")
    (tmp_path / "gt/evaluate_tracking.seqmap.training").write_text(f"0000 empty 000000 {FRAMES:06d}\n")
    (tmp_path / "trackers/mine/data").mkdir(parents=True)
    (tmp_path / "trackers/mine/data/0000.txt").write_text("\n".join(found) + "\n")
    return tmp_path


@pytest.mark.parametrize("kind", ["car", "pedestrian"])
def test_equals_the_official_evaluator(folders, kind):
    dataset = trackeval.datasets.Kitti2DBox(
        {"GT_FOLDER": str(folders / "gt"), "TRACKERS_FOLDER": str(folders / "trackers"), "PRINT_CONFIG": False}
    )
    data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("mine", "0000"), kind)
    quiet = {"PRINT_CONFIG": False}
    hota, clear, identity = (m.eval_sequence(data) for m in (HOTA(), CLEAR(quiet), Identity(quiet)))
    ours = evaluate(folders / "gt", folders / "trackers/mine/data", benchmark=f"kitti-{kind}")["combined"].full()
    assert ours["TP"] > 0
    assert ours["FP"] > 0
    for name in ("HOTA", "DetA", "AssA", "LocA"):
        assert ours[name] == pytest.approx(hota[name].mean(), abs=1e-9), name
    for name in ("MOTA", "MOTP", "IDSW", "Frag", "MT", "PT", "ML"):
        assert ours[name] == pytest.approx(clear[name], abs=1e-9), name
    for name in ("IDF1", "IDTP", "IDFP", "IDFN"):
        assert ours[name] == pytest.approx(identity[name], abs=1e-9), name
    assert ours["Dets"] == data["num_tracker_dets"]
    assert ours["Frames"] == FRAMES


def test_the_class_must_be_said(folders):
    with pytest.raises(DataError, match="each class by itself: kitti-car or kitti-pedestrian"):
        evaluate(folders / "gt", folders / "trackers/mine/data", benchmark="kitti")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1 Car 0 0 -10 1 2 3\n", r"line 1: expected frame id type .* got 9 values"),
        ("\n0 1 Car 0 0 -10 one 2 3 4\n", r"line 2: expected frame id type .*'one'"),
        ("0 1 Car 0 0 -10 10 10 30 30\n0 1 Car 0 0 -10 10 10 30 30\n", r"line 2: its id is in its frame twice"),
        ("0 1 Car 0 0 -10 10 10 10 30\n", r"line 1: the box has no area"),
        ("-1 1 Car 0 0 -10 10 10 30 30\n", r"line 1: the frame is no whole number"),
        ("0 -1 Car 0 0 -10 10 10 30 30\n", r"line 1: a negative id"),
        ("30 1 Car 0 0 -10 10 10 30 30\n", r"line 1: the sequence has only 20 frames"),
    ],
)
def test_mistakes_are_told(folders, tmp_path, text, message):
    (tmp_path / "0000.txt").write_text(text)
    with pytest.raises(DataError, match=rf"0000\.txt.*{message}"):
        evaluate(folders / "gt", tmp_path / "0000.txt", benchmark="kitti-car")


def test_an_empty_file(folders, tmp_path):
    (tmp_path / "0000.txt").write_text("")
    truth = folders / "gt/label_02/0000.txt"
    assert evaluate_files(truth, tmp_path / "0000.txt", RULES["kitti-car"]).full()["FN"] > 0
    with pytest.raises(DataError, match="nothing to score against"):
        evaluate_files(tmp_path / "0000.txt", truth, RULES["kitti-car"])


def test_lengths_that_cannot_be(folders):
    (folders / "gt/evaluate_tracking.seqmap.bad").write_text("0000 empty 000000 \u00b2\n")
    with pytest.raises(DataError, match=r"seqmap\.bad, line 1: expected name, empty, first frame, length"):
        evaluate(folders / "gt", folders / "trackers/mine/data", benchmark="kitti-car")


def test_a_sequence_may_lack_a_class_but_not_all_of_them(tmp_path):
    for name, kind in (("0000", "Car"), ("0001", "Pedestrian")):
        (tmp_path / f"{name}.txt").write_text(f"0 1 {kind} 0 0 -10 10 10 60 60\n")
    assert evaluate(tmp_path, tmp_path, benchmark="kitti-car")["combined"].full()["TP"] == 1
    (tmp_path / "0000.txt").unlink()
    with pytest.raises(DataError, match="no box of this ground truth counts under the rules of kitti-car"):
        evaluate(tmp_path, tmp_path, benchmark="kitti-car")


def test_command_line_scores_both_classes(folders, reacquire):
    arguments = ["eval", "--gt", folders / "gt", "--pred", folders / "trackers/mine/data", "-b", "kitti"]
    done = reacquire(*arguments)
    assert done.code == 0, done.stderr
    assert done.stdout.index("kitti-car") < done.stdout.index("kitti-pedestrian")
    document = json.loads(reacquire(*arguments, "--json", "-", "--crosscheck").stdout)["benchmarks"]
    assert list(document) == ["kitti-car", "kitti-pedestrian"]
    assert document["kitti-car"]["combined"]["TP"] > 0
