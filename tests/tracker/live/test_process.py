"""`reacquire live` as a process: stopped and killed at moments of all kinds."""

import json
import random
import signal
import subprocess
import sys
import time

import av
import pytest
import yaml

from tests.tracker.live.servers import Quiet, serve, until

# A detector that costs nothing, so that what is tried here is not its speed.
LIVE = """
import sys
import numpy as np
import tracker.live.service as service
from tracker.types import Detections

class Walker:
    class_names = {0: "person"}
    def describe(self):
        return {}
    def detect(self, frames):
        return [self.see(frame) for frame in frames]
    def see(self, frame):
        # Somebody new stands elsewhere every third of a second.
        self.count = getattr(self, "count", 0) + 1
        x = 40 * (self.count // 4 % 7)
        return Detections(np.array([[x, 10, x + 30, 100]], np.float32), [0.9])

service.load_networks = lambda settings: (Walker(), None)
HOOK
from tracker.cli import main
main()
"""
RECIPE = {
    "stages": [{"tracks": ["confirmed", "lost", "tentative"], "cost": "iou", "gate": 0.9}],
    "death": {"lost_seconds": 0.3},
}


class Service:
    """The command, with its log."""

    def __init__(self, place, cameras, *, hook="", **settings):
        content = {"cameras": [{"tracker": RECIPE} | c for c in cameras], "folder": str(place / "out")} | settings
        (place / "cameras.yaml").write_text(yaml.safe_dump(content))
        words = ["live", str(place / "cameras.yaml"), "--no-page"]
        self.log = (place / f"log{time.monotonic_ns()}").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-c", LIVE.replace("HOOK", hook), *words], stdout=self.log, stderr=self.log
        )

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def ready(self):
        until(lambda: "ready" in self.text() or self.process.poll() is not None, 120, "it is ready")
        assert self.process.poll() is None, self.text()
        return self

    def stop(self, number):
        """The exit code. It takes three seconds at most, and more on a machine that has much else to do."""
        self.process.send_signal(number)
        return self.process.wait(8)


@pytest.fixture
def live(tmp_path):
    started = []

    def start(cameras, **settings):
        started.append(Service(tmp_path, cameras, **settings))
        return started[-1]

    yield start
    for service in started:
        service.process.kill()
        service.process.wait()
        service.log.close()


class Flapping(Quiet):
    """Cameras of all kinds that fail: by path."""

    def do_GET(self):  # noqa: N802
        kind = self.path[1:].rstrip("0123456789")
        if kind == "hangs":
            time.sleep(60)
        elif kind == "refuses":
            self.send_error(404)
        elif kind == "ends":
            self.send_response(200)
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\nnonsense!\r\n")
                    time.sleep(0.05)
            except OSError:
                pass


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_whatever_cameras_do_and_whichever_thread_gets_the_signal(number, live, clip):
    chance = random.Random(number)
    kinds = ("hangs", "refuses", "ends", "nonsense")
    with serve(Flapping) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        cameras = [{"name": "good", "source": str(clip), "target_fps": 5}]
        cameras += [
            {"name": f"{kind}{i}", "source": f"{address}/{kind}{i}", "first_pause": 0.05, "longest_pause": 0.1}
            for i in range(6)
            for kind in kinds
        ]
        cameras += [{"name": f"nobody{i}", "source": "http://127.0.0.1:9/x", "longest_pause": 0.5} for i in range(4)]
        for _ in range(2):
            service = live(cameras).ready()
            time.sleep(chance.uniform(0.2, 2))
            assert service.stop(number) == 0
            assert "stopped" in service.text()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_disk_that_hangs_does_not_hold_it_up(live, clip, tmp_path):
    """The last checkpoint, recordings and events wait for ever."""
    hook = """
import os, threading, time
def hangs(number):
    if os.path.exists(sys.argv[-2] + ".hang"):
        time.sleep(600)
os.fsync = hangs
"""
    service = live([{"name": "a", "source": str(clip), "record": {"min_free_gb": 0}}], hook=hook).ready()
    time.sleep(1)
    (tmp_path / "cameras.yaml.hang").write_text("")
    assert service.stop(signal.SIGTERM) == 0


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_two_interrupts_leave_with_130(live, clip):
    """Also where stopping hangs, and without an abort."""
    hook = "service.LiveService.stop = lambda self: __import__('time').sleep(600)"
    service = live([{"name": "a", "source": str(clip)}], hook=hook).ready()
    service.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert service.stop(signal.SIGINT) == 130


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_number_comes_twice_however_often_it_is_killed(live, clip, tmp_path):
    """Checkpoints are rare, or never whole, or gone."""
    chance = random.Random(7)
    camera = {"name": "a", "source": str(clip), "target_fps": 25}
    settings = {"checkpoint": {"every_seconds": 1.5, "valid_seconds": 0}}
    entered, seen = [], 0
    for trial in range(6):
        service = live([camera], **settings).ready()
        lines = tmp_path / "out/events.jsonl"
        until(lambda: lines.exists() and lines.read_text().count("\n") > seen + 3, 60, "somebody entered")  # noqa: B023
        time.sleep(chance.uniform(0, 2))
        if trial == 3:
            assert service.stop(signal.SIGTERM) == 0
        service.process.kill()
        service.process.wait()
        told = [line for line in lines.read_text().splitlines() if line.endswith("}")]
        entered.append([json.loads(line) for line in told][seen:])
        seen = len(told)
        checkpoint = tmp_path / "out/checkpoint.npz"
        if trial == 1:
            checkpoint.write_bytes(checkpoint.read_bytes()[:500] if checkpoint.exists() else b"x")
        if trial == 2:
            checkpoint.unlink(missing_ok=True)
        if trial == 4:
            (tmp_path / "out/numbers.json").write_bytes(b"{}")
    numbers = [event["number"] for run in entered for event in run]
    ids = [event["track"] for run in entered for event in run if event["kind"] == "entered"]
    assert len(numbers) == len(set(numbers)) > 20
    assert len(ids) == len(set(ids)) > 10


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_full_disk_stops_what_is_written_and_not_the_tracking(live, clip, small_disk, tmp_path):
    folder = small_disk(400)
    cameras = [{"name": n, "source": str(clip), "target_fps": 25, "record": {"min_free_gb": 0}} for n in ("a", "b")]
    service = live(cameras, folder=str(folder)).ready()
    until(lambda: "record a: " in service.text() and "record b: " in service.text(), 60, "the disk is full")
    assert "the disk is full" in service.text()
    time.sleep(2)
    assert service.process.poll() is None
    assert service.stop(signal.SIGTERM) == 0
    assert service.text().count("record a: ") <= 2  # told once, and not at every attempt
    for path in folder.rglob("*.mp4"):
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) > 0
