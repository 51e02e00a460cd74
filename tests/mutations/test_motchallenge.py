"""MOTChallenge's text files: what is read of a damaged one is what a careful person would read in it."""

import re
from functools import partial

import numpy as np
import pytest

from tests.mutations.mutate import byte_mutations, check, text_mutations
from tracker.benchmark.dataset import find_dataset
from tracker.detection.public import PublicDetections
from tracker.evaluation.benchmarks import rules_of
from tracker.evaluation.read import read_gt, read_predictions
from tracker.formats.seqinfo import read_sequence_info
from tracker.types import Frame

ROWS = [(frame, i, 10 * i + frame, 20.5, 30, 60.25) for frame in range(1, 6) for i in (1, 2)]
RESULT = "".join("{},{},{},{},{},{},0.9,-1,-1,-1\n".format(*row) for row in ROWS)
TRUTH = "".join("{},{},{},{},{},{},1,1,0.8\n".format(*row) for row in ROWS)
DETECTIONS = "".join("{},-1,{},{},{},{},0.75\n".format(*row[:1], *row[2:]) for row in ROWS)
INFO = "[Sequence]\nname=S-01\nimDir=img1\nframeRate=25\nseqLength=4\nimWidth=160\nimHeight=120\nimExt=.jpg\n"

PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def as_a_person_reads(content):
    """``(N, K)`` of the rows, read in the plainest way; what is no plain number fails."""
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace")
    rows = []
    for line in re.split(r"\r\n|\r|\n", text):
        fields = re.split(r"[ \t]*,[ \t]*|[ \t]+", re.sub(r"[ \t,]+$", "", line.lstrip(" \t")))
        if fields == [""] or (not rows and not any(PLAIN.fullmatch(field) for field in fields)):
            continue  # blank, or a header
        assert all(PLAIN.fullmatch(field) for field in fields), line
        rows.append([float(field) for field in fields])
    return np.array(rows, np.float64).reshape(len(rows), -1 if rows else 6)


def is_right(boxes, content):
    rows = as_a_person_reads(content)
    assert len(rows) == len(boxes)
    if len(rows):
        order = np.argsort(rows[:, 0], kind="stable")
        np.testing.assert_array_equal(boxes.frame + 1, rows[order, 0])
        np.testing.assert_array_equal(boxes.id, rows[order, 1])
        np.testing.assert_array_equal(boxes.xyxy[:, :2], rows[order, 2:4])
        np.testing.assert_array_equal(boxes.xyxy[:, 2:], rows[order, 2:4] + rows[order, 4:6])
    assert np.isfinite(boxes.xyxy).all()
    assert (boxes.xyxy[:, 2:] > boxes.xyxy[:, :2]).all()
    assert (boxes.frame >= 0).all()
    assert (boxes.id >= 0).all()
    assert len(set(zip(boxes.frame.tolist(), boxes.id.tolist(), strict=True))) == len(boxes)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (RESULT, read_predictions),
        (RESULT.replace(",", " "), read_predictions),
        (RESULT.replace(",", "\t"), partial(read_predictions, length=5)),
        (TRUTH, read_gt),
        (TRUTH, partial(read_gt, rules=rules_of("mot17"), length=5)),
        (TRUTH, partial(read_gt, rules=rules_of("mot15"))),
    ],
    ids=["result", "spaces", "tabs", "truth", "classes", "world"],
)
def test_ground_truth_and_results(tmp_path, text, read):
    mutations = [*text_mutations(text, 400), *byte_mutations(text.encode(), 200)]
    accepted, refused = check(read, tmp_path / "a.txt", mutations, is_right)
    assert min(accepted, refused) > 50


def detected(path):
    detector = PublicDetections(path)
    blank = np.zeros((480, 640, 3), np.uint8)
    return detector, [detector.detect([Frame(blank, i, 0.0)])[0] for i in range(8)]


def detections_are_right(got, content):
    detector, found = got
    for one in found:
        assert np.isfinite(one.xyxy).all()
        assert (one.xyxy[:, 2:] > one.xyxy[:, :2]).all()
        assert ((one.score >= 0) & (one.score <= 1)).all()
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace")
    if not re.search("nan|inf|999", text, re.I):  # rows of those are dropped, and told
        rows = as_a_person_reads(content)
        assert sum(map(len, found)) + detector.dropped >= int((rows[:, 0] <= len(found)).sum())
    assert bool(detector.dropped) <= bool(detector.warnings)


def test_detections(tmp_path):
    mutations = [*text_mutations(DETECTIONS, 400), *byte_mutations(DETECTIONS.encode(), 200)]
    accepted, refused = check(detected, tmp_path / "det.txt", mutations, detections_are_right)
    assert min(accepted, refused) > 50


def info_is_right(info, content):
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace")
    said = {k.strip().lower(): v.strip() for k, _, v in (re.split("([=:])", f"{x}=", maxsplit=1) for x in text.split())}
    for key, got in (("seqlength", info.length), ("framerate", info.rate)):
        if got:
            assert float(said[key].rstrip("=")) == got
    assert 0 <= info.rate <= 1e6
    assert min(info.length, *info.size) >= 0
    assert info.name.isprintable()
    assert info.images
    assert ".." not in info.images


@pytest.mark.parametrize("read", [read_sequence_info, find_dataset])
def test_seqinfo(tmp_path, read):
    mutations = [*text_mutations(INFO, 300), *byte_mutations(INFO.encode(), 200)]
    right = info_is_right if read is read_sequence_info else lambda got, content: None
    accepted, refused = check(lambda path: read(path.parent), tmp_path / "seqinfo.ini", mutations, right)
    assert min(accepted, refused) > 30
