"""`reacquire live` from outside: stops at once, starts again with the same ids, and keeps passwords to itself."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import wave
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from tests.tracker.live.boxes import iou
from tests.tracker.live.servers import rtsp_cameras, until

COMMAND = [sys.executable, "-m", "tracker.cli", "live"]


def write(path, content):
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def run(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, timeout=120)


def test_check_says_what_is_in_a_file(root, monkeypatch):
    monkeypatch.setenv("GATE_PASSWORD", "s3cret")
    said = run(root / "configs/cameras.example.yaml", "--check")
    assert said.returncode == 0
    assert "gate" in said.stderr
    assert "192.168.1.20" in said.stderr
    assert "s3cret" not in said.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"cameras": [{"name": "a", "sauce": "rtsp://u:s3cret@h"}]}, "did you mean 'source'"),
        ({"cameras": [{"name": "a", "source": "rtsp://u:s3cret@h", "classes": ["persn"]}]}, "persn"),
        ({"cameras": [{"name": "a", "source": "file:///no/such%20film.mp4"}]}, "no such file"),
        ({"cameras": [{"name": "a", "source": "file://another/film.mp4"}]}, "files of another machine"),
        ({"cameras": [{"name": "gate", "source": "cameras.yaml"}]}, "gate: .*cameras.yaml: not a video"),
        ({"cameras": [{"name": "gate", "source": "song.wav"}]}, "gate: .*song.wav: .*no video"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, content, message):
    with wave.open(str(tmp_path / "song.wav"), "wb") as song:
        song.setparams((1, 2, 8000, 8000, "NONE", ""))
        song.writeframes(bytes(16000))
    said = run(write(tmp_path / "cameras.yaml", content), "--check")
    assert said.returncode == 1
    assert re.search(message, " ".join(said.stderr.split()))
    assert "s3cret" not in said.stderr
    assert "Traceback" not in said.stderr


@pytest.fixture
def silent_camera():
    """Takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(10)
        yield server.getsockname()[1]


def start(path, tmp_path, number, **environment):
    """The command with the page on, and the page's port."""
    log = (tmp_path / f"log{number}").open("w+")
    process = subprocess.Popen(
        [*COMMAND, str(path), "--port", "0"], stderr=log, stdout=log, env=os.environ | environment
    )
    said = until(
        lambda: re.search(r"page is at http://127.0.0.1:(\d+)", Path(log.name).read_text()), 120, "the page is on"
    )
    return process, log, int(said[1])


def watch(port):
    """Two who watch the pictures, of whom one reads nothing, and one who hears events."""
    viewers = []
    for path in ("cameras/gate/stream", "stream", "events/stream"):
        viewer = socket.create_connection(("127.0.0.1", port), 10)
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        viewer.sendall(f"GET /api/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        viewers.append(viewer)
    for viewer in (viewers[0], viewers[2]):
        threading.Thread(target=drain, args=(viewer,), daemon=True).start()
    return viewers


def drain(viewer):
    with suppress(OSError):
        while viewer.recv(65536):
            pass


def stop(process, log):
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code = process.wait(20)
    seconds = time.monotonic() - began
    log.seek(0)
    text = log.read()
    assert code == 0, text
    assert seconds < 3, text
    return text


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sigterm_stops_at_once_and_a_restart_keeps_the_ids(clip, tmp_path, silent_camera):
    with rtsp_cameras(clip, size=(512, 384)) as begin:
        camera = begin()
        hanging = f"rtsp://u:s3cret@127.0.0.1:{silent_camera}/x"
        cameras = [
            {"name": "gate", "source": camera.address, "target_fps": 5, "frozen_seconds": 0},
            {"name": "hangs", "source": hanging, "open_seconds": 60},
        ]
        path = write(tmp_path / "cameras.yaml", {"cameras": cameras, "folder": str(tmp_path / "out")})
        tables = tmp_path / "out/tracks/gate"
        process, log, port = start(path, tmp_path, 1)
        until(lambda: list(tables.glob("*.parts/*.parquet")) or process.poll() is not None, 240, "it tracks")
        viewers = watch(port)
        time.sleep(2)
        camera.tell("freeze")  # nobody moves while it is away
        time.sleep(3)
        text = stop(process, log)
        stopped = time.time()

        assert viewers[1].recv(100).startswith(b"HTTP/1.1 200")
        process, log, _ = start(path, tmp_path, 2)
        until(lambda: list(tables.glob("*.parts/*.parquet")) or process.poll() is not None, 60, "it tracks again")
        text += stop(process, log)
    assert "s3cret" not in text
    assert "tracks of" in text
    before, after = (
        pq.read_table(p).to_pydict() for p in sorted(tables.glob("*.parquet"), key=lambda p: p.stat().st_mtime)
    )
    assert before["timestamp"][-1] < stopped < after["timestamp"][0]
    ids, again = last_boxes(before), last_boxes(after)
    pairs = [(i, j) for i in ids for j in again if iou(ids[i][None], again[j][None])[0, 0] > 0.8]
    print(f"restart: {sum(i == j for i, j in pairs)} of {len(pairs)} ids kept")  # noqa: T201
    assert len(pairs) >= 4
    assert all(i == j for i, j in pairs)
    assert min(set(after["id"]) - set(before["id"]), default=10**9) > max(before["id"])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sigterm_stops_at_once_while_everything_is_compiled(clip, tmp_path):
    content = {"cameras": [{"name": "gate", "source": str(clip)}], "folder": str(tmp_path / "out")}
    path = write(tmp_path / "cameras.yaml", content)
    process, log, _ = start(path, tmp_path, 1, REACQUIRE_CACHE=str(tmp_path / "cache"))
    assert "stopped" in stop(process, log)


def last_boxes(table):
    """Boxes of the last frame, by id."""
    end = table["timestamp"][-1]
    corners = np.array([table[name] for name in ("x1", "y1", "x2", "y2")]).T
    return {i: box for i, t, box in zip(table["id"], table["timestamp"], corners, strict=True) if t == end}
