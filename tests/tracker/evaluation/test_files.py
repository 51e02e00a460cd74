"""Every pitfall of MOT files has its message or its exact score."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import motmetrics
import pytest

from tracker import DataError
from tracker.evaluation.benchmarks import RULES
from tracker.evaluation.evaluate import NAMES, evaluate, evaluate_files

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
        (set_column(1, "-1"), r"line 5 .*a negative id; these look like detections"),
        (set_column(0, "500"), r"line 5: the sequence has only 71 frames: is the file of another"),
        (set_column(2, "nan"), r"line 5 .*NaN or infinite"),
        (set_column(4, "0"), r"line 5 .*width and height must be above 0"),
        (set_column(2, "left"), r"line 5: expected a number, got 'left'"),
        (set_column(0, "1.5"), r"line 5 .*the frame is no whole number"),
        (lambda i, r: r[:5] if i == 4 else r, r"line 5: expected frame,id,left"),
        (
            lambda i, r: [*r[:4], float(r[2]) + float(r[4]), float(r[3]) + float(r[5]), *r[6:]],
            r"width and height look like the corner x2,y2: .*columns 5 and 6 must be width,height",
        ),
        (
            lambda i, r: [*r[:2], *(float(v) / size for v, size in zip(r[2:6], (640, 480) * 2, strict=True)), *r[6:]],
            r"they look like parts of its size and must be pixels",
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
    with pytest.raises(DataError, match=r"changed\.txt, line 223 \(.*this id is in this frame twice"):
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


def test_an_empty_result_is_said_to_be_empty(folders, reacquire):
    """Its table of zeros looked like a tracker that is always wrong."""
    (folders / "pred/TUD-Campus.txt").write_text("")
    done = reacquire("eval", "-b", "mot15", "--gt", folders / "gt", "--pred", folders / "pred")
    assert done.code == 0
    assert "no predictions for TUD-Campus: there was nothing to compare" in " ".join(done.stderr.split())
    assert "TUD-Stadtmitte: there was" not in done.stderr


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


def test_a_sequence_called_as_the_total_is_refused(folders):
    for path in (folders / "gt/TUD-Campus", folders / "pred/TUD-Campus.txt"):
        path.rename(path.with_name("combined" + path.suffix))
    with pytest.raises(DataError, match="a sequence is called 'combined'"):
        evaluate(folders / "gt", folders / "pred")


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


def test_an_empty_ground_truth_is_refused(tmp_path):
    (tmp_path / "gt.txt").write_text("\n")
    with pytest.raises(DataError, match=r"gt\.txt: no rows; .* nothing to score against"):
        evaluate_files(tmp_path / "gt.txt", RESULT, RULES["mot15"])


@pytest.mark.parametrize("benchmark", ["mot17", "mot20", "dancetrack"])
@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("1,4,1", "its classes are bicycle, and only pedestrian is scored"),
        ("0,1,1", "every flag in column 7 is 0"),
        ("0,4,1", "every flag"),
    ],
)
def test_a_ground_truth_in_which_nothing_counts_is_told(tmp_path, benchmark, rest, reason):
    """It scored 0 everywhere, and all results were false, without a word."""
    path = tmp_path / "gt.txt"
    path.write_text("".join(f"{t},{i},{100 * i + t},100,40,90,{rest}\n" for t in range(1, 6) for i in (1, 2)))
    with pytest.raises(DataError, match=rf"gt\.txt: no box of this ground truth counts: {reason}.*--benchmark none"):
        evaluate_files(path, path, RULES[benchmark])
    assert evaluate_files(path, path, RULES["none"]).summary()["HOTA"] == pytest.approx(1)


def test_lines_are_those_of_the_file(tmp_path):
    """Blank lines count, also where the file is read in one go."""
    lines = RESULT.read_text().splitlines()
    lines[40:40] = ["", "  ", ""]
    lines[100] = "0" + lines[100][lines[100].index(",") :]
    (tmp_path / "gaps.txt").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"gaps\.txt, line 101 \(0,"):
        score(tmp_path / "gaps.txt")


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.replace(",", " "),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", ", "),
        lambda text: "frame,id,x,y,w,h,conf,x,y,z\n" + text,
        lambda text: text.replace("\n", ",\n"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.rstrip("\n"),
    ],
    ids=[
        "spaces",
        "tabs",
        "commas and spaces",
        "header",
        "last comma",
        "dos",
        "byte order mark",
        "blank lines",
        "no last newline",
    ],
)
def test_ways_to_write_the_same(tmp_path, rewrite):
    (tmp_path / "same.txt").write_bytes(rewrite(RESULT.read_text()).encode())
    assert score(tmp_path / "same.txt").summary() == score(RESULT).summary()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,x,y,w,h,id\n1,1,2,3,4,5\n", "line 1: the header calls column 2 'x', but it must be id"),
        ("1,1,2,3,4,5\n2,1,2,,4,5\n", "line 2: expected a number, got ''"),
        ("1,1,2,3,4\n", r"line 1: expected frame,id,left,.*\(6 values\), got 5"),
        ('1,1,2,3,4,"5"\n', """line 1: expected a number, got '"5"'"""),
        ("1,1,2,3,4,5,0.9\n1,2,2,3,4,5\n", r"line 2: .* as in line 1 \(7 values\), got 6"),
        ("1e300,1,2,3,4,5\n", "so many frames are too many"),
        ("1,1e300,2,3,4,5\n", "the id is no whole number"),
        ("1,1,2,3,4," + "9" * 5000 + "x\n", "line 1: expected a number, got '9{40}'"),
        ("\0" * 50, "line 1"),
    ],
)
def test_hostile_rows(tmp_path, text, message):
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(DataError, match=rf"bad\.txt.*{message}") as refused:
        score(tmp_path / "bad.txt")
    assert len(str(refused.value)) < 600


def test_world_coordinates_under_other_rules_are_told(tmp_path):
    rows = [[*r[:7], "3.5", "2.25", "0"] for r in rows_of(TRUTH)]
    path = tmp_path / "gt.txt"
    path.write_text("\n".join(",".join(r) for r in rows))
    with pytest.raises(DataError, match=r"gt\.txt, line 1 .*world coordinates, as in MOT15"):
        evaluate_files(path, RESULT, RULES["mot17"])


def test_results_of_other_classes_are_told(tmp_path):
    path = changed(tmp_path, lambda i, r: [*r[:7], "3" if i == 4 else "1"])
    with pytest.raises(DataError, match=r"line 5: a box of class 'car'; this benchmark scores pedestrian alone"):
        evaluate_files(TRUTH, path, RULES["mot17"])
    assert evaluate_files(TRUTH, path, RULES["none"]).summary() == score(RESULT).summary()


def test_wide_boxes_in_the_corner_are_not_taken_for_corners(tmp_path):
    """Every box is wider than it is far from the left, and rightly so."""
    path = tmp_path / "corner.txt"
    path.write_text("".join(f"{t},1,{5 + t},10,100,200,1,1,1\n" for t in range(1, 30)))
    assert evaluate_files(path, path, RULES["none"]).summary()["MOTA"] == 1


def test_a_folder_of_flat_files(folders, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in ("TUD-Campus", "TUD-Stadtmitte"):
        shutil.copy(SHIPPED / name / "gt.txt", flat / f"{name}.txt")
    scores = evaluate(flat, folders / "pred", benchmark="mot15")
    assert scores["combined"].summary()["TP"] == 913


def test_the_length_is_that_of_seqinfo(folders):
    """Eighty frames, of which the results know 71 and the last nine are empty; with seventy, one is past the end."""
    info = folders / "gt/TUD-Campus/seqinfo.ini"
    info.write_text("[Sequence]\nname=100%\nseqLength=80\n")
    scores = evaluate(folders / "gt", folders / "pred", benchmark="mot15")
    assert scores["TUD-Campus"].count.Frames == 80
    info.write_text("[Sequence]\nseqLength=70\n")
    with pytest.raises(DataError, match=r"gt\.txt, line \d+: the sequence has only 70 frames"):
        evaluate(folders / "gt", folders / "pred", benchmark="mot15")


@pytest.mark.parametrize("text", ["seqLength=70", "[Sequence]\nseqLength=many", "[Sequence]\nseqLength=-3", "[Seq\0"])
def test_a_broken_seqinfo_is_told(folders, text):
    (folders / "gt/TUD-Campus/seqinfo.ini").write_text(text)
    with pytest.raises(DataError, match=r"seqinfo\.ini, line \d: "):
        evaluate(folders / "gt", folders / "pred", benchmark="mot15")


def test_command_line_json_and_crosscheck(folders):
    command = [sys.executable, "-c", "from tracker.cli import main; main()", "eval"]
    arguments = [
        "--gt",
        folders / "gt",
        "--pred",
        folders / "pred",
        "--benchmark",
        "mot15",
        "--json",
        "-",
        "--crosscheck",
    ]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["sequences"]["TUD-Campus"]["TP"] == 209
    assert document["combined"]["HOTA"] == pytest.approx(0.3999570912884786, abs=1e-9)
    assert "motmetrics agrees" in done.stderr


@pytest.fixture
def two(folders):
    """A second tracker, which loses every seventh box."""
    (folders / "worse").mkdir()
    for path in (folders / "pred").glob("*.txt"):
        lines = path.read_text().splitlines()
        (folders / "worse" / path.name).write_text("\n".join(line for i, line in enumerate(lines) if i % 7) + "\n")
    return ["--gt", folders / "gt", "--pred", folders / "pred", "--pred", folders / "worse", "-b", "mot15"]


def test_command_line_two_trackers(two, tmp_path, reacquire):
    done = reacquire("eval", *two, "--json", tmp_path / "two.json", "--csv", tmp_path / "two.csv")
    assert done.code == 0, done.stderr
    assert "B − A" in done.stdout
    assert "too few sequences to tell" in done.stdout
    assert "2 sequences can be drawn in only 3 ways" in " ".join(done.stderr.split())
    document = json.loads((tmp_path / "two.json").read_text())
    a, b = document["predictions"]["A"], document["predictions"]["B"]
    difference = document["difference"]["HOTA"]
    assert difference["value"] == pytest.approx(b["combined"]["HOTA"] - a["combined"]["HOTA"])
    assert difference["low"] <= difference["value"] <= difference["high"] < 0
    assert document["bootstrap"]["sequences"] == 2
    with (tmp_path / "two.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["sequence"] for row in rows] == ["TUD-Campus", "TUD-Stadtmitte", "combined"] * 2
    assert float(rows[2]["HOTA"]) == a["combined"]["HOTA"]
    assert rows[5]["pred"].endswith("worse")


def test_command_line_three_trackers_are_too_many(two, reacquire):
    done = reacquire("eval", *two, "--pred", "third")
    assert done.code == 2
    assert "at most two" in done.stderr


def test_command_line_one_tracker_keeps_its_keys(folders, reacquire):
    """The keys of the contract, and no others, unless more is asked for."""
    arguments = ["--gt", folders / "gt", "--pred", folders / "pred", "-b", "mot15", "--json", "-"]
    document = json.loads(reacquire("eval", *arguments).stdout)
    assert list(document) == ["sequences", "combined"]
    keys = [
        "HOTA",
        "DetA",
        "AssA",
        "LocA",
        "MOTA",
        "MOTP",
        "IDF1",
        "IDP",
        "IDR",
        "TP",
        "FP",
        "FN",
        "IDSW",
        "Frag",
        "MT",
        "PT",
        "ML",
    ]
    assert list(document["combined"]) == keys
    more = json.loads(reacquire("eval", *arguments, "--full", "--bootstrap", 100).stdout)
    assert len(more["combined"]["by_threshold"]["HOTA"]) == 19
    assert more["combined"]["OWTA"] == pytest.approx(0.4131, abs=1e-4)
    assert more["intervals"]["MOTA"]["low"] <= more["combined"]["MOTA"] <= more["intervals"]["MOTA"]["high"]


def test_command_line_columns(folders, tmp_path, reacquire):
    arguments = ["--gt", folders / "gt", "--pred", folders / "pred", "-b", "mot15", "--csv", tmp_path / "s.csv"]
    done = reacquire("eval", *arguments, "--columns", "idf1, OWTA")
    assert done.code == 0, done.stderr
    assert (tmp_path / "s.csv").read_text().splitlines()[0] == "sequence,IDF1,OWTA"
    done = reacquire("eval", *arguments, "--columns", "IDF2")
    assert done.code == 2
    assert "IDF2" in done.stderr


def test_command_line_table(folders, reacquire):
    done = reacquire("eval", "-b", "mot15", "--gt", folders / "gt", "--pred", folders / "pred")
    assert "HOTA" in done.stdout
    assert "40.00" in done.stdout


def test_a_narrow_terminal_shows_all_columns(folders, reacquire, monkeypatch):
    from tracker.cli import scores

    monkeypatch.setattr(scores.stdout, "_width", 60)
    done = reacquire("eval", "-b", "mot15", "--gt", folders / "gt", "--pred", folders / "pred", "--full")
    assert "…" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 60
    for name in NAMES:
        assert f" {name} " in done.stdout


def test_a_place_that_cannot_be_written(folders, reacquire):
    arguments = ["eval", "-b", "mot15", "--gt", folders / "gt", "--pred", folders / "pred"]
    for option in ("--json", "--csv"):
        done = reacquire(*arguments, option, folders / "no/such/folder/x")
        assert done.code == 1
        assert "cannot be written: No such file or directory" in done.stderr
