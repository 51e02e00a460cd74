"""Whatever is in a file, it is read or refused by an error of ours; nothing else comes out of a reader."""

import contextlib
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import DataError
from tracker.evaluation.benchmarks import RULES
from tracker.evaluation.evaluate import evaluate_files
from tracker.evaluation.read import read_gt, read_predictions
from tracker.formats.registry import FORMATS, read_tables
from tracker.formats.table import Notes, make_table

NUMBERS = st.sampled_from(
    ["1", "2", "-1", "0", "3.0", "1.5", "nan", "inf", "-inf", "1e300", "1e-300", "", " ", "x", '"1"']
)
ROWS = st.lists(st.lists(NUMBERS, min_size=5, max_size=10).map(",".join), max_size=6).map("\n".join)


@settings(max_examples=150)
@given(ROWS | st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_as_a_mot_file(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        for read in (read_gt, read_predictions):
            with contextlib.suppress(DataError):
                boxes = read(path)
                assert np.isfinite(boxes.xyxy).all()
                assert (boxes.frame >= 0).all()
                assert (np.diff(boxes.frame) >= 0).all()


@settings(max_examples=40)
@given(ROWS, ROWS, st.sampled_from(["mot15", "mot17", "mot20", "none"]))
def test_any_two_files_are_scored_or_refused(truth, result, rules):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("gt.txt", truth), ("pred.txt", result)):
            (Path(folder) / name).write_text(text)
        with contextlib.suppress(DataError):
            numbers = evaluate_files(Path(folder) / "gt.txt", Path(folder) / "pred.txt", RULES[rules], length=5).full()
            assert all(np.isfinite(v) for v in numbers.values())
            assert numbers["TP"] + numbers["FN"] == numbers["GT_Dets"]


SMALL = make_table(
    Path("made"), "S", frame=[0, 1, 4], id=[1, 1, 2], xyxy=[[1, 2, 30, 40]] * 3, label=["car", "car", "pedestrian"],
    length=5, size=(640, 480), rate=25.0,
)  # fmt: skip


@pytest.mark.parametrize("name", ["S.txt", "kitti.txt", "S.json", "S.xml", "S.parquet"])
@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2**31), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_files(name, damage):
    kind = {"S.txt": "mot", "kitti.txt": "kitti", "S.json": "coco", "S.xml": "cvat", "S.parquet": "parquet"}[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        FORMATS[kind].write(path, [SMALL], Notes())
        content = bytearray(path.read_bytes())
        for place, value in damage:
            content[place % len(content)] = value
        path.write_bytes(content)
        with contextlib.suppress(DataError):
            for table in read_tables(path, kind, Notes()):
                assert np.isfinite(table.xyxy).all()
                assert (table.frame >= 0).all()
