"""Live sources against servers on the loopback address."""

import http.server
import io
import threading
import time
from contextlib import contextmanager

import av
import numpy as np

from tracker import open_source
from tracker.sources.live import LiveSource, Picture
from tracker.sources.stream import NetworkStream


@contextmanager
def serve(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


def transport_stream(frames=50, rate=25):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=rate, options={"g": "5", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(frames):
            image = np.full((48, 64, 3), 4 * i % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def live_handler(content, paced_seconds):
    """Sends a transport stream in pieces over some seconds, without a length, then hangs up."""

    class Handler(Quiet):
        connections = 0

        def do_GET(self):
            Handler.connections += 1
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            piece = len(content) // 20
            try:
                for at in range(0, len(content), piece):
                    self.wfile.write(content[at : at + piece])
                    time.sleep(paced_seconds / 20)
            except OSError:
                pass

    return Handler


def test_a_password_is_not_in_a_streams_name():
    assert "s3cret" not in NetworkStream("rtsp://admin:s3cret@127.0.0.1:1/x").name


def test_a_finished_file_over_http_ends(clip):
    content = clip.read_bytes()

    class Handler(Quiet):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content)
            except OSError:
                pass

    with serve(Handler) as address, open_source(f"{address}/plaza.mp4", max_frames=12) as source:
        assert not source.live
        assert source.length == 12
        assert len(list(source)) == 12


def test_a_live_stream_that_ends_is_lost_and_found_again():
    said = []
    handler = live_handler(transport_stream(), paced_seconds=0.5)
    with serve(handler) as address:
        source = NetworkStream(f"{address}/live.ts", report=said.append, first_pause=0.1, max_frames=60)
        with source:
            times = [frame.timestamp for frame in source]
    assert len(times) == 60
    assert (np.diff(times) > 0).all()
    assert handler.connections >= 2
    assert any("lost" in line for line in said)
    assert any("back" in line for line in said)


def test_nobody_there_is_tried_again_with_growing_pauses():
    said = []
    source = NetworkStream("http://127.0.0.1:9/none", report=said.append, attempts=4, first_pause=0.05)
    began = time.monotonic()
    with source:
        assert list(source) == []
    assert "given up after 4 attempts" in source.problem
    assert len(said) == 1  # told once while the reason stays
    assert time.monotonic() - began > 0.05 * (0.5 + 1 + 2)


class Endless(LiveSource):
    """A hundred pictures a second, the number of each in its corner."""

    kind = "stream"

    def _pictures(self):
        for i in range(100_000):
            time.sleep(0.01)
            image = np.zeros((4, 4, 3), np.uint8)
            image[0, 0] = i // 256, i % 256, 0
            yield Picture(i / 100, lambda image=image: image)


def test_a_slow_consumer_gets_the_newest_frame():
    source = Endless("fast")
    with source:
        frames = iter(source)
        next(frames)
        time.sleep(0.5)
        image = next(frames).image
    assert int(image[0, 0, 0]) * 256 + int(image[0, 0, 1]) > 25
    assert source.dropped > 20


def test_close_from_another_thread_ends_the_iteration():
    source = Endless("fast")
    threading.Timer(0.2, source.close).start()
    began = time.monotonic()
    assert sum(1 for _ in source) > 3
    assert time.monotonic() - began < 3
