"""Ground truth and results of every format give the scores that their MOTChallenge text gives."""

from pathlib import Path

import motmetrics
import pytest

from tracker import DataError
from tracker.evaluation.evaluate import evaluate
from tracker.formats.registry import FORMATS, convert, read_tables
from tracker.formats.table import Notes

SHIPPED = Path(motmetrics.__file__).parent / "data"
NAMES = ("TUD-Campus", "TUD-Stadtmitte")
ONE_FILE = ("coco", "parquet", "csv", "jsonl")


@pytest.fixture
def folders(tmp_path):
    for name in NAMES:
        for file, role in (("gt.txt", "gt"), ("test.txt", "pred")):
            (tmp_path / role).mkdir(exist_ok=True)
            (tmp_path / role / f"{name}.txt").write_bytes((SHIPPED / name / file).read_bytes())
    return tmp_path


def place(folder, kind, role):
    suffix = FORMATS[kind].suffixes[0]
    return folder / f"{role}{suffix}" if kind in ONE_FILE else folder / f"{role}-{kind}"


@pytest.mark.parametrize("kind", [*ONE_FILE, "cvat"])
def test_every_format_scores_the_same(folders, kind):
    expected = evaluate(folders / "gt", folders / "pred")
    for role in ("gt", "pred"):
        convert(folders / role, place(folders, kind, role), write_as=kind)
    scores = evaluate(place(folders, kind, "gt"), place(folders, kind, "pred"))
    assert list(scores) == list(expected)
    for name, each in expected.items():
        assert scores[name].summary() == pytest.approx(each.summary(), abs=1e-9)
    mixed = evaluate(folders / "gt", place(folders, kind, "pred"))
    assert mixed["combined"].summary() == pytest.approx(expected["combined"].summary(), abs=1e-9)


def test_a_single_result_may_be_called_otherwise(folders):
    convert(folders / "pred/TUD-Campus.txt", folders / "tracks.csv")
    assert evaluate(folders / "gt/TUD-Campus.txt", folders / "tracks.csv")["combined"].summary()["TP"] == 209


def csv(path, *rows, columns="frame,id,x1,y1,x2,y2,score,class"):
    path.write_text("\n".join([columns, *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("gt", "pred", "benchmark", "message"),
    [
        ("", "0,1,1,1,9,9,1,person", "none", "gt.csv: no rows"),
        (
            "0,1,1,1,9,9,1,car",
            "0,1,1,1,9,9,1,person",
            "mot17",
            "counts: its classes are car, and only pedestrian",
        ),
        ("0,1,1,1,9,9,0,person", "0,1,1,1,9,9,1,person", "mot17", "gt.csv: no box of this .* flag"),
        (
            "0,1,1,1,9,9,1,person",
            "0,1,1,1,9,9,1,dog",
            "mot17",
            "pred.csv, line 2: a box of class 'dog'; this bench",
        ),
        ("0,1,1,1,9,9,1,person", "0,-1,1,1,9,9,1,person", "none", "pred.csv, line 2: a negative id"),
        ("0,-1,1,1,9,9,1,person", "0,1,1,1,9,9,1,person", "none", "gt.csv, line 2: a negative id"),
    ],
)
def test_mistakes_are_told(tmp_path, gt, pred, benchmark, message):
    with pytest.raises(DataError, match=message):
        evaluate(csv(tmp_path / "gt.csv", gt), csv(tmp_path / "pred.csv", pred), benchmark=benchmark)


def test_classes_are_those_of_the_benchmark(tmp_path):
    """A distractor in the truth takes a result away, whatever format says so."""
    truth = csv(tmp_path / "gt.csv", "0,1,1,1,99,99,1,pedestrian", "0,2,200,1,299,99,1,distractor")
    result = csv(tmp_path / "pred.csv", "0,1,1,1,99,99,1,person", "0,2,200,1,299,99,1,person")
    summary = evaluate(truth, result, benchmark="mot17")["combined"].summary()
    assert (summary["TP"], summary["FP"], summary["FN"]) == (1, 0, 0)
    convert(truth, tmp_path / "gt.txt")
    assert evaluate(tmp_path / "gt.txt", result, benchmark="mot17")["combined"].summary() == summary


def test_kitti_in_other_formats(tmp_path):
    rows = "0 1 Car 0 0 -10 10 10 60 60\n0 2 Car 2 0 -10 100 10 160 60\n0 -1 DontCare -1 -1 -10 200 10 300 60\n"
    (tmp_path / "0000.txt").write_text(rows)
    result = "0 1 Car 0 0 -10 10 10 60 60\n0 2 Car 0 0 -10 100 10 160 60\n0 3 Car 0 0 -10 210 20 280 50\n"
    (tmp_path / "pred").mkdir()
    (tmp_path / "pred/0000.txt").write_text(result)
    expected = evaluate(tmp_path / "0000.txt", tmp_path / "pred", benchmark="kitti-car")["combined"].full()
    assert (expected["TP"], expected["FP"]) == (1, 0)
    convert(tmp_path / "0000.txt", tmp_path / "gt.json")
    convert(tmp_path / "pred", tmp_path / "pred.parquet", read_as="kitti")
    assert (
        evaluate(tmp_path / "gt.json", tmp_path / "pred.parquet", benchmark="kitti-car")["combined"].full() == expected
    )


def test_a_sequence_that_is_not_there(folders):
    convert(folders / "pred/TUD-Campus.txt", folders / "pred.csv")
    with pytest.raises(DataError, match="one file, but several sequences"):
        evaluate(folders / "gt", folders / "pred.csv")
    (folders / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"use \.csv"):
        evaluate(folders / "gt/TUD-Campus.txt", folders / "a.xlsx")
    assert len(read_tables(folders / "pred", None, Notes())) == 2
