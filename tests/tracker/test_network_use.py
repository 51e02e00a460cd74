"""No network is used: not one name is looked up, and nobody is called."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, os, socket, sys

asked = []


def near(host):
    return host in (None, "", b"", "localhost", "127.0.0.1", "::1", "0.0.0.0")


def watched(name, function):
    def call(*arguments, **options):
        host = arguments[0] if arguments else options.get("host")
        if not near(host):
            asked.append(f"{name} {host}")
            raise OSError("there is no network here")
        return function(*arguments, **options)

    return call


for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "create_connection"):
    setattr(socket, name, watched(name, getattr(socket, name)))


class Socket(socket.socket):
    def _watch(self, name, address):
        if self.family != getattr(socket, "AF_UNIX", None) and not near(address[0]):
            asked.append(f"{name} {address}")
            raise OSError("there is no network here")

    def connect(self, address):
        self._watch("connect", address)
        return super().connect(address)

    def connect_ex(self, address):
        self._watch("connect_ex", address)
        return super().connect_ex(address)

    def sendto(self, data, *more):
        self._watch("sendto", more[-1])
        return super().sendto(data, *more)


socket.socket = Socket

from tracker.cli import main

done = []
for line in json.loads(sys.argv[1]):
    if line[0] == "export":  # by Ultralytics, of its own checkpoint
        from tracker.detection.ultralytics_settings import prepare

        prepare()
        from ultralytics import YOLO

        YOLO(line[1]).export(format="onnx", imgsz=64, simplify=False)
        done.append(0)
        continue
    sys.argv = ["reacquire", *line]
    try:
        main()
        done.append(0)
    except SystemExit as leaving:
        done.append(leaving.code or 0)
import ultralytics.utils
from ultralytics.utils.events import events

told = {"asked": asked, "done": done, "online": ultralytics.utils.ONLINE, "events": events.enabled}
print("RESULT", json.dumps(told))
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint as Ultralytics writes it, of random weights."""
    import torch
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel("yolov8n.yaml", nc=2, verbose=False)
    model.names, model.task = {0: "person", 1: "car"}, "detect"
    model.args = {"task": "detect", "imgsz": 64}
    path = tmp_path_factory.mktemp("weights") / "mine.pt"
    torch.save({"model": model.half(), "train_args": {"imgsz": 64, "task": "detect"}, "epoch": -1}, path)
    return path


def test_no_host_is_looked_up_and_no_settings_of_the_user_are_written(root, checkpoint, clip, tmp_path):
    """From a fresh cache and home, in a process of its own, in which Ultralytics doesn't know that it is tested."""
    track = ["track", str(clip), "--max-frames", "2", "--save", "mot", "--overwrite", "--out", str(tmp_path / "t")]
    commands = [
        ["doctor"],
        ["demo", "--max-frames", "2", "--out", str(tmp_path / "demo")],
        [*track, "--detector", str(checkpoint)],
        ["export", str(checkpoint)],
        [*track, "--detector", str(checkpoint.with_suffix(".onnx"))],
        ["reid", "export", "--out", str(tmp_path / "default.onnx")],
    ]
    home = tmp_path / "home"
    home.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("YOLO_", "XDG_", "PYTEST", "REACQUIRE_"))}
    environment = kept | {"HOME": str(home), "PYTHONPATH": str(root)}
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(commands)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    results = [line for line in told.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, told.stderr
    result = json.loads(results[0].removeprefix("RESULT "))
    assert result["asked"] == []
    assert result["done"][1:] == [0, 0, 0, 0, 0], told.stderr
    assert result["done"][0] in (0, 1)  # what a machine lacks is the doctor's to say
    assert (result["online"], result["events"]) == (False, False)
    assert not (home / ".config").exists()
    assert (home / ".cache/reacquire/Ultralytics/settings.json").exists()
