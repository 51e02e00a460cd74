"""Each kind of stream gives pictures with true times, and lets go at once."""

import time

import numpy as np
import pytest

from tests.tracker.live.servers import motion_jpeg, rtsp_cameras, serve, transport_stream
from tracker.sources.stream import NetworkStream

pytestmark = pytest.mark.timeout(120)


def times(address, count=15, **options):
    source = NetworkStream(address, open_seconds=5, read_seconds=5, **options)
    with source:
        source.start()
        taken = []
        end = time.monotonic() + 20
        while len(taken) < count and time.monotonic() < end:
            picture = source.take()
            if picture is not None:
                assert picture.image.mean() > 20  # never a black one
                taken.append(picture.timestamp)
            time.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < 2.5
    assert len(taken) == count, source.connection
    return np.array(taken)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtsp(clip, transport):
    with rtsp_cameras(clip) as start:
        steps = np.diff(times(start().address, transport=transport))
    assert np.isclose(np.median(steps), 0.1, atol=0.005)  # the camera's clock, without the network's jitter
    assert steps.max() < 1


def test_mpeg_ts_over_http(clip):
    with serve(transport_stream(clip)) as server:
        steps = np.diff(times(f"http://127.0.0.1:{server.server_port}/live.ts"))
    assert np.isclose(np.median(steps), 0.1, atol=0.005)


def test_motion_jpeg_has_no_clock_so_arrival_is_the_time(clip):
    with serve(motion_jpeg(clip, rate=5)) as server:  # FFmpeg would say 25 a second
        steps = np.diff(times(f"http://127.0.0.1:{server.server_port}/video.mjpg", count=8))
    assert 0.15 < np.median(steps) < 0.25


def test_a_wrong_password_or_path_is_told(clip):
    with rtsp_cameras(clip) as start:
        said = []
        address = start().address.replace("/camera", "/attic")
        source = NetworkStream(address, report=said.append, first_pause=0.1, attempts=2)
        assert list(source) == []
    assert "404" in said[0] or "Not Found" in said[0]
    assert "s3cret" not in " ".join(said) + source.name + source.problem


def test_a_server_that_sends_nothing_times_out():
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"rtsp://127.0.0.1:{server.getsockname()[1]}/x"
        source = NetworkStream(address, open_seconds=0.5, first_pause=0.1, attempts=2)
        began = time.monotonic()
        assert list(source) == []
    assert 1 < time.monotonic() - began < 8
    assert "given up after 2 attempts" in source.problem
