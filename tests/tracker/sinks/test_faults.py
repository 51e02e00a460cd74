"""Disks that fail at any moment: the reason is told, nothing hangs, and no half file has a final name."""

import errno
import json
import os

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from reid.files import reserve, write_json
from tracker import Detections, Frame, ReacquireError, Tracks
from tracker.sinks import FORMATS, open_sink
from tracker.sinks.mp4 import Mp4Writer
from tracker.sinks.video import VideoSink

pytestmark = pytest.mark.timeout(120)  # what hangs would hang for ever
NOISE = np.random.default_rng(0).integers(0, 255, (4, 96, 128, 3), np.uint8)
FRAMES = 40


def fill(name, folder):
    """Write as a run does: close it whatever happens; the error that came first."""
    try:
        sink = open_sink(name, folder)
    except ReacquireError as error:
        return error
    return written(sink)


def written(sink):
    first = None
    try:
        for i in range(FRAMES):
            tracks = Tracks([1, 2], [[i, 1, 9, 9]] * 2, [0.5] * 2, [0, 0], [0, 1], [1, 1])
            sink.write(Frame(NOISE[i % 4], i, i / 10), Detections.empty(), tracks)
    except ReacquireError as error:
        first = error
    try:
        sink.close()
    except ReacquireError as error:
        first = first or error
    return first


def rows(name, path):
    """How many rows or pictures a file holds, all of them whole."""
    if name == "video":
        with av.open(str(path)) as container:
            return sum(1 for _ in container.decode(video=0))
    if name == "parquet":
        return pq.read_table(path).num_rows
    lines = path.read_text().splitlines()
    assert path.read_text().endswith("\n") or not lines
    if name == "jsonl":
        assert all(json.loads(line) for line in lines)
        return len(lines)
    assert all(len(line.split(",")) == {"mot": 10, "csv": 11}[name] for line in lines)
    return len(lines) - (name == "csv" and bool(lines))


@pytest.fixture(params=sorted(set(FORMATS) - {"analytics"}))  # a folder of several: see test_analytics.py
def name(request):
    return request.param


def test_a_disk_that_is_full_at_any_byte(name, tmp_path, files_no_larger_than, monkeypatch):
    monkeypatch.setattr("tracker.sinks.parquet.PART_ROWS", 20)
    monkeypatch.setattr("tracker.sinks.parquet.PART_SECONDS", np.inf)  # not by the clock: else sizes differ
    whole = tmp_path / "whole"
    whole.mkdir()
    assert fill(name, whole) is None
    path = whole / FORMATS[name]
    size, expected = path.stat().st_size, rows(name, path)
    assert expected == (FRAMES if name == "video" else 2 * FRAMES)
    rng = np.random.default_rng(1)
    for trial, limit in enumerate([0, 1, 30, size - 1, *rng.integers(1, size, 8).tolist()]):
        folder = tmp_path / str(trial)
        folder.mkdir()
        with files_no_larger_than(int(limit)):
            error = fill(name, folder)
        assert "cannot be written: File too large" in str(error)
        path = folder / FORMATS[name]
        if name in ("video", "parquet"):  # whole under its name, or not there
            assert not path.exists()
        else:
            assert rows(name, path) < expected
            assert rows(name, path) % 2 == 0  # a frame's rows are there together
        parts = [p.name for p in folder.iterdir()]
        assert parts in ([], [FORMATS[name]], [FORMATS[name] + ".parts"])
        assert not list(folder.rglob("*.partial*"))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_error_when_all_is_written_but_not_yet_on_the_disk(call, name, tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    sink = open_sink(name, tmp_path)
    if call == "fsync":
        monkeypatch.setattr(os, "fsync", fails)
    else:
        monkeypatch.setattr("pathlib.Path.replace", fails)
    error = written(sink)
    if name in ("mot", "csv", "jsonl"):
        assert error is None
        assert rows(name, tmp_path / FORMATS[name]) == 2 * FRAMES
    else:
        assert "the disk is full" in str(error)
        assert not (tmp_path / FORMATS[name]).exists()
        assert not list(tmp_path.rglob("*.partial*"))


def test_a_file_that_cannot_be_opened(name, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ReacquireError, match="cannot be written"):
        raise fill(name, tmp_path / "file")


@pytest.mark.parametrize("frames", [1, 5])
def test_a_short_video_on_a_full_disk_ends(frames, tmp_path):
    """All its pictures are taken before the first byte is written."""
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    (tmp_path / "v.partial.mp4").symlink_to("/dev/full")
    sink = VideoSink(tmp_path / "v.mp4", 10)
    for i in range(frames):
        sink.write(Frame(NOISE[0], i, i / 10), Detections.empty(), Tracks.empty())
    with pytest.raises(ReacquireError, match="the disk is full"):
        sink.close()


def test_whatever_goes_wrong_in_the_encoders_thread_is_raised(tmp_path):
    def draw(frame, tracks):
        raise KeyError("of a library")

    sink = VideoSink(tmp_path / "v.mp4", 10, draw=draw)
    with pytest.raises(KeyError, match="of a library"):
        for i in range(200):
            sink.write(Frame(NOISE[0], i, i / 10), Detections.empty(), Tracks.empty())
    with pytest.raises(KeyError):
        sink.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["12:30:00", "rtsp:", "http:x", "-f", "a%d b#c?d"])
def test_a_folder_whose_name_looks_like_an_address(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / place
    folder.mkdir()
    sink = open_sink("video", folder.relative_to(tmp_path))
    assert written(sink) is None
    with (folder / "tracks.mp4").open("rb") as file, av.open(file) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES


def test_fragments_that_are_whole_stay(tmp_path, files_no_larger_than):
    def record(path, limit):
        with files_no_larger_than(limit), Mp4Writer(path, (128, 96), fragments=True, fast=True, threads=1) as video:
            for i in range(FRAMES):
                video.write(NOISE[i % 4], i / 10, key=i % 10 == 0)

    record(tmp_path / "whole.mp4", 10**9)
    size = (tmp_path / "whole.mp4").stat().st_size
    seen = set()
    rng = np.random.default_rng(2)
    for trial, limit in enumerate([0, 1, 700, 1500, size - 1, *rng.integers(1, size, 12).tolist()]):
        path = tmp_path / f"{trial}.mp4"
        with pytest.raises(ReacquireError, match="File too large"):
            record(path, int(limit))
        seen.add(rows("video", path) if path.exists() else 0)
        if path.exists():
            assert path.stat().st_size <= limit
    assert seen == {0, 10, 20, 30}


def test_what_cannot_be_encoded_is_an_error_in_words(tmp_path):
    with pytest.raises(ReacquireError, match="pictures of 1×300 pixels are too small"):
        Mp4Writer(tmp_path / "v.mp4", (1, 300))
    video = Mp4Writer(tmp_path / "v.mp4", (128, 96), fragments=True)
    for seconds in (1.0, 1.1):
        video.write(NOISE[0], seconds)
    with pytest.raises(ReacquireError, match="cannot be encoded"):
        for seconds in (0.5, *np.arange(2.0, 12.0, 0.1).tolist()):  # time runs back
            video.write(NOISE[0], seconds)
    with pytest.raises(ReacquireError):
        video.close()
    assert not list(tmp_path.iterdir())


def test_the_end_of_a_record_has_its_place_on_a_full_disk(small_disk):
    folder = small_disk(200)
    path = folder / "run.json"
    write_json(path, {"status": "running"})
    reserve(path, 50_000)
    with pytest.raises(OSError, match="No space"):
        (folder / "filler").write_bytes(b"x" * 500_000)
    write_json(path, {"status": "failed", "why": "x" * 40_000})
    assert json.loads(path.read_text())["status"] == "failed"
    assert sorted(p.name for p in folder.iterdir()) == ["filler", "run.json"]
