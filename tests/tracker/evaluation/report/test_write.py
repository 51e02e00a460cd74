"""What is in the page: numbers that are the evaluation's, pictures within bounds, costs, and nothing that can run."""

import base64
import itertools
import json
import re

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracker.association.explain import Record
from tracker.config import load_recipe
from tracker.errors import DataError
from tracker.evaluation.evaluate import evaluate
from tracker.evaluation.frames import find_frames
from tracker.evaluation.report import content, costs, write_report
from tracker.evaluation.report.views import PICTURE, cut
from tracker.sources import open_source


def content_of(path):
    """The data in a page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_the_numbers_are_those_of_the_evaluation(make_run, tmp_path):
    gt, run = make_run({"S1": {(20, 0), (40, 0)}, "S2": set()})
    scores = write_report(tmp_path / "r.html", gt, {"mine": run}, benchmark="mot17")
    expected = evaluate(gt, run, benchmark="mot17")
    page = content_of(tmp_path / "r.html")
    for name, score in expected.items():
        assert scores["mine"][name].full() == score.full()
        assert page["runs"][0]["numbers"][name]["full"] == pytest.approx(score.full(), abs=1e-6)
    assert len(page["runs"][0]["numbers"]["S1"]["curves"]["HOTA"]) == len(page["thresholds"]) == 19
    first, second = page["sequences"]
    assert [e["kind"] for e in first["errors"][0]] == ["switch", "split", "switch"]
    assert [e["frame"] for e in first["errors"][0]] == [20, 20, 40]
    assert second["errors"] == [[]]
    assert first["identities"][0]["by"][0]["switches"] == 2


def test_two_runs_are_shown_with_their_difference(make_run, tmp_path):
    gt, b = make_run({"S1": {(20, 0)}}, run="b")
    _, a = make_run({"S1": {(20, 0), (30, 1)}}, run="a")
    write_report(tmp_path / "r.html", gt, {"a": a, "b": b})
    page = content_of(tmp_path / "r.html")
    assert page["differences"]["IDSW"]["verdict"] == "too few sequences to tell"
    assert page["caution"].startswith("one sequence")
    assert [len(row["by"]) for row in page["sequences"][0]["identities"]] == [2] * 4
    with pytest.raises(DataError, match="one tracker or two, got 3"):
        write_report(tmp_path / "r.html", gt, {"a": a, "b": b, "c": a})


def test_pictures_come_from_the_frames_and_are_bounded(make_run, tmp_path):
    gt, run = make_run({"S1": {(20, 1)}, "S2": {(f, 0) for f in range(10, 50, 4)}}, images=True)
    seen = []
    write_report(tmp_path / "r.html", gt, {"run": run}, progress=lambda *at: seen.append(at))
    page = content_of(tmp_path / "r.html")
    before, after = page["sequences"][0]["errors"][0][0]["views"]
    for view in (before, after):
        image = cv2.imdecode(np.frombuffer(base64.b64decode(view["picture"]), np.uint8), cv2.IMREAD_COLOR)
        assert image.shape[1] <= PICTURE[0]
        assert image.shape[0] <= PICTURE[1]
        middle = image[image.shape[0] // 2, image.shape[1] // 2].astype(int)
        assert np.abs(middle - [40, 60, 200]).max() < 30  # the second object's colour
    assert seen[-1][0] == seen[-1][1]
    assert page["pictures"]["shown"] == page["pictures"]["wanted"] > 10
    write_report(tmp_path / "few.html", gt, {"run": run}, pictures=4)
    few = content_of(tmp_path / "few.html")
    shown = [
        sum("picture" in v for e in s["errors"][0] if e["kind"] == "switch" for v in e["views"])
        for s in few["sequences"]
    ]
    assert few["pictures"]["shown"] == 4
    assert min(shown) >= 1  # one sequence does not take all


def test_what_is_left_out_is_left_out_evenly(make_run, tmp_path, monkeypatch):
    gt, run = make_run({"S": {(f, f % 4) for f in range(2, 102)}}, frames=110)
    monkeypatch.setattr(content, "MOST_ERRORS", 25)
    write_report(tmp_path / "r.html", gt, {"run": run})
    sequence = content_of(tmp_path / "r.html")["sequences"][0]
    frames = [e["frame"] for e in sequence["errors"][0]]
    assert sequence["found"] == [104]
    assert len(frames) == 25
    assert frames == sorted(frames)
    assert frames[0] < 10
    assert frames[-1] > 94
    assert max(b - a for a, b in itertools.pairwise(frames)) < 10


def test_a_window_past_the_frame_is_filled_up():
    image = np.full((100, 100, 3), 200, np.uint8)
    crop = cv2.imdecode(np.frombuffer(cut(image, (-60, 0, 120, 160)), np.uint8), cv2.IMREAD_COLOR)
    assert crop.shape[:2] == (160, 120)
    assert abs(int(crop[50, 20, 0]) - 127) < 12
    assert abs(int(crop[50, 100, 0]) - 200) < 12
    assert abs(int(crop[140, 100, 0]) - 127) < 12
    huge = cv2.imdecode(
        np.frombuffer(cut(image, (-(10**6), -(10**6), 3 * 10**6, 4 * 10**6)), np.uint8), cv2.IMREAD_COLOR
    )
    assert huge.shape[0] <= PICTURE[1] + 1
    assert cut(image, (500, 500, 60, 80))  # wholly outside


def test_names_are_text_and_never_markup(make_run, tmp_path):
    hostile = "<img src=x onerror=alert(1)><!--"
    gt, run = make_run({hostile: {(20, 0)}, "B": set()})
    write_report(tmp_path / "r.html", gt, {"</script><script>alert(2)//": run})
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<img" not in text
    assert "alert(2)" in text
    assert text.count("<script") == text.count("</script>") == 2
    assert hostile in content_of(tmp_path / "r.html")["runs"][0]["numbers"]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http:" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in text


def record_of(rows):
    """A record in the engine's own columns; the terms that are not given are NaN."""
    empty = Record().take(load_recipe("sort"))
    nothing = dict.fromkeys(empty.column_names, float("nan")) | {"serial": 0, "x1": 0.0, "score": 0.9}
    return pa.table({name: [(nothing | row)[name] for row in rows] for name in empty.column_names})


def test_costs_of_a_recorded_run_are_shown(make_run, tmp_path):
    """Track 1 was refused beyond its gate in frame 20, where track 5 took the box; other frames are not told."""
    gt, run = make_run({"S": {(20, 0)}})
    old = {"track_id": 1, "stage": "1: iou", "verdict": "beyond the gate", "matched": False, "cost": 0.9, "gate": 0.7}
    new = {"track_id": 5, "stage": "birth", "verdict": "matched", "matched": True, "detection": 3}
    other = {"track_id": 2, "stage": "1: iou", "verdict": "matched", "matched": True, "cost": 0.1, "gate": 0.7}
    rows = [
        *({"frame": f, "detection": 3, **old} for f in (17, 19)),
        {"frame": 19, **new},
        {"frame": 19, "detection": 4, **other},
    ]
    pq.write_table(record_of(rows), run / "S.explain.parquet")
    write_report(tmp_path / "r.html", gt, {"run": run})
    sequence = content_of(tmp_path / "r.html")["sequences"][0]
    assert sequence["recorded"] == [True]
    switch = next(e for e in sequence["errors"][0] if e["kind"] == "switch")
    assert [(c["frame"], c["track"], c["verdict"], c["cost"]) for c in switch["costs"]] == [
        (20, 1, "beyond the gate", 0.9),
        (20, 5, "matched", None),
    ]
    pq.write_table(record_of([{"frame": 17, "detection": 2, **old}, *rows[2:]]), run / "S.explain.parquet")
    record = costs.Record(run / "S.explain.parquet").of_switch(20, 1, 5, 10)
    assert [(c["frame"], c["track"]) for c in record] == [(18, 1), (20, 5)]  # when it was last compared
    pq.write_table(pa.table({"frame": [1]}), run / "S.explain.parquet")
    with pytest.raises(DataError, match=r"S\.explain\.parquet: no record of a run: column 'stage' is missing"):
        write_report(tmp_path / "r.html", gt, {"run": run})


def test_where_frames_are_looked_for(make_run, tmp_path):
    gt, run = make_run({"S": {(20, 0)}}, images=True)
    truth = gt / "S" / "gt" / "gt.txt"
    assert find_frames("S", truth) == gt / "S"
    assert find_frames("S", truth, gt) == gt / "S"
    assert find_frames("S", truth, gt / "S") == gt / "S"
    assert find_frames("S", truth, gt / "S" / "img1") == gt / "S"
    (gt / "S").rename(gt / "S-FRCNN")
    assert find_frames("S", truth, gt) == gt / "S-FRCNN"
    assert find_frames("T", truth, gt) is None
    (gt / "T.mp4").write_bytes(b"")
    assert find_frames("T", truth, gt) == gt / "T.mp4"
    with pytest.raises(DataError, match="no such folder or video of frames"):
        find_frames("S", truth, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no frames of any sequence; looked for S-FRCNN/img1"):
        write_report(tmp_path / "r.html", gt / "S-FRCNN", {"run": run / "S.txt"}, frames=tmp_path / "empty")
    assert not (tmp_path / "r.html").exists()


def test_only_the_frames_that_are_wanted_are_read(make_run):
    gt, _ = make_run({"S": set()}, images=True, frames=10)
    for number in (1, 3, 4, 6, 7, 8, 9, 10):
        if number > 1:
            (gt / "S" / "img1" / f"{number:06d}.jpg").write_bytes(b"broken")
    with open_source(gt / "S") as source:
        assert [f.index for f in source.at({4, 1, 77})] == [1, 4]
        assert source.problem is None


def test_frames_out_of_a_video(clip):
    with open_source(clip) as source:
        found = {f.index: f.image for f in source.at({5, 2})}
    with open_source(clip, max_frames=6) as source:
        expected = {f.index: f.image for f in source}
    assert list(found) == [2, 5]
    assert all((found[i] == expected[i]).all() for i in found)
