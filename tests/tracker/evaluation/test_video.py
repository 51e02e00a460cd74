"""The video of an evaluation: what became of each box, and that it can be seen."""

import av
import cv2
import numpy as np
import pytest

from tracker.errors import DataError
from tracker.evaluation.benchmarks import rules_of
from tracker.evaluation.clear import clear
from tracker.evaluation.evaluate import prepare_files
from tracker.evaluation.video import COLOURS, CORRECT, FALSE, MISSED, SWITCHED, Verdicts, write_video
from tracker.types import Frame, Tracks

TRUTH = [(f, i, 60 + 120 * i) for f in range(1, 21) for i in (0, 1)]
"""Two objects; the first changes its track in frame 6, the second is missed from frame 11 on, and a third is false."""
RESULT = [
    *((f, 1 if f < 6 else 9, 60) for f in range(1, 21)),
    *((f, 2, 180) for f in range(1, 11)),
    *((f, 3, 300) for f in range(1, 21)),
]


@pytest.fixture
def sequence(tmp_path):
    folder = tmp_path / "S"
    (folder / "gt").mkdir(parents=True)
    (folder / "img1").mkdir()
    (folder / "gt/gt.txt").write_text("".join(f"{f},{i + 1},{x},80,60,120,1,1,1\n" for f, i, x in TRUTH))
    (folder / "seqinfo.ini").write_text("[Sequence]\nframeRate=10\nseqLength=20\nimWidth=480\nimHeight=320\n")
    (tmp_path / "S.txt").write_text("".join(f"{f},{i},{x},80,60,120,0.9,-1,-1,-1\n" for f, i, x in RESULT))
    for f in range(1, 21):
        cv2.imwrite(str(folder / "img1" / f"{f:06d}.png"), np.full((320, 480, 3), 60, np.uint8))
    return folder


def test_verdicts_are_those_of_clear(sequence, data):
    for truth, result, benchmark in (
        (sequence / "gt/gt.txt", sequence.parent / "S.txt", "none"),
        (data / "mot17/MOT17-05/gt/gt.txt", data / "mot17/tracks-LifT/MOT17-05.txt", "mot17"),
    ):
        ready = prepare_files(truth, result, rules_of(benchmark))
        found, counts = Verdicts(ready, 10), clear(ready.sequence)
        assert (found.state == FALSE).sum() == counts.FP
        assert (found.state != FALSE).sum() == counts.TP
        assert found.missed.sum() == counts.FN
        assert ((found.before > 0) == (found.state == SWITCHED)).all()


def test_a_switch_is_shown_for_a_second(sequence):
    found = Verdicts(prepare_files(sequence / "gt/gt.txt", sequence.parent / "S.txt", rules_of("none")), 10)
    shown = found.pred.frame[found.state == SWITCHED] + 1
    assert shown.tolist() == list(range(6, 16))
    assert set(found.before[found.state == SWITCHED].tolist()) == {1}


def test_the_colours_are_seen_in_the_video(sequence, tmp_path):
    seen = []
    write_video(tmp_path / "v.mp4", sequence, tmp_path / "S.txt", progress=lambda *at: seen.append(at))
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        pictures = [frame.to_ndarray(format="bgr24").astype(int) for frame in container.decode(video=0)]
    assert len(pictures) == 20
    assert seen[-1] == (20, 20)

    def near(picture, x, colour):
        edge = picture[100:190, x - 3 : x + 4].reshape(-1, 3)
        return np.abs(edge - np.array(COLOURS[colour])).sum(1).min() < 120

    assert near(pictures[2], 60, CORRECT)
    assert near(pictures[7], 60, SWITCHED)
    assert not near(pictures[2], 60, SWITCHED)
    assert near(pictures[18], 60, CORRECT)
    assert near(pictures[2], 300, FALSE)
    assert near(pictures[15], 180, MISSED)
    assert not near(pictures[2], 180, MISSED)


@pytest.mark.parametrize("size", [(160, 120), (320, 240), (1920, 1080)])
def test_the_whole_legend_is_in_the_picture(sequence, size):
    verdicts = Verdicts(prepare_files(sequence / "gt/gt.txt", sequence.parent / "S.txt", rules_of("none")), 10)
    blank = Frame(np.full((size[1], size[0], 3), 60, np.uint8), 500, 50.0, "S")  # past the end: no boxes
    drawn = verdicts.draw(blank, Tracks.empty()).astype(int)
    for state in (CORRECT, FALSE, SWITCHED, MISSED):
        assert (np.abs(drawn - np.array(COLOURS[state])).sum(2) < 12).sum() > 15, state


def test_mistakes_are_told(sequence, tmp_path):
    with pytest.raises(DataError, match="no frames for a video; looked for img1/ beside gt/: give --frames"):
        (sequence / "img1").rename(tmp_path / "pictures")
        write_video(tmp_path / "v.mp4", sequence, tmp_path / "S.txt")
    write_video(tmp_path / "v.mp4", sequence, tmp_path / "S.txt", frames=tmp_path / "pictures")
    (tmp_path / "T/gt").mkdir(parents=True)
    (tmp_path / "T/gt/gt.txt").write_text("1,1,1,1,9,9,1,1,1\n")
    with pytest.raises(DataError, match="a video shows one sequence, but here are 2"):
        write_video(tmp_path / "w.mp4", tmp_path, tmp_path)
    assert not (tmp_path / "w.mp4").exists()


def test_the_command_line(sequence, tmp_path, reacquire):
    arguments = ["eval", "--gt", sequence, "--pred", tmp_path / "S.txt"]
    done = reacquire(*arguments, "--report", tmp_path / "r.html", "--video", tmp_path / "v.mp4", "--json", "-")
    assert done.code == 0, done.stderr
    assert "report: " in done.stderr
    assert (tmp_path / "r.html").stat().st_size > 10_000
    assert (tmp_path / "v.mp4").stat().st_size > 1_000
    for wrong, words in (
        (["--report", "r.pdf"], "ends in .html"),
        (["--report", "none/r.html"], "no such folder"),
        (["--video", "v.avi"], "ends in .mp4"),
        (["--video", "v.mp4", "--pred", tmp_path / "S.txt"], "one tracker"),
        (["--video", "v.mp4", "-b", "kitti"], "kitti-car or kitti-pedestrian"),
        (["--frames", tmp_path], "--report and --video"),
    ):
        done = reacquire(*arguments, *wrong)
        assert done.code == 2, done.stderr
        assert words in " ".join(done.stderr.split())
