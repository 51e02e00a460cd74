import re
import threading

import numpy as np
import pytest

from tracker import SourceError, open_source


def frames_of(path, **options):
    with open_source(path, **options) as source:
        frames = list(source)
    return source, frames


def test_every_frame_once_and_in_order(make_video):
    source, frames = frames_of(make_video(frames=20))
    assert source.length == len(frames) == 20
    assert source.size == (64, 48)
    assert source.frame_rate == 25
    assert source.problem is None
    assert not source.live
    assert [f.index for f in frames] == list(range(20))
    values = [f.image.mean() for f in frames]
    assert np.allclose(values, [8 * i for i in range(20)], atol=6)


def test_timestamps_of_a_variable_rate_are_the_streams(make_video):
    times = [0.0, 0.04, 0.5, 0.54, 2.0, 2.04]
    _, frames = frames_of(make_video(times=times))
    assert [f.timestamp for f in frames] == pytest.approx(times, abs=1e-3)


def test_time_begins_at_zero_and_never_stands_still(make_video):
    _, frames = frames_of(make_video("late.mkv", times=[5.0, 5.04, 5.08, 5.12]))
    assert [f.timestamp for f in frames] == pytest.approx([0, 0.04, 0.08, 0.12], abs=1e-3)
    assert (np.diff([f.timestamp for f in frames]) > 0).all()


def test_the_first_frames_only(make_video):
    source, frames = frames_of(make_video(frames=20), max_frames=7)
    assert len(frames) == source.length == 7


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.mp4", None, "no such file"),
        ("empty.mp4", b"", "the file is empty"),
        ("text.mp4", b"this is not a video at all" * 50, "not a video that can be opened"),
    ],
)
def test_what_is_no_video_is_refused_by_name(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"{name}: .*{message}"):
        open_source(path)


def test_sound_alone_is_refused(tmp_path):
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(SourceError, match="no video in it, only audio"):
        open_source(path)


def test_a_truncated_file_is_read_up_to_the_damage(clip, tmp_path):
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[: clip.stat().st_size // 3])
    source, frames = frames_of(path)
    assert 100 < len(frames) < 500
    assert source.problem is not None
    assert "cut.mp4" in source.problem
    assert re.search(r"ends at 2\d\.\d s of 79\.5 s; it is cut off", source.problem)


def test_the_thread_ends_when_the_reader_leaves(make_video):
    with open_source(make_video(frames=60)) as source:
        for _ in source:
            break
    assert not [t for t in threading.enumerate() if t.name == "decode"]


def test_the_demo_clip(clip):
    source, frames = frames_of(clip, max_frames=5)
    assert source.size == (768, 576)
    assert source.frame_rate == 10
    assert [f.timestamp for f in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_grey_video(data):
    source, frames = frames_of(data / "video/crowd-from-above.mp4", max_frames=3)
    assert frames[0].image.shape == (720, 1280, 3)
    assert source.frame_rate == 25


def test_max_frames_of_nothing_is_refused(make_video):
    with pytest.raises(SourceError, match="at least 1"):
        open_source(make_video(), max_frames=0)
