import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from tracker import ConfigError, ReacquireError, SourceError
from tracker.config import load_pipeline_settings
from tracker.run.job import Job, ProgressListener
from tracker.run.result import Counts
from tracker.run.track import run
from tracker.types import Tracks


def job_of(source, out, **options):
    values = {"settings": load_pipeline_settings("default"), "max_frames": 15, "save": ("mot", "parquet", "jsonl")}
    return Job(source=str(source), out=out, **(values | options))


def test_a_run_leaves_its_files_and_a_record(clip, tmp_path):
    outcome = run(job_of(clip, tmp_path / "run", save=("mot", "parquet", "jsonl", "video")))
    names = {"tracks.txt", "tracks.parquet", "tracks.jsonl", "tracks.mp4", "run.json"}
    assert {p.name for p in outcome.files} == {p.name for p in (tmp_path / "run").iterdir()} == names
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["status"] == "done"
    assert record["frames"] == 15
    assert record["identities"] == len(outcome.counts.lives) > 0
    assert record["settings"]["tracker"]["name"] == "reacquire"
    assert len(record["detector"]["sha256"]) == len(record["embedder"]["sha256"]) == 64
    assert record["versions"]["numpy"]
    assert record["source"]["size"] == [768, 576]
    assert set(record["milliseconds_per_frame"]) == {"read", "detect", "embed", "track", "write"}
    rows = (tmp_path / "run/tracks.txt").read_text().splitlines()
    predicted = pq.read_table(tmp_path / "run/tracks.parquet")["predicted"].to_pylist()
    assert len(rows) == len(predicted) == record["boxes"] + record["predicted"]
    assert sum(predicted) == record["predicted"]
    with av.open(str(tmp_path / "run/tracks.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 15


def test_a_second_run_takes_a_new_folder(clip, tmp_path):
    first, second = (run(job_of(clip, tmp_path / "run", max_frames=2, save=("mot",))) for _ in range(2))
    assert [first.folder.name, second.folder.name] == ["run", "run-2"]
    third = run(job_of(clip, tmp_path / "run", max_frames=2, save=("mot",), overwrite=True))
    assert third.folder.name == "run"


def test_the_same_twice_is_the_same(clip, tmp_path):
    texts = [
        (run(job_of(clip, tmp_path / name, save=("mot",))).folder / "tracks.txt").read_text() for name in ("a", "b")
    ]
    assert texts[0] == texts[1] != ""


def test_a_wrong_source_costs_no_model_and_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tracker.factory.build_parts", lambda *_: pytest.fail("loaded a model"))
    with pytest.raises(SourceError, match="no such file"):
        run(job_of(tmp_path / "none.mp4", tmp_path / "run"))
    with pytest.raises(ConfigError, match="unknown format"):
        run(job_of(tmp_path / "none.mp4", tmp_path / "run", save=("gif",)))
    assert not (tmp_path / "run").exists()


def test_a_truncated_video_is_tracked_up_to_the_damage(clip, tmp_path):
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[:300_000])
    outcome = run(job_of(path, tmp_path / "run", max_frames=None, save=("mot",)))
    assert outcome.status == "damaged"
    assert "cut.mp4" in outcome.problem
    assert outcome.counts.frames > 20
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["status"] == "damaged"
    assert record["problem"] == outcome.problem


def test_an_error_finishes_the_files_and_is_recorded(clip, tmp_path):
    class Fails(ProgressListener):
        def stepped(self, step):
            if step.frame.index == 9:
                raise RuntimeError("the roof fell in")

    with pytest.raises(RuntimeError, match="roof"):
        run(job_of(clip, tmp_path / "run", save=("parquet", "video")), Fails())
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["status"] == "failed"
    assert "roof" in record["problem"]
    assert pq.read_table(tmp_path / "run/tracks.parquet").num_rows > 0
    with av.open(str(tmp_path / "run/tracks.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 10


ALL = ("mot", "jsonl", "parquet", "video")


@pytest.mark.timeout(300)
def test_a_disk_that_fills_up_ends_the_run_and_says_so(clip, small_disk):
    """With the disk smaller and smaller: at the end, in the middle, or as the first file is made."""
    settings = load_pipeline_settings("default", ["detector.image_size=160"], tracker="bytetrack")
    problems = set()
    for kilobytes in (250, 60, 44):
        folder = small_disk(kilobytes) / "run"
        with pytest.raises(ReacquireError, match="the disk is full") as failure:
            run(job_of(clip, folder, settings=settings, save=ALL, max_frames=60))
        record = json.loads((folder / "run.json").read_text())
        assert record["status"] == "failed"
        assert record["problem"] == str(failure.value)
        assert not (folder / "tracks.mp4").exists()
        assert not list(folder.rglob("*.partial*"))
        for path in folder.glob("tracks.txt"):
            assert all(len(line.split(",")) == 10 for line in path.read_text().splitlines())
        problems.add(Path(str(failure.value).split(": ")[0]).name)
    assert problems == {"tracks.partial.mp4", "run.json"}


def test_pictures_that_are_lost_or_scaled_are_in_the_record(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, size in enumerate([(96, 128), (96, 128), (192, 256), (96, 128)]):
        cv2.imwrite(str(folder / f"{number}.jpg"), np.full((*size, 3), 90, np.uint8))
    (folder / "1.jpg").write_bytes((folder / "1.jpg").read_bytes()[:40])
    (tmp_path / "det.txt").write_text("1,-1,10,10,40,60,0.9\n")
    settings = load_pipeline_settings("default", [f"detector.weights=public:{tmp_path}/det.txt"], tracker="sort")
    result = run(job_of(folder, tmp_path / "run", settings=settings, save=("mot",)))
    source = json.loads((tmp_path / "run/run.json").read_text())["source"]
    assert (result.counts.frames, source["lost"], source["rescaled"]) == (3, 1, 1)


@pytest.mark.parametrize("moment", ["open", "write", "close"])
def test_the_first_error_is_told_and_all_else_is_finished(moment, clip, tmp_path, monkeypatch):
    from tracker.sinks.parquet import ParquetSink

    def fails(*_):
        raise ReacquireError("tracks.parquet: the disk fell off")

    monkeypatch.setattr(ParquetSink, {"open": "__init__", "write": "write", "close": "close"}[moment], fails)
    with pytest.raises(ReacquireError, match="fell off"):
        run(job_of(clip, tmp_path / "run", save=("mot", "video", "parquet", "jsonl"), max_frames=4))
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert (record["status"], record["problem"]) == ("failed", "tracks.parquet: the disk fell off")
    if moment == "close":
        with av.open(str(tmp_path / "run/tracks.mp4")) as video:
            assert sum(1 for _ in video.decode(video=0)) == record["frames"] == 4
        assert len((tmp_path / "run/tracks.jsonl").read_text().splitlines()) == record["boxes"] + record["predicted"]


def test_a_refinement_that_fails_is_recorded(clip, tmp_path, monkeypatch):
    def fails(*_):
        raise ReacquireError("tracks.refined.txt: cannot be written: the disk is full")

    monkeypatch.setattr("tracker.run.track.refine_run", fails)
    with pytest.raises(ReacquireError, match=r"tracks\.refined"):
        run(job_of(clip, tmp_path / "run", refine="both", max_frames=4))
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert (record["status"], record["frames"]) == ("failed", 4)


def test_mot_sequence_with_public_detections(campus, tmp_path):
    settings = load_pipeline_settings("default", [f"detector.weights=public:{campus}/det/det.txt"], tracker="bytetrack")
    outcome = run(job_of(campus, tmp_path / "run", settings=settings, max_frames=None))
    assert outcome.counts.frames == 71
    assert 5 <= len(outcome.counts.lives) <= 15


def test_rows_that_were_dropped_are_told_and_recorded(clip, tmp_path):
    (tmp_path / "det.txt").write_text("1,-1,100,100,40,90,0.9\n1,-1,100,100,-4,90,0.9\n2,-1,5000,100,40,90,0.9\n")

    class Notes(ProgressListener):
        said: list[str] = []  # noqa: RUF012

        def say(self, line):
            self.said.append(line)

    settings = load_pipeline_settings("default", [f"detector.weights=public:{tmp_path}/det.txt"], tracker="sort")
    run(job_of(clip, tmp_path / "run", settings=settings, save=("mot",)), Notes())
    assert any("line 2: no width or height" in line for line in Notes.said)
    assert any("outside the picture" in line for line in Notes.said)
    assert json.loads((tmp_path / "run/run.json").read_text())["detector"]["dropped_rows"] == 2


def test_a_video_from_above(data, tmp_path):
    outcome = run(job_of(data / "video/crowd-from-above.mp4", tmp_path / "run", max_frames=8, save=("mot",)))
    assert outcome.counts.frames == 8


def start(arguments, cwd):
    command = [sys.executable, "-c", "from tracker.cli import main; main()", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd)


def wait_for_rows(path, rows, process):
    until = time.monotonic() + 90
    while time.monotonic() < until:
        if path.exists() and path.read_text().count("\n") >= rows:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    pytest.fail("no rows came")


def test_ctrl_c_finishes_the_files(clip, tmp_path):
    process = start(["track", str(clip), "--out", str(tmp_path / "run"), "--json"], tmp_path)
    wait_for_rows(tmp_path / "run/tracks.txt", 10, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    summary = json.loads(out)
    assert summary["status"] == "interrupted"
    assert 0 < summary["frames"] < 795
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "interrupted"
    with av.open(str(tmp_path / "run/tracks.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == summary["frames"]
    assert pq.read_table(tmp_path / "run/tracks.parquet").num_rows == summary["boxes"] + summary["predicted"]


HANGS = """
import sys, time
from tracker.cli import main
from tracker.sinks.text import LineSink
LineSink.close = lambda sink: time.sleep(600)  # a disk of the network that does not answer
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_twice_leaves_at_once_whatever_hangs(number, clip, tmp_path):
    words = ["track", str(clip), "--out", str(tmp_path / "run"), "--save", "mot,parquet", "-t", "bytetrack"]
    process = subprocess.Popen([sys.executable, "-c", HANGS, *words], stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    wait_for_rows(tmp_path / "run/tracks.txt", 5, process)
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=2)
    process.send_signal(number)
    process.communicate(timeout=15)
    assert process.returncode == 130
    assert all(len(line.split(",")) == 10 for line in (tmp_path / "run/tracks.txt").read_text().splitlines())


def test_ctrl_c_while_the_networks_are_loaded_leaves_at_once(clip, tmp_path):
    process = start(["track", str(clip), "--out", str(tmp_path / "run")], tmp_path)
    assert "loading" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_ctrl_c_while_a_camera_is_lost(tmp_path):
    """Nothing answers at that address; asking once must be enough."""
    process = start(["track", "http://127.0.0.1:9/none.ts", "--out", str(tmp_path / "run"), "--save", "mot"], tmp_path)
    until = time.monotonic() + 60
    while not (tmp_path / "run/run.json").exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=15)
    assert process.returncode == 130, err
    assert "trying again" in err
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "interrupted"


def test_kill_leaves_readable_files(clip, tmp_path):
    process = start(["track", str(clip), "--out", str(tmp_path / "run"), "--save", "mot,jsonl,video"], tmp_path)
    wait_for_rows(tmp_path / "run/tracks.jsonl", 20, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert all(json.loads(line) for line in (tmp_path / "run/tracks.jsonl").read_text().splitlines())
    assert all(len(line.split(",")) == 10 for line in (tmp_path / "run/tracks.txt").read_text().splitlines())
    assert not (tmp_path / "run/tracks.mp4").exists()
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "running"


def test_counts_counts_what_was_seen_not_what_was_predicted():
    counts = Counts()
    tracks = Tracks([1, 2], [[0, 0, 1, 1]] * 2, [1, 1], [0, 0], [0, -1], [1, 2])
    counts.count(3, tracks, 0.5)
    counts.count(3, tracks, 1.5)
    assert (counts.boxes, counts.predicted) == (2, 2)
    assert list(counts.lives) == [1]
    assert counts.longest(5)[0][1].last == 1.5
