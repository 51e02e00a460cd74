"""A folder of odd files goes through every verb that reads them: all read the same, or all refuse the same line."""

import re
import shutil

import numpy as np
import pytest

from tracker.benchmark.dataset import find_dataset
from tracker.benchmark.runner import copy_gt
from tracker.cli.reid_sequences import read_people
from tracker.detection.public import PublicDetections
from tracker.errors import ReacquireError
from tracker.evaluation.benchmarks import rules_of
from tracker.evaluation.read import read_gt, read_predictions
from tracker.formats.registry import read_tables
from tracker.formats.table import Notes
from tracker.types import Frame

PLAIN = "1,1,10,20,30,60,1,1,0.9\n1,2,100,20,30,60,1,1,0.5\n2,1,12,20,30,60,1,1,0.9\n3,2,110,21,30,60,1,1,1\n"
MEANT = [[1, 10, 20, 40, 80], [1, 100, 20, 130, 80], [2, 12, 20, 42, 80], [3, 110, 21, 140, 81]]
HEADER = "frame,id,bb_left,bb_top,bb_width,bb_height,conf,class,visibility\n"
READ = {
    "plain": PLAIN,
    "byte-order mark": "\ufeff" + PLAIN,
    "Windows": PLAIN.replace("\n", "\r\n"),
    "old Mac": PLAIN.replace("\n", "\r"),
    "sixteen bits": PLAIN.encode("utf-16"),
    "spaces": PLAIN.replace(",", " "),
    "many spaces": "  " + PLAIN.replace(",", "   "),
    "tabs": PLAIN.replace(",", "\t"),
    "commas and spaces": PLAIN.replace(",", ", "),
    "header": HEADER + PLAIN,
    "header with a mark": "\ufeff# " + HEADER + PLAIN,
    "header and tabs": (HEADER + PLAIN).replace(",", "\t"),
    "last comma": PLAIN.replace("\n", ",\n"),
    "last commas": PLAIN.replace("\n", ",,,\n"),
    "ids as fractions": PLAIN.replace("1,1,10", "1.0,1.0,10").replace("3,2,", "3.00,2.,"),
    "exponents": PLAIN.replace("100,20", "1e2,2.0e1"),
    "plus signs": PLAIN.replace("1,1,10", "+1,+1,+10"),
    "blank lines": "\n \n" + PLAIN.replace("\n", "\n\n"),
    "no last line end": PLAIN.rstrip("\n"),
    "any order": "".join(reversed(PLAIN.splitlines(keepends=True))),
}
REFUSED = {
    "frames from 0": ("0,1" + PLAIN[3:], 1),
    "frame 1.5": (PLAIN.replace("2,1,12", "1.5,1,12"), 3),
    "frame 1e300": (PLAIN.replace("2,1,12", "1e300,1,12"), 3),
    "a frame of nothing": (PLAIN.replace("2,1,12", ",1,12"), 3),
    "a missing number": (PLAIN.replace("12,20", "12,"), 3),
    "a column too few": (PLAIN.replace("12,20", "12"), 3),
    "a column too many": (PLAIN.replace("12,20", "12,20,20"), 3),
    "thousands": (PLAIN.replace("12,20", "1_2,20"), 3),
    "Arabic digits": (PLAIN.replace("12,20", "\u0661\u0662,20"), 3),
    "full-width digits": (PLAIN.replace("12,20", "\uff11\uff12,20"), 3),
    "minus of mathematics": (PLAIN.replace("12,20", "\u221212,20"), 3),
    "a word": (PLAIN.replace("12,20", "left,20"), 3),
    "semicolons": (PLAIN.replace(",", ";"), 1),
    "quotes": (PLAIN.replace("12,20", '"12",20'), 3),
    "zero bytes": (PLAIN.replace("12,20", "12\0,20"), 3),
    "a header in another order": ("id,frame,left,top,width,height\n" + PLAIN, 1),
    "a header of corners": ("frame,id,x1,y1,x2,y2,conf\n" + PLAIN, 1),
    "a second header": (PLAIN + HEADER, 5),
    "a mark in the middle": (PLAIN.replace("2,1,12", "\ufeff2,1,12"), 3),
}


def written(folder, content):
    """A sequence with this content as its ground truth, its detections, and a result."""
    for place in ("gt/gt.txt", "det/det.txt", "result.txt"):
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "seqinfo.ini").write_text("[Sequence]\nseqLength=0\nframeRate=10\nimWidth=640\nimHeight=480\n")
    return folder


def rows_of(frame, xyxy):
    return sorted([f, *box] for f, box in zip(np.asarray(frame).tolist(), np.asarray(xyxy).tolist(), strict=True))


def as_detections(folder):
    """`track --detector public:` and `mot`."""
    blank = np.zeros((480, 640, 3), np.uint8)
    found = PublicDetections(folder / "det/det.txt").detect([Frame(blank, i, 0.0) for i in range(5)])
    return sorted([i + 1, *box] for i, one in enumerate(found) for box in one.xyxy.tolist())


def as_halves(folder):
    """`mot --split val-half`, of which the first half is empty, and `mot tune`."""
    (sequence,) = find_dataset(folder)
    assert sequence.length == 3
    place = copy_gt(sequence, folder / "copied")
    boxes = read_gt(place)
    return rows_of(boxes.frame + 1, boxes.xyxy)


def as_ground_truth(folder):
    boxes = read_gt(folder / "gt/gt.txt", rules_of("mot17"))
    return rows_of(boxes.frame + 1, boxes.xyxy)


def as_predictions(folder):
    boxes = read_predictions(folder / "result.txt")
    return rows_of(boxes.frame + 1, boxes.xyxy)


def as_conversion(folder):
    (table,) = read_tables(folder / "gt/gt.txt", "mot", Notes())
    return rows_of(table.frame + 1, table.xyxy)


def as_crops(folder):
    """`reid train` and `reid eval`."""
    people = read_people(folder)
    return rows_of(people.frame + 1, people.xyxy)


VERBS = (as_detections, as_halves, as_ground_truth, as_predictions, as_conversion, as_crops)


@pytest.mark.parametrize("name", READ)
def test_all_read_the_same(tmp_path, name):
    folder = written(tmp_path / "S", READ[name])
    for verb in VERBS:
        assert verb(folder) == MEANT, verb.__name__


@pytest.mark.parametrize("name", REFUSED)
def test_all_refuse_the_same_line(tmp_path, name):
    content, line = REFUSED[name]
    folder = written(tmp_path / "S", content)
    for verb in VERBS:
        with pytest.raises(ReacquireError) as refused:
            verb(folder)
        assert re.search(rf"\.txt, line {line}\b", str(refused.value)), f"{verb.__name__}: {refused.value}"


def test_verbs_of_the_command_line_agree(tmp_path, reacquire):
    """The same file through `eval` on both sides, and through `convert`, as people call them."""
    folder = written(tmp_path / "S", READ["header with a mark"])
    done = reacquire(
        "eval", "--gt", folder / "gt/gt.txt", "--pred", folder / "result.txt", "-b", "mot17", "--json", "-"
    )
    assert done.code == 0, done.stderr
    assert '"HOTA": 1.0' in done.stdout
    for target in ("a.csv", "a.jsonl", "a.parquet", "a.json", "a.xml"):
        assert reacquire("convert", folder / "gt/gt.txt", tmp_path / target).code == 0
        done = reacquire("eval", "--gt", folder / "gt/gt.txt", "--pred", tmp_path / target, "--json", "-")
        assert done.code == 0, done.stderr
        assert '"HOTA": 1.0' in done.stdout
    shutil.copy(folder / "gt/gt.txt", tmp_path / "a.txt")
    (tmp_path / "b.txt").write_text(REFUSED["a missing number"][0])
    for command in (
        ("eval", "--gt", tmp_path / "b.txt", "--pred", tmp_path / "a.txt"),
        ("eval", "--gt", tmp_path / "a.txt", "--pred", tmp_path / "b.txt"),
        ("convert", tmp_path / "b.txt", tmp_path / "b.csv"),
    ):
        done = reacquire(*command)
        assert done.code == 1
        assert "b.txt, line 3: expected a number, got ''" in " ".join(done.stderr.split())
