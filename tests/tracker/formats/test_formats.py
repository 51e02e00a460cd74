"""What goes into a format comes out of it again, and what is no such format is refused."""

import json
import re
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import DataError
from tracker.formats.registry import FORMATS, convert, format_to_write, read_tables, recognise
from tracker.formats.table import Notes, make_table
from tracker.formats.yolo import read as read_yolo

LABELS = ("pedestrian", "car", "object", "Müller & <Söhne>", "tram")
# What each format carries besides frame, id and box.
CARRIED = {
    "mot": ("score",),
    "motchallenge": ("score", "length", "size", "rate"),
    "coco": ("score", "visibility", "truncated", "occluded", "label", "length", "size", "rate"),
    "cvat": ("label", "length", "size"),
    "kitti": ("score", "truncated", "occluded"),
    "parquet": ("score", "visibility", "truncated", "occluded", "label", "length", "size", "rate"),
}
CARRIED |= dict.fromkeys(("csv", "jsonl"), ("score", "visibility", "truncated", "occluded", "label"))
PLACES = {"csv": "o.csv", "jsonl": "o.jsonl"} | {
    "mot": "out",
    "motchallenge": "out",
    "coco": "o.json",
    "cvat": "out",
    "kitti": "out",
    "parquet": "o.parquet",
}


@st.composite
def tables(draw, name="S", labels=LABELS):
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    count, length = draw(st.integers(1, 30)), draw(st.integers(1, 12))
    cells = random.permutation(length * 5)[:count]
    count = len(cells)
    low = random.uniform(-50, 2000, (count, 2)).round(draw(st.integers(0, 4)))
    size = random.uniform(1, 300, (count, 2)).round(3)
    return make_table(
        Path("made"),
        name,
        frame=cells // 5,
        id=cells % 5 + draw(st.sampled_from([0, 1, 1000])),
        xyxy=np.concatenate([low, low + size], axis=1),
        label=[labels[k] for k in random.integers(0, len(labels), count)],
        labels=labels,
        length=length,
        size=(1920, 1080),
        rate=25.0,
        columns={
            "score": random.random(count).round(4),
            "visibility": random.random(count).round(3),
            "truncated": random.integers(0, 3, count),
            "occluded": random.integers(0, 4, count),
        },
    )


def names_of(table):
    return [table.labels[k] for k in table.label]


def check_same(ours, back, kind):
    assert back.name == ours.name
    np.testing.assert_array_equal(back.frame, ours.frame)
    np.testing.assert_array_equal(back.id, ours.id)
    np.testing.assert_allclose(back.xyxy, ours.xyxy, atol=1e-5)
    for column in CARRIED[kind]:
        if column == "label":
            assert names_of(back) == names_of(ours)
        elif isinstance(getattr(ours, column), np.ndarray):
            np.testing.assert_allclose(getattr(back, column), getattr(ours, column), atol=1e-9, err_msg=column)
        else:
            assert getattr(back, column) == getattr(ours, column), column


@pytest.mark.parametrize("kind", CARRIED)
@settings(max_examples=25)
@given(tables(), tables(name="T-2"))
def test_round_trip(kind, first, second):
    with tempfile.TemporaryDirectory() as folder:
        place, again = Path(folder) / PLACES[kind], Path(folder) / "again" / PLACES[kind]
        FORMATS[kind].write(place, [first, second], Notes())
        assert recognise(place) == kind.replace("motchallenge", "mot")
        back = read_tables(place, None, Notes())
        for ours, theirs in zip((first, second), back, strict=True):
            check_same(ours, theirs, kind)
        FORMATS[kind].write(again, back, Notes())
        files = sorted(p.relative_to(place) for p in place.rglob("*.*")) if place.is_dir() else [Path()]
        for file in [f for f in files if place.suffix != ".parquet"]:
            assert (again / file).read_bytes() == (place / file).read_bytes()


@pytest.mark.parametrize("kind", ["mot", "kitti"])
@settings(max_examples=10)
@given(tables(labels=("pedestrian", "car")))
def test_classes_of_both_benchmarks(kind, table):
    """MOT numbers its classes and KITTI capitalises them; a trip through either keeps which is which."""
    with tempfile.TemporaryDirectory() as folder:
        FORMATS[kind].write(Path(folder) / "S.txt", [table], Notes())
        (back,) = read_tables(Path(folder) / "S.txt", None, Notes())
        assert [n.lower() for n in names_of(back)] == names_of(table)


@settings(max_examples=10)
@given(tables(labels=("pedestrian", "car")))
def test_all_the_way_round(table):
    """MOT to COCO to CVAT to KITTI to Parquet and back."""
    with tempfile.TemporaryDirectory() as folder:
        steps = ["a.txt", "S.json", "S.xml", "k/S.txt", "S.parquet", "b.txt"]
        FORMATS["mot"].write(Path(folder) / steps[0], [table], Notes())
        for here, there in pairwise(steps):
            convert(Path(folder) / here, Path(folder) / there, write_as="kitti" if there[0] == "k" else None)
        first, last = (np.loadtxt(Path(folder) / name, delimiter=",", ndmin=2) for name in (steps[0], steps[-1]))
        np.testing.assert_allclose(last[:, :6], first[:, :6], atol=1e-5)
        np.testing.assert_array_equal(last[:, 7], first[:, 7])


def test_real_ground_truth_goes_round(data, tmp_path):
    convert(data / "mot17", tmp_path / "gt.json")
    convert(tmp_path / "gt.json", tmp_path / "back", write_as="motchallenge")
    for name in ("MOT17-05", "MOT17-09"):
        ours = np.loadtxt(tmp_path / "back" / name / "gt/gt.txt", delimiter=",")
        theirs = np.loadtxt(data / "mot17" / name / "gt/gt.txt", delimiter=",")
        np.testing.assert_allclose(ours, theirs[np.lexsort((theirs[:, 1], theirs[:, 0]))], atol=1e-6)
        info = (tmp_path / "back" / name / "seqinfo.ini").read_text()
        assert "seqLength=837" in info or name != "MOT17-05"


def cvat(tmp_path, body, head="", name="v.xml"):
    (tmp_path / name).write_text(f'<?xml version="1.0"?>{head}<annotations>{body}</annotations>')
    return tmp_path / name


def box(frame, left, outside=0):
    corners = f'xtl="{left}" ytl="10" xbr="{left + 20}" ybr="50"'
    return f'<box frame="{frame}" outside="{outside}" occluded="0" {corners}/>'


def test_cvat_moves_boxes_between_keyframes(tmp_path):
    """Four frames from 0 to 40 pixels, hidden for two, and there again; the last one does not go on."""
    boxes = box(0, 0) + box(4, 40) + box(5, 44, outside=1) + box(7, 60) + box(8, 60, outside=1)
    meta = (
        "<meta><task><size>10</size><original_size><width>640</width><height>480</height></original_size></task></meta>"
    )
    (table,) = read_tables(cvat(tmp_path, f'{meta}<track id="3" label="dog">{boxes}</track>'), None, Notes())
    assert table.frame.tolist() == [0, 1, 2, 3, 4, 7]
    assert table.xyxy[:, 0].tolist() == [0, 10, 20, 30, 40, 60]
    assert (table.length, table.size, set(table.id.tolist()), table.labels) == (10, (640, 480), {3}, ("dog",))


LAUGHS = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]>'
FILE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("body", "head", "message"),
    [
        ("&y;", LAUGHS, "line 1: a document type is declared"),
        ("&x;", FILE, "line 1: a document type is declared"),
        ("<track id='1' label='a'>", "", "no XML: mismatched tag"),
        ("<a>" * 200 + "</a>" * 200, "", "more than 100 deep"),
        ("<image id='0'/>", "", "CVAT for images"),
        ("<track id='-1'/>", "", "expected a whole number as id, got '-1'"),
        (f"<track id='1'>{box(0, 5)}{box(0, 9)}</track>", "", "two boxes in this frame"),
        (f"<track id='1'>{box(10**8, 5)}</track>", "", "frame 100000000 is too large"),
        ("<track id='1'><box frame='0' xtl='a'/></track>", "", "expected a number as xtl, got 'a'"),
        (
            "<track id='1'><box frame='0' xtl='nan' ytl='1' xbr='2' ybr='3'/></track>",
            "",
            "line 1: expected a number as xtl, got 'nan'",
        ),
        (f"<track id='1'>{box(0, 1)}{box(9_999_999, 2)}</track>" * 3, "", "30,000,000 boxes between keyframes"),
    ],
)
def test_hostile_xml(tmp_path, body, head, message):
    with pytest.raises(DataError, match=rf"v\.xml.*{message}"):
        read_tables(cvat(tmp_path, body, head), None, Notes())


GOOD = {
    "videos": [{"id": 1, "name": "v", "width": 640, "height": 480}],
    "images": [{"id": 5, "video_id": 1, "frame_id": 0}],
    "annotations": [{"id": 9, "image_id": 5, "category_id": 2, "track_id": 4, "bbox": [1, 2, 3, 4]}],
    "categories": [{"id": 2, "name": "person"}],
}


@pytest.mark.parametrize("encoding", ["u-f-8", "utf-7", "idna"])
def test_strange_encodings(tmp_path, encoding):
    (tmp_path / "v.xml").write_text(f'<?xml version="1.0" encoding="{encoding}"?><annotations/>')
    with pytest.raises(DataError, match=r"v\.xml: no XML: "):
        read_tables(tmp_path / "v.xml", None, Notes())


def test_coco_as_others_write_it(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(GOOD))
    (table,) = read_tables(tmp_path / "a.json", None, Notes())
    assert table.xyxy.tolist() == [[1, 2, 4, 6]]
    assert (table.id.tolist(), table.size, table.length, names_of(table)) == ([4], (640, 480), 1, ["person"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"videos": None}, "missing: videos"),
        ({"images": [{"id": 5, "video_id": 7, "frame_id": 0}]}, "image 5: there is no video 7"),
        ({"images": [{"id": 5, "video_id": 1}]}, r"image 5: expected frame_id \(int\), got None"),
        ({"annotations": [{**GOOD["annotations"][0], "image_id": 1}]}, "annotation 9: there is no image 1"),
        ({"annotations": [{**GOOD["annotations"][0], "category_id": 1}]}, "annotation 9: there is no category 1"),
        ({"annotations": [{**GOOD["annotations"][0], "bbox": [1, 2, 3]}]}, "annotation 9: bbox must be 4 numbers"),
        ({"annotations": [{**GOOD["annotations"][0], "bbox": [1, 2, 3, 0]}]}, "annotation 9: the box has no area"),
        ({"annotations": [{**GOOD["annotations"][0], "track_id": "a"}]}, r"annotation 9: expected track_id \(int\)"),
        ({"annotations": [{**GOOD["annotations"][0], "track_id": True}]}, r"annotation 9: expected track_id \(int\)"),
        ({"annotations": [{**GOOD["annotations"][0], "score": "1"}]}, "annotation 9: score.* must be numbers"),
        ({"annotations": [5]}, r"expected id \(int\), got 5"),
        ({"annotations": GOOD["annotations"] * 2}, "annotation 9: its id is in its frame twice"),
        ({"videos": [{"id": 1, "name": "v", "width": "wide"}]}, "width, height or fps"),
        ({"videos": [{"id": 1, "name": "v\n"}]}, "is no name for a class or a sequence"),
        ({"categories": [{"id": 2, "name": "a\0b"}]}, "is no name for a class or a sequence"),
        (
            {"annotations": [{**GOOD["annotations"][0], "track_id": 10**400}]},
            r"annotation 9: expected track_id \(int\)",
        ),
        ({"annotations": [{**GOOD["annotations"][0], "bbox": [1, 2, 3, 10**400]}]}, "annotation 9: bbox must be"),
        ({"images": [{"id": 5, "video_id": 1, "frame_id": 10**9}], "annotations": []}, "1,000,000,001 frames cannot"),
    ],
)
def test_hostile_json(tmp_path, change, message):
    (tmp_path / "a.json").write_text(json.dumps(GOOD | change))
    with pytest.raises(DataError, match=rf"a\.json.*{message}"):
        read_tables(tmp_path / "a.json", None, Notes())


@pytest.mark.parametrize("text", ["", "{", "[" * 200_000, "[]", '{"videos": [NaN', "\0"])
def test_what_is_no_json(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a\.json: (no JSON|COCO-VID has)"):
        read_tables(tmp_path / "a.json", None, Notes())


@pytest.mark.parametrize("name", ["../../outside", "a/b", "..", "a\\b", "C:x"])
@pytest.mark.parametrize("kind", ["mot", "motchallenge", "cvat", "kitti"])
def test_a_name_cannot_lead_elsewhere(tmp_path, name, kind):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.json").write_text(json.dumps(GOOD | {"videos": [{"id": 1, "name": name}]}))
    with pytest.raises(DataError, match="cannot be the name of a file"):
        convert(tmp_path / "in/a.json", tmp_path / "out/deep", write_as=kind)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


def test_parquet_of_a_run_is_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"frame": [0, 1], "timestamp": [0.0, 0.04], "id": [1, 1], "x1": [1.0, 2.0], "y1": [1.0, 1.0]}
    columns |= {"x2": [5.0, 6.0], "y2": [9.0, 9.0], "score": [0.5, 0.6], "class": ["person", "person"]}
    pq.write_table(pa.table(columns), tmp_path / "tracks.parquet")
    (table,) = read_tables(tmp_path / "tracks.parquet", None, Notes())
    assert (table.name, table.score.tolist(), table.labels) == ("tracks", [0.5, 0.6], ("person",))
    for name, change, message in [
        ("id", None, "columns id are missing"),
        ("id", [1, None], "row 2: column id has an empty place"),
        ("x1", ["a", "b"], "column x1 must hold numbers"),
        ("x2", [0.0, 6.0], "row 1: the box has no area"),
    ]:
        changed = {k: (change if k == name else v) for k, v in columns.items() if k != name or change}
        pq.write_table(pa.table(changed), tmp_path / "bad.parquet")
        with pytest.raises(DataError, match=message):
            read_tables(tmp_path / "bad.parquet", None, Notes())
    (tmp_path / "no.parquet").write_bytes(b"PAR1 but not")
    with pytest.raises(DataError, match=r"no\.parquet: no Parquet"):
        read_tables(tmp_path / "no.parquet", None, Notes())


def test_expected_boxes_are_told(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"frame": [0, 1, 2], "id": [1, 1, 1], "x1": [1.0] * 3, "y1": [1.0] * 3, "x2": [5.0] * 3, "y2": [9.0] * 3}
    for predicted, said in [([False, True, True], 1), ([False] * 3, 0)]:
        pq.write_table(pa.table(columns | {"predicted": predicted}), tmp_path / "tracks.parquet")
        _, notes = convert(tmp_path / "tracks.parquet", tmp_path / "t.txt")
        assert len(notes.lines) == said
        assert all(line.startswith("2 boxes are where") for line in notes.lines)
        (table,), notes = convert(tmp_path / "tracks.parquet", tmp_path / "t.csv")
        assert not notes.lines
        (back,) = read_tables(tmp_path / "t.csv", None, Notes())
        assert back.predicted.tolist() == table.predicted.tolist() == predicted


RUN = make_table(
    Path("made"), "S", frame=[0, 1, 1], id=[1, 1, 2], xyxy=[[1, 2, 30.25, 40], [2, 2, 31, 40], [5, 5, 9, 9]],
    label=["person", "person", "car"], class_ids={"person": 0, "car": 2},
    columns={"time": [0.0, 0.04, 0.04], "predicted": [0, 1, 0], "filled": [0, 1, 0], "score": [0.5, 0.25, 1]},
)  # fmt: skip


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_what_is_known_of_a_run_is_kept(tmp_path, kind):
    place = tmp_path / f"tracks.{kind}"
    FORMATS[kind].write(place, [RUN], Notes())
    (back,) = read_tables(place, None, Notes())
    for name in ("frame", "id", "xyxy", "score", "time", "predicted", "filled"):
        np.testing.assert_array_equal(getattr(back, name), getattr(RUN, name), err_msg=name)
    assert names_of(back) == names_of(RUN)
    assert dict(zip(back.labels, back.class_ids, strict=True)) == {"person": 0, "car": 2}


CSV = "frame,id,x1,y1,x2,y2,score,class\n0,1,1,2,30.5,40,0.5,person\n1,1,2,2,31,40,0.25,person\n"


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace("frame,id", '"Frame"," Track ID"'),
        lambda text: text.replace("x1,y1,x2,y2", "xmin,ymin,xmax,ymax").replace("score", "Confidence"),
        lambda text: text.replace("person", '"person"'),
        lambda text: text.replace("0,1,1,", "0.0, 1.0, 1.00,"),
        lambda text: text.replace("x1,y1,x2,y2", "left,top,width,height").replace("30.5,40", "29.5,38")
        .replace("31,40", "29,38"),
        lambda text: text.encode("utf-16"),
    ],
    ids=["plain", "mark", "dos", "semicolons", "tabs", "blank", "header", "names", "quotes", "points", "sizes", "wide"],
)  # fmt: skip
def test_ways_to_write_a_csv(tmp_path, rewrite):
    text = rewrite(CSV)
    (tmp_path / "a.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    (table,) = read_tables(tmp_path / "a.csv", None, Notes())
    assert (table.frame.tolist(), table.id.tolist()) == ([0, 1], [1, 1])
    assert table.xyxy.tolist() == [[1, 2, 30.5, 40], [2, 2, 31, 40]]
    assert (table.score.tolist(), names_of(table)) == ([0.5, 0.25], ["person", "person"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "empty; expected a header"),
        ("a.csv", "1,1,2,3,40,50\n", "line 1: expected a header; if the file is MOTChallenge's, say --from mot"),
        ("a.csv", "frame,id,x,y,w,h\n0,1,2,3,4,5\n", "columns x1, y1, x2, y2 are missing"),
        ("a.csv", CSV.replace("score", "id"), "line 1: column 'id' is there twice"),
        ("a.csv", CSV.replace("30.5,40", "30.5"), "line 2: expected 8 columns"),
        ("a.csv", CSV.replace("\n1,1", "\n\n1,1").replace("0.25", ""), "line 4: column score must hold numbers"),
        ("a.csv", CSV.replace("0.25", "1_0"), "line 3: column score must hold numbers, got '1_0'"),
        ("a.csv", CSV.replace("30.5", "\u0663"), "line 2: column x2 must hold numbers"),
        ("a.csv", CSV.replace("\n1,1", "\n0,1"), "line 3: its id is in its frame twice"),
        ("a.csv", CSV.replace("\n1,1", "\n1.5,1"), "line 3: the frame is no whole number"),
        ("a.jsonl", '{"frame": 0, "id": 1, "xyxy": [1, 2, 3]}\n', "line 1: xyxy must be 4 numbers"),
        ("a.jsonl", '\n{"frame": 0, "id": 1, "xyxy": [1, 2, 3, null]}\n', "line 2: y2 cannot be None"),
        ("a.jsonl", '{"frame": 0, "id": 1, "xyxy": [1, 2, 3, NaN]}\n', "line 1: y2 cannot be nan"),
        ("a.jsonl", '{"frame": "0", "id": 1, "xyxy": [1, 2, 3, 4]}\n', "line 1: frame cannot be '0'"),
        ("a.jsonl", '{"frame": true, "id": 1, "xyxy": [1, 2, 3, 4]}\n', "line 1: frame cannot be True"),
        ("a.jsonl", '{"frame": 0, "xyxy": [1, 2, 3, 4]}\n', "columns id are missing"),
        ("a.jsonl", '{"frame": 0, "id": 1, "xyxy": [1, 2, 3, 4]}\n{"frame": 1, "id', "line 2: no JSON"),
        ("a.jsonl", '{"frame": 0, "id": 1, "xyxy": [1, 2, 3, 4]}\n{"frame": 1, "id": 2}', "line 2: other keys"),
        ("a.jsonl", "[1]\n", "line 1: expected an object"),
        ("a.jsonl", "[" * 100_000, "line 1: no JSON"),
    ],
)  # fmt: skip
def test_hostile_rows_of_columns(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=rf"{name}(, |: ){message}"):
        read_tables(tmp_path / name, None, Notes())


@pytest.mark.parametrize(
    ("target", "kind", "message"),
    [
        ("y.xlsx", None, "spreadsheets are not read or written; use .csv"),
        ("y.foo", None, r"\.foo is no suffix of a format; there are .*\.csv.* for a folder, say --to mot"),
        ("y.csv", "mot", r"\.csv is no file of mot; expected \.txt"),
        ("y.json", "motchallenge", "expected a folder"),
        ("y.txt", "parquet", r"expected \.parquet"),
    ],
)
def test_a_suffix_is_kept_to(tmp_path, target, kind, message):
    (tmp_path / "a.txt").write_text("1,1,10,10,30,60,1,1,0.5\n")
    with pytest.raises(DataError, match=message):
        convert(tmp_path / "a.txt", tmp_path / target, write_as=kind)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match="spreadsheets"):
        read_tables(tmp_path / "a.xlsx", None, Notes())


@pytest.mark.parametrize(
    ("target", "kind"),
    [("y.CSV", "csv"), ("y.tsv", "csv"), ("y.jsonl", "jsonl"), ("y", "mot"), ("y.txt", "mot"), ("y.json", "coco")],
)
def test_a_suffix_tells_the_format(tmp_path, target, kind):
    assert format_to_write(tmp_path / target) == kind
    (tmp_path / "v1.2").mkdir()
    assert format_to_write(tmp_path / "v1.2") == "mot"


def test_what_a_parquet_says_of_itself_is_checked(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"frame": [0], "id": [1], "x1": [1.0], "y1": [1.0], "x2": [5.0], "y2": [9.0]}
    for text in (b"{", b"[1]", b'{"a": 5}', b'{"a": {"labels": 1}}', b"[" * 100_000):
        pq.write_table(pa.table(columns).replace_schema_metadata({b"reacquire": text}), tmp_path / "a.parquet")
        with pytest.raises(DataError, match=r"a\.parquet: its metadata"):
            read_tables(tmp_path / "a.parquet", None, Notes())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "1,1,2,3,40,50,1,1,nan\n", "line 1 .*a value is NaN or infinite"),
        ("a.txt", "1,1,2,3,1e300,50,1,1,1\n", "line 1 .*more than 10,000,000 pixels away"),
        ("a.txt", "1,1,1000,3,1e-9,50,1,1,1\n", "line 1 .*width and height must be above 0"),
        ("k.txt", "0 1 Car 0 1e300 -10 1 2 30 40\n", "line 1: occluded is no number that it can be"),
        ("k.txt", "0 1_0 Car 0 0 -10 1 2 30 40\n", "line 1: expected frame id .*'1_0' is no number"),
        ("k.txt", "0 1 Car 0 0 -10 1 2 30 \u0664\u0660\n", "line 1: expected frame id .*is no number"),
        ("v.xml", "<annotations><track id='1'><box frame='0' xtl='1_0'/></track></annotations>", "line 1: .* as xtl"),
    ],
)
def test_numbers_that_cannot_be(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=rf"{name}, {message}"):
        read_tables(tmp_path / name, None, Notes())


def yolo(tmp_path, **files):
    (tmp_path / "labels").mkdir()
    for name, text in files.items():
        (tmp_path / "labels" / f"{name}.txt").write_text(text)
    return tmp_path


def test_yolo_labels(tmp_path):
    """With scores, with a row that has no id yet, and frames from 1."""
    folder = yolo(
        tmp_path, street_2="0 0.5 0.5 0.1 0.2 0.9 7\n2 0.1 0.1 0.1 0.1 0.8\n", street_11="0 0.5 0.5 0.1 0.2 0.7 7"
    )
    (tmp_path / "data.yaml").write_text("names: {0: person, 2: car}\n")
    notes = Notes()
    (table,) = read_yolo(folder, notes, (200, 100))
    assert (table.name, table.frame.tolist(), table.id.tolist()) == ("street", [1, 10], [7, 7])
    assert table.score.tolist() == [0.9, 0.7]
    np.testing.assert_allclose(table.xyxy[0], [90, 40, 110, 60])
    assert names_of(table) == ["person", "person"]
    assert "1 rows without an id were left out" in notes.lines[0]


def test_yolo_class_names_in_another_encoding(tmp_path):
    folder = yolo(tmp_path, v_1="1 0.5 0.5 0.1 0.2 0.9 7\n")
    (folder / "classes.txt").write_bytes("café\r\ncar\r\n".encode("latin-1"))
    (table,) = read_yolo(folder, Notes(), (200, 100))
    assert names_of(table) == ["car"]


def test_yolo_labels_without_scores(tmp_path):
    folder = yolo(tmp_path, v_1="0 0.5 0.5 0.1 0.2 7\n0 0.2 0.5 0.1 0.2 8\n")
    (table,) = read_tables(folder, None, Notes(), size=(200, 100))
    assert (table.id.tolist(), table.score.tolist()) == ([7, 8], [1, 1])


@pytest.mark.parametrize(
    ("files", "size", "message"),
    [
        ({"v_1": "0 0.5 0.5 0.1 0.2 7"}, None, "give its size: --size"),
        ({"v_1": "0 0.5 0.5 0.1 0.2 0.91"}, (9, 9), "holds no ids; were these saved by `predict`"),
        ({"v_1": "0 0.5 0.5 0.1 0.2"}, (9, 9), "holds no ids"),
        ({"v_1": "0 0.5 0.5 0.1"}, (9, 9), r"v_1\.txt, line 1: expected class, x, y"),
        ({"v_1": "0.5 0.5 0.5 0.1 0.1 3"}, (9, 9), r"v_1\.txt, line 1: expected class"),
        ({"v_1": "0 0.5 0.5 0.1 0.2 7\n0 0.5 0.5 0 0.2 8"}, (9, 9), r"v_1\.txt, line 2: the box has no area"),
        ({"street": "0 0.5 0.5 0.1 0.2 7"}, (9, 9), r"street\.txt: expected NAME_FRAME"),
        ({"v_1": "0 0.5 0.5 0.1 -inf 0.9 7"}, (9, 9), r"v_1\.txt, line 1: expected class, x, y"),
        ({"v_1": "0 0.5 0.5 0.1 0.2 0.9 1_0"}, (9, 9), r"v_1\.txt, line 1: expected class, x, y"),
    ],
)
def test_hostile_labels(tmp_path, files, size, message):
    with pytest.raises(DataError, match=message):
        read_yolo(yolo(tmp_path, **files), Notes(), size)


def test_command_line(tmp_path, reacquire):
    (tmp_path / "a.txt").write_text("1,1,10,10,30,60,1,1,0.5\n2,1,12,10,30,60,1,14,0.5\n")
    done = reacquire("convert", tmp_path / "a.txt", tmp_path / "a.xml")
    assert done.code == 0, done.stderr
    assert "1 sequence, 2 boxes, 1 ids" in done.stdout
    assert "CVAT for video 1.1 has no place for shares that are visible: left out" in done.stderr
    assert (tmp_path / "a.xml").read_text().count("<track ") == 2
    again = reacquire("convert", tmp_path / "a.txt", tmp_path / "a.xml")
    assert again.code == 1
    assert "--overwrite replaces it" in again.stderr
    assert not list(tmp_path.glob("*.partial*"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.txt", "x.json"], 1, "none.txt: no such file"),
        (["a.txt", "x.txt", "--to", "pdf"], 1, "format 'pdf' is unknown; there are: mot"),
        (["a.txt", "x", "--to", "yolo"], 1, "this format is only read"),
        (["a.txt", "x.json", "--size", "big"], 2, "expected WIDTHxHEIGHT"),
    ],
)
def test_command_line_mistakes(tmp_path, monkeypatch, reacquire, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("1,1,10,10,30,60,1,1,0.5\n")
    done = reacquire("convert", *arguments)
    assert done.code == code
    assert message in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_several_sequences_need_a_folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / f"in/{name}.txt").write_text("1,1,10,10,30,60,1,1,0.5\n")
    for name in ("one.txt", "one.xml"):
        with pytest.raises(DataError, match="one file takes one sequence, and there are 2"):
            convert(tmp_path / "in", tmp_path / name)
    shutil.copytree(tmp_path / "in", tmp_path / "labels")
    tables, _ = convert(tmp_path / "in", tmp_path / "all.parquet")
    assert [t.name for t in tables] == ["a", "b"]


def test_whole_numbers_may_be_written_as_fractions(tmp_path):
    """As programs write them that know floats alone."""
    FORMATS["coco"].write(tmp_path / "a.json", [RUN], Notes())
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "b.json").write_text(re.sub(r'("\w*id": )(\d+)', r"\1\2.0", text))
    (one,), (two,) = (read_tables(tmp_path / name, None, Notes()) for name in ("a.json", "b.json"))
    assert (two.frame.tolist(), two.id.tolist()) == (one.frame.tolist(), one.id.tolist()) == ([0, 1, 1], [1, 1, 2])
