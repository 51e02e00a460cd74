"""Every other format of boxes: a damaged file is refused, or read into a table that goes out and comes in again."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.mutations.mutate import byte_mutations, check, text_mutations
from tracker.errors import DataError
from tracker.formats.kitti import sequence_lengths
from tracker.formats.registry import FORMATS, read_tables
from tracker.formats.table import Notes, make_table

COLUMNS = ("score", "visibility", "truncated", "occluded", "predicted", "filled")
CARRIED = {
    "mot": ("score",),
    "kitti": ("score", "truncated", "occluded"),
    "coco": ("score", "visibility", "truncated", "occluded", "label"),
    "cvat": (),
    "parquet": (*COLUMNS, "label"),
    "csv": (*COLUMNS, "label"),
    "jsonl": (*COLUMNS, "label"),
}
FILES = {"mot": "S.txt", "kitti": "S.txt", "coco": "S.json", "cvat": "S.xml"}
FILES |= {kind: f"S.{kind}" for kind in ("parquet", "csv", "jsonl")}
TABLE = make_table(
    Path("made"),
    "S",
    frame=[0, 0, 1, 1, 4],
    id=[1, 2, 1, 2, 3],
    xyxy=[[1, 2, 30, 40], [100.5, 50, 140, 120.25], [3, 2, 32, 40], [101, 50, 141, 120], [-5, 8, 20, 60]],
    label=["car", "pedestrian", "car", "pedestrian", "van"],
    length=6,
    size=(640, 480),
    rate=25.0,
    columns={"score": [0.5, 1, 0.25, 1, 0.75]},
)


def can_be(table):
    n = len(table)
    assert np.isfinite(table.xyxy).all()
    assert (table.xyxy[:, 2:] > table.xyxy[:, :2]).all()
    assert (table.frame >= 0).all()
    assert (table.id >= -1).all()
    assert np.isfinite(table.score).all()
    assert table.visibility is None or np.isfinite(table.visibility).all()
    assert n == 0 or table.label.max() < len(table.labels)
    assert min(table.length, *table.size) >= 0
    assert 0 <= table.rate < 1e7
    assert not table.length or not n or table.frame.max() < table.length
    keys = zip(table.frame.tolist(), table.id.tolist(), table.label.tolist(), strict=True)
    kept = [key for key in keys if key[1] >= 0]
    assert len(set(kept)) == len(kept)


def goes_out(tables, kind, folder):
    """It is written in another format too, and read again with all that the format can hold; or refused."""
    place = folder / "other" / kind / FILES[kind]
    try:
        FORMATS[kind].write(place, tables, Notes())
    except DataError as error:
        str(error).encode()
        return
    for one, two in zip(tables, read_tables(place, kind, Notes()), strict=True):
        kept = one.id >= 0 if kind in ("mot", "cvat") else np.ones(len(one), bool)  # regions have no place in them
        np.testing.assert_array_equal(two.frame, one.frame[kept])
        np.testing.assert_array_equal(np.sort(two.id), np.sort(one.id[kept]))


def comes_again(kind, folder):
    """What was read is written in the same format, and is read as the same."""

    others = itertools.cycle(FILES)

    def right(tables, content):
        for table in tables:
            can_be(table)
        goes_out(tables, next(others), folder)
        again = folder / "again" / FILES[kind]
        FORMATS[kind].write(again, tables, Notes())
        for one, two in zip(tables, read_tables(again, kind, Notes()), strict=True):
            for name in ("frame", "id", "xyxy", *CARRIED[kind]):
                ours, theirs = getattr(one, name), getattr(two, name)
                if name == "label":
                    ours, theirs = ([t.labels[i] for i in t.label.tolist()] for t in (one, two))
                    assert ours == theirs
                elif ours is None or theirs is None:
                    assert ours is theirs, name
                else:
                    np.testing.assert_allclose(theirs, ours, rtol=1e-8, atol=1e-6)

    return right


@pytest.mark.parametrize("kind", ["mot", "kitti", "coco", "cvat", "csv", "jsonl"])
def test_text(tmp_path, kind):
    path = tmp_path / FILES[kind]
    FORMATS[kind].write(path, [TABLE], Notes())
    text = path.read_text()
    mutations = [*text_mutations(text, 500), *byte_mutations(text.encode(), 300)]
    accepted, refused = check(lambda p: read_tables(p, kind, Notes()), path, mutations, comes_again(kind, tmp_path))
    assert min(accepted, refused) > 50


def test_parquet(tmp_path):
    path = tmp_path / FILES["parquet"]
    FORMATS["parquet"].write(path, [TABLE], Notes())
    mutations = byte_mutations(path.read_bytes(), 800)
    accepted, refused = check(
        lambda p: read_tables(p, "parquet", Notes()), path, mutations, comes_again("parquet", tmp_path)
    )
    assert min(accepted, refused) > 30


def test_yolo_labels(tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / "street_2.txt").write_text("0 0.5 0.5 0.1 0.2 0.9 7\n2 0.1 0.1 0.1 0.1 0.8 8\n")
    text = "0 0.5 0.5 0.1 0.2 0.9 7\n2 0.1 0.1 0.1 0.1 0.8 8\n0 0.3 0.5 0.1 0.2 0.7 9\n"
    mutations = [*text_mutations(text, 500), *byte_mutations(text.encode(), 300)]

    def right(tables, content):
        for table in tables:
            can_be(table)

    accepted, refused = check(
        lambda p: read_tables(p.parent, "yolo", Notes(), size=(640, 480)), folder / "street_11.txt", mutations, right
    )
    assert min(accepted, refused) > 50


@pytest.mark.parametrize("name", ["data.yaml", "classes.txt"])
def test_names_of_yolo_classes(tmp_path, name):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/street_2.txt").write_text("0 0.5 0.5 0.1 0.2 0.9 7\n2 0.1 0.1 0.1 0.1 0.8 8\n")
    text = "names:\n  0: person\n  2: car\n" if name == "data.yaml" else "person\nbicycle\ncar\n"
    mutations = [*text_mutations(text, 300), *byte_mutations(text.encode(), 200)]

    def right(tables, content):
        for table in tables:
            can_be(table)

    accepted, _ = check(
        lambda p: read_tables(p.parent, "yolo", Notes(), size=(640, 480)), tmp_path / name, mutations, right
    )
    assert accepted > 50


def test_lengths_of_kitti(tmp_path):
    text = "0000 empty 000000 000154\n0001 empty 000000 000447\n"
    mutations = [*text_mutations(text, 300), *byte_mutations(text.encode(), 200)]

    def right(lengths, content):
        assert all(0 <= length <= 10_000_000 for length in lengths.values())

    path = tmp_path / "evaluate_tracking.seqmap.training"
    accepted, refused = check(lambda p: sequence_lengths(p.parent), path, mutations, right)
    assert min(accepted, refused) > 50


DEEP = 100_000
BOMB = "<!DOCTYPE a [<!ENTITY b 'xx'>" + "".join(f"<!ENTITY b{i} '&b{i - 1};&b{i - 1};'>" for i in range(1, 40)) + "]>"
REST = '"images": [], "annotations": [], "categories": []}'
BOMBS = {
    "xml entities": ("cvat", f"<?xml version='1.0'?>{BOMB}<annotations>&b39;</annotations>"),
    "xml outside": ("cvat", "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><annotations>&b;</annotations>"),
    "xml depth": ("cvat", "<annotations>" + "<a>" * DEEP),
    "xml frames": (
        "cvat",
        "<annotations><track id='1' label='a'>"
        "<box frame='0' outside='0' occluded='0' xtl='1' ytl='1' xbr='5' ybr='5'/>"
        "<box frame='9999999' outside='0' occluded='0' xtl='1' ytl='1' xbr='5' ybr='5'/></track></annotations>",
    ),
    "xml long name": ("cvat", f"<annotations {'a' * 1_000_000}='1'/>"),
    "json depth": ("coco", "[" * DEEP),
    "json depth of objects": ("coco", '{"videos":' * DEEP),
    "json digits": ("coco", '{"videos": [{"id": ' + "9" * 10_000 + f"}}], {REST}"),
    "json bad text": ("coco", '{"videos": [{"id": 1, "name": "\\ud800"}], ' + REST),
    "mot one line": ("mot", "1," * 1_000_000),
    "mot digits": ("mot", "1,1,1,1,5," + "9" * 1_000_000),
    "kitti one line": ("kitti", "0 " * 1_000_000),
    "csv digits": ("csv", "frame,id,x1,y1,x2,y2\n0,1,1,1,5," + "9" * 1_000_000),
    "csv columns": ("csv", "a," * 1_000_000),
    "csv quote": ("csv", 'frame,id,x1,y1,x2,y2\n"' + "0,1\n" * 100_000),
    "jsonl depth": ("jsonl", "[" * DEEP),
    "jsonl keys": ("jsonl", '{"frame": {"frame": ' * DEEP),
    "nothing": ("kitti", ""),
    "zeros": ("mot", "\0" * 1_000_000),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(tmp_path, name):
    kind, text = BOMBS[name]
    path = tmp_path / FILES[kind]
    check(lambda p: read_tables(p, kind, Notes()), path, [(name, text.encode())], comes_again(kind, tmp_path))
