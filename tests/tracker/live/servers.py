"""Cameras, brokers and web servers on the loopback address, that die with the test."""

import functools
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

SYSTEM_PYTHON = "/usr/bin/python3"
NEEDED = "gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-base, -good, -bad and -ugly"


@functools.cache
def has_rtsp_server():
    code = (
        "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0');"
        "from gi.repository import Gst; Gst.init(None); assert Gst.ElementFactory.find('x264enc')"
    )
    try:
        return subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def need_rtsp_server():
    if not has_rtsp_server():
        pytest.skip(f"no RTSP server: install the Debian packages python3-gi, {NEEDED}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RtspCamera:
    """`rtsp_server.py` in a process of its own."""

    def __init__(self, frames, epoch, *, size, rate, port=0, wait=False):
        self.epoch = epoch
        script = Path(__file__).with_name("rtsp_server.py")
        words = [SYSTEM_PYTHON, script, frames, *size, rate, epoch, port, *(["wait"] if wait else [])]
        self.process = subprocess.Popen(
            [str(w) for w in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if not wait:
            self.opened()

    def opened(self):
        """Wait until its port is open."""
        self.port = int(self.process.stdout.readline())
        self.address = f"rtsp://viewer:s3cret@127.0.0.1:{self.port}/camera"

    def tell(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@contextmanager
def rtsp_cameras(clip, *, size=(384, 288), rate=10):
    """A function that starts RTSP cameras which show the clip, all in step."""
    need_rtsp_server()
    started = []
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / "frames.i420"
        write_i420(clip, frames, size)
        epoch = time.time()

        def start(**options):
            started.append(RtspCamera(frames, epoch, size=size, rate=rate, **options))
            return started[-1]

        try:
            yield start
        finally:
            for camera in started:
                if camera.process.poll() is None:
                    camera.kill()


BITS, BIT = 12, 16
"""Each picture's number in the clip is written into its upper left corner, as so many squares of so many pixels."""


def write_i420(clip, path, size):
    with av.open(str(clip)) as container, path.open("wb") as file:
        for number, frame in enumerate(container.decode(video=0)):
            planes = frame.reformat(*size, format="yuv420p").to_ndarray()
            for i in range(BITS):
                planes[:BIT, i * BIT : (i + 1) * BIT] = 235 if number >> i & 1 else 16
            file.write(np.ascontiguousarray(planes).tobytes())


def number_in(image):
    """The number that `write_i420` wrote into a picture."""
    row = image[BIT // 4 : 3 * BIT // 4, : BITS * BIT].mean(axis=(0, 2)).reshape(BITS, BIT)
    return sum(1 << i for i, bright in enumerate(row[:, BIT // 4 : -BIT // 4].mean(1)) if bright > 128)


class Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def serve(handler, port=0):
    http.server.ThreadingHTTPServer.allow_reuse_address = True
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def pictures(clip, *, size, rate, seconds):
    """The clip's pictures, in real time."""
    began, number = time.monotonic(), 0
    while True:
        with av.open(str(clip)) as container:
            for frame in container.decode(video=0):
                wait = began + number / rate - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                if number > seconds * rate:
                    return
                yield number, frame.reformat(*size, format="yuv420p")
                number += 1


def transport_stream(clip, *, size=(384, 288), rate=10, seconds=600):
    """A handler that sends the clip as MPEG-TS over HTTP, in real time."""

    class Handler(Quiet):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            try:
                with av.open(self.wfile, "w", format="mpegts", options={"flush_packets": "1"}) as container:
                    options = {"tune": "zerolatency", "preset": "ultrafast", "g": str(rate)}
                    stream = container.add_stream("libx264", rate=rate, options=options)
                    stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
                    for number, picture in pictures(clip, size=size, rate=rate, seconds=seconds):
                        picture.pts, picture.time_base = number, Fraction(1, rate)
                        container.mux(stream.encode(picture))
            except (OSError, av.FFmpegError):
                pass

    return Handler


def motion_jpeg(clip, *, size=(192, 144), rate=10, seconds=600):
    """A handler that sends the clip as Motion JPEG over HTTP, in real time."""

    class Handler(Quiet):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            try:
                for _, picture in pictures(clip, size=size, rate=rate, seconds=seconds):
                    jpeg = cv2.imencode(".jpg", picture.to_ndarray(format="bgr24"))[1].tobytes()
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:
                pass

    return Handler


class Collector(Quiet):
    """Takes webhooks; `collector` makes one."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.answers.pop(0) if self.answers else 204
        if status < 300:
            type(self).bodies.append(json.loads(body))
            type(self).tokens.append(self.headers.get("Authorization"))
        self.send_response(status)
        self.end_headers()


def collector(*answers):
    """A `Collector` that gives these statuses first, then 204."""
    return type("Collector", (Collector,), {"answers": list(answers), "bodies": [], "tokens": []})


@contextmanager
def broker(port):
    """A mosquitto."""
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not os.path.exists(program):
        pytest.skip("no MQTT broker: install the Debian package mosquitto")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        config = Path(folder) / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        config.chmod(0o644)
        process = subprocess.Popen([program, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: can_connect(port), 10, "the broker listens")
            yield process
        finally:
            process.kill()
            process.wait()


def can_connect(port):
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(condition, seconds, what):
    """Wait until `condition()` is true; its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)
