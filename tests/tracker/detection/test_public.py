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
    detector = load_detector(write(tmp_path, "2,-1,10,20,30,40,0.5,-1,-1,-1\n1,-1,1,2,3,4,0.9\n2,-1,5,5,5,5,0.25\n"))
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
    assert "row 1: a value is NaN" in detector.warnings[0]
    assert "row 2: no width or height" in detector.warnings[1]


def test_corners_where_sizes_belong_are_told(tmp_path):
    rows = [f"{t},-1,{300 + t},200,{340 + t},300,0.9" for t in range(1, 31)]  # x1,y1,x2,y2
    detector = load_detector(write(tmp_path, "\n".join(rows)))
    with pytest.raises(DataError, match="columns 5 and 6 look like x2,y2"):
        for t in range(30):
            detector.detect([Frame(np.zeros((480, 400, 3), np.uint8), t, 0.0)])


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
        ("1,-1,1,2,3,4,1\n0,-1,1,2,3,4,1\n", r"det\.txt, row 2: frame 0; frames in a MOT file begin at 1"),
        ("1,-1,1,2\n", r"det\.txt, line 1: expected frame,id,left,top,width,height,score; got '1,-1,1,2'"),
        ("1,-1,1,2,3,4,1\n\n1,-1,a,2,3,4,1\n", r"det\.txt, line 3: expected numbers"),
    ],
)
def test_errors_name_file_and_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_detector(write(tmp_path, text))


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="no such detection file"):
        load_detector(f"public:{tmp_path / 'none.txt'}")


def test_real_detections(data):
    detector = load_detector(f"public:{data / 'mot15/TUD-Campus/det/det.txt'}")
    assert sum(map(len, detector.detect([frame(i) for i in range(71)]))) > 250
