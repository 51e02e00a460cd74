"""What every live source does: clocks, pace, frozen pictures, states."""

import time
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.sources.live import CLOCK_JUMP, Frozen, LiveSource, Pace, Picture, StreamClock
from tracker.sources.stream import PlayedFile, Webcam, sampled, whole_frames


@given(st.lists(st.tuples(st.one_of(st.none(), st.floats(-1e6, 1e6)), st.floats(0, 3)), min_size=1, max_size=50))
def test_time_always_grows_and_stays_near_arrival(pictures):
    clock, arrival, last = StreamClock(100.0), 100.0, -1.0
    for seconds, step in pictures:
        arrival += step
        now = clock.at(seconds, arrival)
        assert now > last
        assert abs(now - (arrival - 100.0)) <= CLOCK_JUMP + 0.06
        last = now


def test_steps_are_the_streams_own_not_those_of_arrival():
    clock = StreamClock(0.0)
    jittered = [0.0, 0.13, 0.18, 0.35, 0.36, 0.52]
    times = [clock.at(50 + i / 10, 7 + late) for i, late in enumerate(jittered)]
    assert np.allclose(np.diff(times), 0.1)


def test_a_clock_that_begins_again_goes_on_by_arrival():
    clock = StreamClock(0.0)
    assert clock.at(1000.0, 5.0) == 5.0
    assert clock.at(0.0, 5.5) == 5.5
    assert np.isclose(clock.at(0.1, 5.7), 5.6)


@pytest.mark.parametrize(
    ("rate", "wanted", "expected"), [(30, 10, 10), (25, 10, 10), (10, 3, 3), (10, 10, 10), (7, 30, 7), (30, None, 30)]
)
def test_pace_passes_the_wanted_rate(rate, wanted, expected):
    pace, noise = Pace(wanted), np.random.default_rng(0)
    passed = [t for i in range(rate * 20) if pace.wants(t := i / rate + noise.uniform(-0.1, 0.1) / rate)]
    assert abs(len(passed) / 20 - expected) <= 0.1 * expected
    assert np.diff(passed).max() < 2.3 / min(rate, wanted or rate)


def encoded(images, *, crf="28", rate=10):
    """What a camera's encoder makes of pictures."""
    options = {"tune": "zerolatency", "preset": "ultrafast", "g": str(rate), "crf": crf}
    encoder, decoder = av.CodecContext.create("libx264", "w"), av.CodecContext.create("h264", "r")
    encoder.options, encoder.pix_fmt = options, "yuv420p"
    encoder.height, encoder.width = images[0].shape[:2]
    encoder.framerate, encoder.time_base = rate, Fraction(1, rate)
    for image in images:
        for packet in encoder.encode(av.VideoFrame.from_ndarray(image, format="bgr24")):
            yield from decoder.decode(packet)


def when_frozen(frames, patience=3.0, rate=10):
    """The seconds at which a stream counts as frozen."""
    frozen, moments = Frozen(patience), []
    for i, frame in enumerate(frames):
        try:
            frozen.check(
                Picture(None, lambda f=frame: f.to_ndarray(format="bgr24"), lambda f=frame: sampled(f)), i / rate
            )
        except OSError:
            moments.append(i / rate)
    return moments


@pytest.fixture(scope="module")
def scene(clip):
    with av.open(str(clip)) as container:
        return next(container.decode(video=0)).reformat(384, 288).to_ndarray(format="bgr24")


def test_a_repeated_picture_is_frozen_whatever_key_frames_do_to_it(scene):
    first, second = when_frozen(encoded([scene] * 80))
    assert 3.0 < first <= 4.5
    assert 3.0 < second - first <= 3.5


def test_a_still_scene_before_a_working_camera_is_not_frozen(scene):
    noise = np.random.default_rng(0)
    images = [np.clip(scene + noise.normal(0, 2.5, scene.shape), 0, 255).astype(np.uint8) for _ in range(80)]
    assert when_frozen(encoded(images, crf="23")) == []


def test_a_person_walking_far_away_is_movement(scene):
    images = []
    for i in range(80):
        image = scene.copy()
        image[40:64, 20 + 3 * i : 28 + 3 * i] = 20
        images.append(image)
    assert when_frozen(encoded(images)) == []


def test_the_sample_is_the_brightness_of_every_eighth_pixel(scene):
    frame = av.VideoFrame.from_ndarray(scene, format="bgr24")
    expected = frame.reformat(format="gray").to_ndarray()[::8, ::8]
    for name in ("yuv420p", "nv12", "rgb24"):
        assert np.abs(sampled(frame.reformat(format=name)).astype(int) - expected).max() <= 24  # full and limited range


class Scripted(LiveSource):
    """Does in each connection what the next step of a script says."""

    kind = "stream"

    def __init__(self, script, **options):
        self.script = list(script)
        super().__init__("scripted", first_pause=0.02, longest_pause=0.05, **options)

    def _pictures(self):
        step = self.script.pop(0) if self.script else ("hang", 0)
        kind, count = step
        if kind == "refuse":
            raise ConnectionRefusedError("rtsp://u:s3cret@h refused")
        for i in range(count):
            time.sleep(0.01)
            image = np.full((16, 16, 3), 128 if kind == "still" else (i * 40) % 256, np.uint8)
            yield Picture(None, lambda image=image: image)
        if kind == "hang":
            self._stop.wait()
        if kind == "break":
            raise RuntimeError("a bug in a decoder")


def follow(source, seconds):
    seen = []
    source._notify = lambda: seen.append(source.connection)
    source.start()
    time.sleep(seconds)
    source.close()
    states = [c.state for c in seen]
    return [s for i, s in enumerate(states) if i == 0 or s != states[i - 1]], seen


def test_states_follow_what_happens():
    states, seen = follow(Scripted([("refuse", 0), ("move", 5), ("refuse", 0), ("break", 3), ("hang", 5)]), 0.6)
    assert states == ["starting", "live", "reconnecting", "live", "reconnecting", "live", "stopped"]
    reasons = {c.reason for c in seen if c.reason}
    assert {"the stream ended", "a bug in a decoder", "rtsp://***@h refused"} <= reasons
    assert seen[-1].reconnects == 2


def test_a_frozen_camera_is_not_live_until_it_moves_again():
    script = [("still", 60), ("still", 20), ("still", 20), ("hang", 10)]
    source = Scripted(script, frozen_seconds=0.2)
    states, seen = follow(source, 2.0)
    assert states == ["live", "reconnecting", "live", "stopped"]
    assert any("frozen" in (c.reason or "") for c in seen)
    # Nothing of the still picture went on while it counted as lost.
    assert source.received < 60


def test_a_webcam_that_is_unplugged_is_found_again(monkeypatch):
    class Camera:
        """Twenty pictures, then nothing; away at the second time."""

        opened = 0

        def __init__(self, number):
            assert number == 3
            type(self).opened += 1
            self.left, self.released = 20, False

        def isOpened(self):  # noqa: N802
            return self.opened != 2

        def read(self):
            time.sleep(0.01)
            self.left -= 1
            return self.left >= 0, np.full((8, 8, 3), max(self.left, 0), np.uint8)

        def release(self):
            self.released = True

    monkeypatch.setattr("tracker.sources.stream.cv2.VideoCapture", Camera)
    said = []
    source = Webcam(3, report=said.append, first_pause=0.02)
    source.start()
    end = time.monotonic() + 20
    while source.received <= 30 and time.monotonic() < end:
        time.sleep(0.02)
    source.close()
    assert Camera.opened >= 3
    assert source.connection.reconnects >= 1
    assert "the camera stopped sending" in said[0]
    assert "camera 3 cannot be opened: is it connected, and free?" in said[1]


def test_a_file_plays_in_real_time_and_again(make_video):
    source = PlayedFile(make_video(frames=25), frozen_seconds=0)
    source.start()
    time.sleep(1.7)
    source.close()
    assert 33 <= source.arrived <= 45
    assert source.connection.reconnects == 0
    once = PlayedFile(make_video("short.mp4", frames=5), loop=False)
    for _ in once:
        pass
    assert once.arrived == 5
    assert once.connection.reason == "the file was played to its end"


def test_packets_that_cannot_be_decoded_are_passed_over(make_video, tmp_path):
    path = make_video("damaged.ts", frames=60)
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 3, len(content) // 2, 188):  # the payload of a sixth of the packets
        content[at + 40 : at + 188] = b"\xff" * 148
    path.write_bytes(content)
    with av.open(str(path)) as container:
        found = [f for f in whole_frames(container, container.streams.video[0]) if f is not None]
    assert 10 < len(found) < 60
    assert not any(frame.is_corrupt for frame in found)


def test_a_stream_whose_size_changes_stays_in_its_first_pixels():
    class Changing(LiveSource):
        kind = "stream"

        def _pictures(self):
            for i in range(40):
                time.sleep(0.02)
                size = (48, 64, 3) if i < 10 else (24, 32, 3)
                yield Picture(None, lambda size=size, i=i: np.full(size, i * 5, np.uint8))
            self._stop.wait()

    said = []
    source = Changing("street", report=said.append, max_frames=15)
    with source:
        frames = list(source)
    assert {frame.size for frame in frames} == {(64, 48)}
    assert 1 <= source.rescaled < 15
    assert len(said) == 1
    assert "is 32×24; it and all others of another size are scaled to the first one's 64×48" in said[0]
