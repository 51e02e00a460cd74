"""Every pitfall of MOT files has its message or its exact score."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import motmetrics
import pytest

from tracker import DataError
from tracker.evaluation.benchmarks import RULES
from tracker.evaluation.evaluate import evaluate, evaluate_files

SHIPPED = Path(motmetrics.__file__).parent / "data"
TRUTH = SHIPPED / "TUD-Campus/gt.txt"
RESULT = SHIPPED / "TUD-Campus/test.txt"


def rows_of(path):
    return [line.split(",") for line in path.read_text().splitlines() if line.strip()]


def changed(tmp_path, change):
    """The shipped result with every row changed, or dropped where None comes back."""
    rows = [row for row in (change(i, list(r)) for i, r in enumerate(rows_of(RESULT))) if row is not None]
    path = tmp_path / "changed.txt"
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return path


def score(path, **options):
    return evaluate_files(TRUTH, path, RULES["mot15"], **options)


def set_column(column, value, row=4):
    def change(i, r):
        if i == row:
            r[column] = value(r[column]) if callable(value) else value
        return r

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, r: [int(float(r[0])) - 1, *r[1:]], r"frames in a MOT file begin at 1, not 0: add 1"),
        (set_column(1, "-1"), r"row 5 .*id -1; these look like detections|row 5.*id -1"),
        (set_column(0, "500"), r"row 5: frame 500, but the sequence has only 71 frames"),
        (set_column(2, "nan"), r"row 5 .*NaN or infinite"),
        (set_column(4, "0"), r"row 5 .*width and height must be above 0"),
        (set_column(2, "left"), r"line 5: expected a number, got 'left'"),
        (set_column(0, "1.5"), r"row 5 .*the frame is no whole number"),
        (lambda i, r: r[:5] if i == 4 else r, r"line 5: expected frame,id,left"),
        (
            lambda i, r: [*r[:4], float(r[2]) + float(r[4]), float(r[3]) + float(r[5]), *r[6:]],
            r"columns 5 and 6 look like x2,y2 and must be width,height",
        ),
    ],
)
def test_errors_name_file_and_row(tmp_path, change, message):
    with pytest.raises(DataError, match=rf"changed\.txt.*({message})"):
        score(changed(tmp_path, change), length=71)


def test_the_same_id_twice_in_a_frame(tmp_path):
    rows = rows_of(RESULT)
    path = tmp_path / "changed.txt"
    path.write_text("\n".join(",".join(r) for r in [*rows, rows[3]]))
    with pytest.raises(DataError, match=r"changed\.txt, row \d+: id \d+ is in frame \d+ twice"):
        score(path)


def test_ids_written_as_fractions_are_whole(tmp_path):
    path = changed(tmp_path, lambda i, r: [r[0], f"{float(r[1]):.1f}", *r[2:]])
    assert score(path).summary() == score(RESULT).summary()


def test_an_empty_result_scores_zero(tmp_path):
    (tmp_path / "empty.txt").write_text("")
    summary = score(tmp_path / "empty.txt").summary()
    assert summary["HOTA"] == summary["MOTA"] == summary["IDF1"] == 0
    assert summary["FN"] == 359
    assert summary["ML"] == 8


def test_rows_in_any_order(tmp_path):
    rows = rows_of(RESULT)
    path = tmp_path / "shuffled.txt"
    path.write_text("\n".join(",".join(r) for r in reversed(rows)))
    assert score(path).summary() == score(RESULT).summary()


def test_world_coordinates_are_no_classes(tmp_path):
    """MOT15's columns 8 to 10 read as a class would leave nothing to find, and MOTA 0."""
    rows = [[*r[:7], "3.5", "2.25", "0"] for r in rows_of(TRUTH)]
    path = tmp_path / "gt.txt"
    path.write_text("\n".join(",".join(r) for r in rows))
    assert evaluate_files(path, RESULT, RULES["mot15"]).summary() == score(RESULT).summary()


@pytest.fixture
def folders(tmp_path):
    for name in ("TUD-Campus", "TUD-Stadtmitte"):
        (tmp_path / "gt" / name / "gt").mkdir(parents=True)
        shutil.copy(SHIPPED / name / "gt.txt", tmp_path / "gt" / name / "gt/gt.txt")
        (tmp_path / "pred").mkdir(exist_ok=True)
        shutil.copy(SHIPPED / name / "test.txt", tmp_path / "pred" / f"{name}.txt")
    return tmp_path


def test_folders_of_sequences(folders):
    scores = evaluate(folders / "gt", folders / "pred", benchmark="mot15")
    assert list(scores) == ["TUD-Campus", "TUD-Stadtmitte", "combined"]
    assert scores["combined"].summary()["IDF1"] == pytest.approx(0.6242960579243765, abs=1e-9)


def test_a_missing_sequence_names_the_file(folders):
    (folders / "pred/TUD-Campus.txt").rename(folders / "pred/TUD_Campus.txt")
    with pytest.raises(DataError, match=r"expected TUD-Campus\.txt; did you mean TUD_Campus\.txt"):
        evaluate(folders / "gt", folders / "pred")


@pytest.mark.parametrize(
    ("gt", "pred", "benchmark", "message"),
    [
        ("none", "pred", "mot15", "no ground truth"),
        ("gt", "none", "mot15", "no such file or folder"),
        ("gt", "pred", "mot99", "'mot99' is unknown; there are: mot15"),
        ("gt", "pred/TUD-Campus.txt", "mot15", "several sequences"),
    ],
)
def test_what_is_missing_is_told(folders, gt, pred, benchmark, message):
    with pytest.raises(DataError, match=message):
        evaluate(folders / gt, folders / pred, benchmark=benchmark)


def test_command_line_json_and_referee(folders):
    command = [sys.executable, "-c", "from tracker.cli import main; main()", "eval"]
    arguments = ["--gt", folders / "gt", "--pred", folders / "pred", "--benchmark", "mot15", "--json", "-", "--referee"]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["sequences"]["TUD-Campus"]["TP"] == 209
    assert document["combined"]["HOTA"] == pytest.approx(0.3999570912884786, abs=1e-9)
    assert "motmetrics agrees" in done.stderr


def test_command_line_table(folders):
    command = [sys.executable, "-c", "from tracker.cli import main; main()", "eval", "-b", "mot15"]
    done = subprocess.run(
        [*command, "--gt", folders / "gt", "--pred", folders / "pred"], capture_output=True, text=True, check=True
    )
    assert "HOTA" in done.stdout
    assert "40.00" in done.stdout
