import json
import os
import signal
import subprocess
import sys
import threading
import time

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reid.files import write_json
from tracker import ConfigError, Detections, Frame, ReacquireError, Tracks
from tracker.formats.registry import read_tables
from tracker.formats.table import Notes
from tracker.run.folder import create_run_folder, run_folder
from tracker.sinks import FORMATS, open_sink
from tracker.sinks.annotate import Annotator
from tracker.sinks.parquet import SCHEMA
from tracker.sinks.video import VideoSink
from tracker.sinks.window import WindowSink


def frame_at(index, size=(64, 48), seconds=None):
    image = np.full((size[1], size[0], 3), 100, np.uint8)
    return Frame(image, index, index / 10 if seconds is None else seconds, "test")


def some_tracks(*ids, unseen=()):
    boxes = [[2.0 + i, 3, 22 + i, 33] for i in range(len(ids))]
    n = len(ids)
    rows = [-1 if i in unseen else row for row, i in enumerate(ids)]
    return Tracks(list(ids), np.reshape(boxes, (n, 4)), [0.5] * n, [0] * n, rows, [1] * n)


def fill(sink, frames=5, ids=(3, 8), size=(64, 48)):
    with sink:
        for i in range(frames):
            sink.write(frame_at(i, size), Detections.empty(), some_tracks(*ids))
    return sink.path


@pytest.fixture(params=sorted(FORMATS))
def name(request):
    return request.param


def test_a_run_without_a_frame_is_no_failure(tmp_path, name):
    with open_sink(name, tmp_path):
        pass


def test_frames_without_tracks(tmp_path, name):
    assert fill(open_sink(name, tmp_path), ids=()).exists()


def test_mot_rows_are_one_based_and_left_top_width_height(tmp_path):
    lines = fill(open_sink("mot", tmp_path)).read_text().splitlines()
    assert len(lines) == 10
    assert lines[0] == "1,3,2.00,3.00,20.00,30.00,0.5000,-1,-1,-1"
    assert lines[-1].startswith("5,8,")


def test_json_lines(tmp_path):
    path = fill(open_sink("jsonl", tmp_path, class_names={0: "person"}))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows[3] == {
        "frame": 1,
        "timestamp": 0.1,
        "id": 8,
        "class_id": 0,
        "class": "person",
        "score": 0.5,
        "xyxy": [3.0, 3.0, 23.0, 33.0],
        "predicted": False,
    }


def test_csv(tmp_path):
    path = fill(open_sink("csv", tmp_path, class_names={0: 'a "person", mostly'}))
    lines = path.read_text().splitlines()
    assert lines[0] == "frame,timestamp,id,x1,y1,x2,y2,score,class_id,class,predicted"
    assert lines[4] == '1,0.1,8,3.00,3.00,23.00,33.00,0.5000,0,"a ""person"", mostly",false'


def test_every_table_of_a_run_reads_as_the_same(tmp_path):
    """MOT text has neither classes nor times; all others have all."""
    tables = {}
    for name in ("mot", "parquet", "csv", "jsonl"):
        with open_sink(name, tmp_path, class_names={0: "person"}) as sink:
            for i in range(4):
                sink.write(frame_at(i), Detections.empty(), some_tracks(3, 8, unseen=[3] if i == 2 else []))
        (tables[name],) = read_tables(sink.path, None, Notes())
    for name, table in tables.items():
        for column in ("frame", "id", "xyxy", "score"):
            np.testing.assert_allclose(getattr(table, column), getattr(tables["parquet"], column), err_msg=name)
        if name != "mot":
            np.testing.assert_allclose(table.time, tables["parquet"].time, atol=1e-6)
            assert table.predicted.tolist() == [False] * 4 + [True] + [False] * 3
            assert (table.labels, table.class_ids) == (("person",), (0,))


def test_parquet(tmp_path):
    path = fill(open_sink("parquet", tmp_path, class_names={0: "person"}))
    table = pq.read_table(path)
    assert table.schema.equals(SCHEMA)
    assert table.column("id").to_pylist() == [3, 8] * 5
    assert table.column("frame").to_pylist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert table.column("class").to_pylist() == ["person"] * 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tracks.parquet"]


def test_who_is_only_expected_is_told_from_who_was_seen(tmp_path):
    for name in ("jsonl", "parquet", "mot"):
        with open_sink(name, tmp_path) as sink:
            sink.write(frame_at(0), Detections.empty(), some_tracks(3, 8, unseen=[3]))
            sink.write(frame_at(1), Detections.empty(), some_tracks(3, 8, unseen=[8]))
    table = pq.read_table(tmp_path / "tracks.parquet")
    assert table["predicted"].to_pylist() == [True, False, False, True]
    lines = (tmp_path / "tracks.jsonl").read_text().splitlines()
    assert [json.loads(line)["predicted"] for line in lines] == [True, False, False, True]
    assert len((tmp_path / "tracks.txt").read_text().splitlines()) == 4


def test_parts_from_before_a_column_are_joined_with_empty_places(tmp_path):
    with open_sink("parquet", tmp_path) as sink:
        row = dict.fromkeys(SCHEMA.names, 1) | {"class": "person", "x2": 5.0, "y2": 9.0}
        old = pa.Table.from_pylist([row], SCHEMA.remove(SCHEMA.get_field_index("predicted")))
        pq.write_table(old, tmp_path / "tracks.parquet.parts/000000.parquet")
        sink._count = 1
        sink.write(frame_at(1), Detections.empty(), some_tracks(3))
    table = pq.read_table(tmp_path / "tracks.parquet")
    assert table["predicted"].to_pylist() == [None, False]
    (back,) = read_tables(sink.path, None, Notes())
    assert back.predicted.tolist() == [False, False]


def test_parquet_in_many_parts_is_one_table(tmp_path, monkeypatch):
    monkeypatch.setattr("tracker.sinks.parquet.PART_ROWS", 4)
    path = fill(open_sink("parquet", tmp_path), frames=11)
    assert pq.read_table(path).num_rows == 22


def test_video_plays_at_the_frames_times(tmp_path):
    times = [0.0, 0.1, 0.5, 0.6, 1.9]
    with open_sink("video", tmp_path, frame_rate=10) as sink:
        for i, seconds in enumerate(times):
            sink.write(frame_at(i, seconds=seconds), Detections.empty(), some_tracks(3))
    with av.open(str(sink.path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert [frame.time for frame in container.decode(stream)] == pytest.approx(times, abs=1e-3)
    content = sink.path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # a browser can begin before it has all


def test_video_of_an_odd_size(tmp_path):
    path = fill(open_sink("video", tmp_path), size=(65, 47))
    with av.open(str(path)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (64, 46)


def test_video_has_its_name_only_when_it_is_whole(tmp_path):
    sink = open_sink("video", tmp_path)
    for i in range(40):
        sink.write(frame_at(i), Detections.empty(), some_tracks(1))
    assert not (tmp_path / "tracks.mp4").exists()
    sink.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tracks.mp4"]


def test_video_thread_ends(tmp_path):
    fill(open_sink("video", tmp_path))
    assert not [t for t in threading.enumerate() if t.name == "encode"]


def test_a_failing_encoder_is_told_and_does_not_hang(tmp_path):
    sink = VideoSink(tmp_path / "missing-folder" / "x.mp4")
    with pytest.raises((ReacquireError, av.FFmpegError)):
        for i in range(200):
            sink.write(frame_at(i), Detections.empty(), some_tracks(1))
            time.sleep(0.001)
        sink.close()


@pytest.mark.parametrize("name", ["mot", "jsonl"])
def test_a_full_disk_is_an_error_in_words(name, tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    (tmp_path / FORMATS[name]).symlink_to("/dev/full")
    sink = open_sink(name, tmp_path)
    with pytest.raises(ReacquireError, match="the disk is full; what was written before stays readable"):
        sink.write(frame_at(0), Detections.empty(), some_tracks(1))


def test_an_unknown_format_lists_those_there_are(tmp_path):
    with pytest.raises(ConfigError, match="tiff: unknown format; there are: mot, parquet, csv, jsonl, video"):
        open_sink("tiff", tmp_path)


def test_no_display_is_said(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ReacquireError, match="no display"):
        WindowSink("x")


def test_drawing_leaves_the_frame_alone_and_keeps_colours():
    annotator = Annotator((200, 160))
    frame = frame_at(0, (200, 160))
    before = frame.image.copy()
    first = annotator.draw(frame, some_tracks(5))
    np.testing.assert_array_equal(frame.image, before)
    assert (first != before).any()
    other = Annotator((200, 160)).draw(frame, some_tracks(6))
    assert (first != other).any()
    again = Annotator((200, 160)).draw(frame, some_tracks(5))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("box", [[20, 40, 120, 150], [-40, 40, 120, 150], [120, 40, 260, 150]])
def test_who_is_only_expected_has_a_dashed_outline(box):
    frame, rest = frame_at(0, (200, 160)), ([0.5], [0])
    box = np.array([box], np.float32)
    inside = np.clip(box, 0, [199, 159, 199, 159])
    seen, unseen = (Tracks([5], b, *rest, [row], [1]) for b, row in ((box, 0), (box, -1)))
    drawn = []
    for tracks in (seen, unseen):
        image = Annotator((200, 160), trails=False).draw(frame, tracks)
        x1, _, x2, y2 = inside[0].astype(int)
        drawn.append((image != frame.image).any(axis=2)[y2, x1 : x2 + 1])
    assert drawn[0].all()
    assert 0.4 < drawn[1].mean() < 0.8
    assert (np.diff(drawn[1].astype(int)) != 0).sum() >= 8


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
import tracker.sinks.parquet as parquet
from tracker import Detections, Frame, Tracks
from tracker.formats.registry import read_tables
from tracker.formats.table import Notes
from tracker.sinks import FORMATS, open_sink
parquet.PART_SECONDS = 0.2
sinks = [open_sink(name, Path(sys.argv[1])) for name in FORMATS]
for i in range(100_000):
    frame = Frame(np.zeros((48, 64, 3), np.uint8), i, i / 10)
    for sink in sinks:
        sink.write(frame, Detections.empty(), Tracks([1], [[1, 1, 9, 9]], [0.5], [0], [0], [1]))
    print(i, flush=True)
    time.sleep(0.01)
"""


def test_a_killed_process_leaves_readable_files_and_no_half_video(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    written = 0
    for line in process.stdout:
        written = int(line)
        if written == 80:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    assert len((tmp_path / "tracks.txt").read_text().splitlines()) >= 80
    assert all(json.loads(line) for line in (tmp_path / "tracks.jsonl").read_text().splitlines())
    assert pq.read_table(tmp_path / "tracks.parquet.parts").num_rows > 20
    assert not (tmp_path / "tracks.mp4").exists()


def test_run_folders_are_never_overwritten_unasked(tmp_path):
    (tmp_path / "a" / "run").mkdir(parents=True)
    first = create_run_folder(tmp_path / "a" / "run")
    assert first == tmp_path / "a" / "run"  # it was empty
    assert create_run_folder(tmp_path / "a" / "run").name == "run-2"  # though nothing has been written yet
    write_json(first / "run.json", {"status": "done"})
    (first / "folder").mkdir()
    third = create_run_folder(tmp_path / "a" / "run")
    assert third.name == "run-3"
    assert json.loads((first / "run.json").read_text()) == {"status": "done"}
    assert create_run_folder(tmp_path / "a" / "run", overwrite=True) == first
    assert [path.name for path in first.iterdir()] == ["run.json"]
    assert json.loads((first / "run.json").read_text()) == {"status": "running"}


def test_a_run_that_goes_on_is_not_overwritten(tmp_path):
    with run_folder(tmp_path / "run") as folder:
        (folder / "tracks.txt").write_text("x")
        with pytest.raises(ReacquireError, match="another run writes there now"):
            create_run_folder(tmp_path / "run", overwrite=True)
        assert create_run_folder(tmp_path / "run").name == "run-2"
        assert (folder / "tracks.txt").exists()
    assert create_run_folder(tmp_path / "run", overwrite=True) == folder
    assert not (folder / "tracks.txt").exists()


def test_without_locks_a_folder_is_still_given_once(tmp_path, monkeypatch):
    monkeypatch.setattr("tracker.run.folder._lock", lambda folder: None)
    assert [create_run_folder(tmp_path / "run").name for _ in range(3)] == ["run", "run-2", "run-3"]


RACE = """
import sys
from pathlib import Path
from tracker.run.folder import create_run_folder
print("ready", flush=True)
for line in sys.stdin:
    print(create_run_folder(Path(line.strip())).name, flush=True)
"""


@pytest.mark.parametrize("there", [False, True])
def test_runs_that_begin_at_once_never_share_a_folder(there, tmp_path):
    command = [sys.executable, "-c", RACE]
    runs = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        assert [run.stdout.readline() for run in runs] == ["ready\n"] * 3
        for trial in range(60):
            wanted = tmp_path / str(trial) / "out"
            if there:
                wanted.mkdir(parents=True)
            for run in runs:
                run.stdin.write(f"{wanted}\n")
                run.stdin.flush()
            assert sorted(run.stdout.readline().strip() for run in runs) == ["out", "out-2", "out-3"]
    finally:
        for run in runs:
            run.kill()
            run.communicate()


def test_only_a_runs_folder_is_ever_emptied(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"x")
    assert create_run_folder(tmp_path / "photos", overwrite=True).name == "photos-2"
    assert (tmp_path / "photos" / "holiday.jpg").exists()


def test_a_folder_that_cannot_be_made_is_an_error_in_words(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ReacquireError, match="cannot be written"):
        create_run_folder(tmp_path / "file" / "run")
