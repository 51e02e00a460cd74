import numpy as np
import pytest

from tracker import DataError, Frame
from tracker.detection import load_detector


def write(tmp_path, text):
    path = tmp_path / "det.txt"
    path.write_text(text)
    return f"public:{path}"


def frame(index):
    return Frame(np.zeros((480, 640, 3), np.uint8), index, 0.0)


def test_rows_come_by_frame_as_corners(tmp_path):
    detector = load_detector(write(tmp_path, "2,-1,10,20,30,40,0.5\n1,-1,1,2,3,4,0.9\n2,-1,5,5,5,5,0.25\n"))
    none, first, second = detector.detect([frame(7), frame(0), frame(1)])
    assert len(none) == 0
    assert first.xyxy.tolist() == [[1, 2, 4, 6]]
    assert second.xyxy.tolist() == [[10, 20, 40, 60], [5, 5, 10, 10]]
    assert second.score.tolist() == [0.5, 0.25]


def test_missing_score_is_one(tmp_path):
    assert load_detector(write(tmp_path, "1,-1,1,2,3,4\n")).detect([frame(0)])[0].score.tolist() == [1]


def test_scores_of_old_detectors_are_scaled(tmp_path):
    found = load_detector(write(tmp_path, "1,-1,1,2,3,4,50\n1,-1,1,2,3,4,25\n1,-1,1,2,3,4,-3\n")).detect([frame(0)])[0]
    assert found.score.tolist() == [1, 0.5, 0]


def test_useless_rows_are_dropped_and_counted(tmp_path):
    detector = load_detector(write(tmp_path, "1,-1,1,2,nan,4,1\n1,-1,1,2,-3,4,1\n1,-1,1,2,3,4,1\n"))
    assert detector.dropped == 2
    assert len(detector.detect([frame(0)])[0]) == 1
    assert detector.describe()["dropped_rows"] == 2
    assert "line 1: a value is NaN" in detector.warnings[0]
    assert "line 2: no width or height" in detector.warnings[1]


def test_corners_where_sizes_belong_are_told(tmp_path):
    rows = [f"{t},-1,{300 + t},200,{340 + t},300,0.9" for t in range(1, 31)]  # x1,y1,x2,y2
    detector = load_detector(write(tmp_path, "\n".join(rows)))
    with pytest.raises(DataError, match="columns 5 and 6 look like x2,y2"):
        for t in range(30):
            detector.detect([Frame(np.zeros((480, 400, 3), np.uint8), t, 0.0)])


def test_parts_of_the_picture_are_no_pixels(tmp_path):
    rows = [f"{t},-1,0.{300 + t},0.2,0.05,0.2,0.9" for t in range(1, 31)]
    detector = load_detector(write(tmp_path, "\n".join(rows)))
    with pytest.raises(DataError, match="columns 3 to 6 look like parts of its size"):
        for t in range(30):
            detector.detect([frame(t)])


@pytest.mark.parametrize("row", ["1,10.5,20,30,40,0.9,-1,-1,-1", "1,0.9,-1,10,20,30,40,-1,-1"])
def test_a_shifted_column_is_told(tmp_path, row):
    with pytest.raises(DataError, match=r"line 2 .*is a column missing, or one too many\?"):
        load_detector(write(tmp_path, f"1,7,10,20,30,40,0.9,-1,-1\n{row}\n"))


def test_boxes_outside_the_picture_are_dropped_and_counted(tmp_path):
    detector = load_detector(
        write(tmp_path, "1,-1,-50,10,40,40,1\n1,-1,5,5,10,10,1\n1,-1,-5,5,10,10,1\n1,-1,900,5,10,10,1\n")
    )
    found = detector.detect([Frame(np.zeros((480, 640, 3), np.uint8), 0, 0.0)])[0]
    assert found.xyxy[:, 0].tolist() == [5, -5]
    assert detector.dropped == detector.describe()["dropped_rows"] == 2
    assert len(detector.warnings) == 1
    assert "outside the picture dropped, first in frame 1: [-50.0" in detector.warnings[0]


def test_people_at_the_edge_are_no_mistake(tmp_path):
    rows = [f"{t},-1,350,300,100,250,0.9" for t in range(1, 31)]
    detector = load_detector(write(tmp_path, "\n".join(rows)))
    for t in range(30):
        assert len(detector.detect([Frame(np.zeros((480, 400, 3), np.uint8), t, 0.0)])[0]) == 1


def test_least_score(tmp_path):
    detector = load_detector(write(tmp_path, "1,-1,1,2,3,4,0.2\n1,-1,1,2,3,4,0.8\n"), score=0.5)
    assert len(detector.detect([frame(0)])[0]) == 1


def test_an_empty_file_is_no_detections(tmp_path):
    assert len(load_detector(write(tmp_path, "")).detect([frame(0)])[0]) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,-1,1,2,3,4,1\n0,-1,1,2,3,4,1\n", r"det\.txt, line 2 \(0,.*: frames in a MOT file begin at 1"),
        ("1,-1,1,2\n", r"det\.txt, line 1: expected frame,id,left,top,width,height,score,.* got 4: '1,-1,1,2'"),
        ("1,-1,1,2,3,4,1\n\n1,-1,a,2,3,4,1\n", r"det\.txt, line 3: expected a number, got 'a'"),
        ("1.5,-1,1,2,3,4,1\n", r"det\.txt, line 1 \(1\.5,.*the frame is no whole number"),
        ("1e300,-1,1,2,3,4,1\n", r"det\.txt, line 1 \(1e\+300,.*so many frames are too many"),
        ("1,-1,,1,5,5,0.9\n", r"det\.txt, line 1: expected a number, got ''"),
        ("1,-1,1,2,3,4,0.9\n1,-1,1,2,3,4\n", r"det\.txt, line 2: .*as in line 1 \(7 values\), got 6"),
        ("1_0,-1,1,2,3,4,1\n", r"det\.txt, line 1: expected a number, got '1_0'"),
        ("1,-1,1,2,3,\u0664,1\n", r"det\.txt, line 1: expected a number"),
        ("1;-1;1;2;3;4;1\n", r"det\.txt, line 1: expected frame,id.*got 1"),
        ("id,frame,x,y,w,h\n-1,1,1,2,3,4\n", r"line 1: the header calls column 1 'id', but it must be frame"),
        ("frame,id,x1,y1,x2,y2\n1,-1,1,2,3,4\n", r"line 1: the header calls column 5 'x2', but it must be width"),
    ],
)
def test_errors_name_file_and_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_detector(write(tmp_path, text))


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: "\ufeff" + text,
        lambda text: "frame,id,x,y,w,h,conf\n" + text,
        lambda text: "\ufeff# Frame ID, Track_ID, bb_left, bb_top, bb_width, bb_height, Confidence\n" + text,
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", "  "),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", ",,,\n"),
        lambda text: text.replace("2,-1", "2.0,-1.0"),
    ],
)
def test_ways_to_write_the_same(tmp_path, rewrite):
    (tmp_path / "det.txt").write_bytes(rewrite("2,-1,10,20,30,40,0.5\n1,-1,1,2,3,4,0.9\n").encode())
    first, second = load_detector(f"public:{tmp_path / 'det.txt'}").detect([frame(0), frame(1)])
    assert (first.xyxy.tolist(), second.xyxy.tolist()) == ([[1, 2, 4, 6]], [[10, 20, 40, 60]])
    np.testing.assert_allclose([first.score[0], second.score[0]], [0.9, 0.5], atol=1e-6)


def test_a_file_in_sixteen_bits(tmp_path):
    (tmp_path / "det.txt").write_text("1\t-1\t1\t2\t3\t4\t0.9\r\n", encoding="utf-16")
    assert load_detector(f"public:{tmp_path / 'det.txt'}").detect([frame(0)])[0].xyxy.tolist() == [[1, 2, 4, 6]]


@pytest.mark.parametrize(
    ("scores", "read", "told"),
    [
        (("-1", "-1"), [1, 1], "every score is -1: taken as not known, and counted as 1"),
        (("0", "0"), [1, 1], "every score is 0: taken as not known"),
        (("-2", "-1"), [0, 0], "no score is above 0, so all count as 0: nothing will be tracked"),
        (("0.5", "-1"), [0.5, 0], "1 rows have the score -1, which counts as 0"),
        (("0.5", "-0.2"), [0.5, 0], None),
    ],
)
def test_scores_that_are_not_known_are_told(tmp_path, scores, read, told):
    detector = load_detector(write(tmp_path, "".join(f"1,-1,1,2,3,4,{score}\n" for score in scores)))
    assert detector.detect([frame(0)])[0].score.tolist() == read
    assert [told in line for line in detector.warnings] == ([True] if told else [])


def test_places_that_cannot_be_are_dropped(tmp_path):
    detector = load_detector(write(tmp_path, "1,-1,1,2,1e300,4,1\n1,-1,1000,2,1e-5,4,1\n1,-1,1,2,3,4,1\n"))
    assert detector.dropped == 2
    assert len(detector.detect([frame(0)])[0]) == 1
    assert "line 1: so far off" in "".join(detector.warnings)
    assert "line 2: no width or height" in "".join(detector.warnings)


def test_rows_beyond_the_end_are_told(tmp_path):
    found = load_detector(write(tmp_path, "1,-1,5,5,10,20,1\n3,-1,5,5,10,20,1\n4,-1,5,5,10,20,1\n"))
    found.end(4)
    assert not found.warnings
    found.end(2)
    (line,) = found.warnings
    assert "2 rows are of frames beyond the last, 2 (the file goes to 4): is it of another video?" in line


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_detector(f"public:{tmp_path / 'none.txt'}")


def test_real_detections(data):
    detector = load_detector(f"public:{data / 'mot15/TUD-Campus/det/det.txt'}")
    assert sum(map(len, detector.detect([frame(i) for i in range(71)]))) > 250
