"""What is in a container: which stream is the video, how long it is, which way is up, what its clock does."""

import struct

import av
import numpy as np
import pytest

from tests.tracker.sources.media import (
    RATE,
    TURNS,
    cut,
    encode,
    jpeg_of,
    patched,
    pictures,
    stored,
    textured,
    tones,
    with_cover,
    with_orientation,
)
from tracker import SourceError, open_source
from tracker.sources.stream import PlayedFile

VP8 = {"codec": "libvpx", "options": {"deadline": "realtime", "g": "10"}}
MAKES = {
    "front.mp4": {"container": {"movflags": "faststart"}},
    "fragments.mp4": {"container": {"movflags": "frag_keyframe+empty_moov"}},
    "dash.mp4": {"container": {"movflags": "dash+global_sidx+frag_keyframe"}},
    "video.mkv": {},
    "video.webm": VP8,
    "video.ts": {},
    "video.flv": {},
    "video.avi": {"codec": "mpeg4", "options": {"b": "2000000", "g": "10"}},
    "jpeg.avi": {"codec": "mjpeg"},
    "raw.h264": {},
}


def frames_of(path, **options):
    with open_source(path, **options) as source:
        frames = list(source)
    return source, frames


@pytest.mark.parametrize("name", MAKES)
def test_a_whole_file_is_not_called_cut_and_a_cut_one_is_tracked_to_its_end(tmp_path, name):
    path = encode(tmp_path / name, textured(50), **MAKES[name])
    source, frames = frames_of(path)
    assert source.problem is None
    assert len(frames) == 50
    assert np.allclose(np.diff([f.timestamp for f in frames]), 1 / RATE, atol=2e-3)
    source, frames = frames_of(cut(path))
    assert 8 < len(frames) < 45
    assert "cut off" in source.problem or "damaged picture" in source.problem
    assert np.allclose(frames[-1].timestamp, frames[-1].index / RATE, atol=0.01)


@pytest.mark.parametrize("name", ["moov-behind.mp4", "video.mov"])
def test_a_cut_file_whose_contents_are_listed_at_its_end_cannot_be_opened(tmp_path, name):
    path = encode(tmp_path / name, textured(30))
    assert len(frames_of(path)[1]) == 30
    with pytest.raises(SourceError, match="not a video that can be opened"):
        open_source(cut(path))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.flv"])
@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_sound_that_is_shorter_or_longer_is_no_cut(tmp_path, name, seconds):
    options = {"codec": "mpeg4"} if name.endswith("avi") else {}
    source, frames = frames_of(encode(tmp_path / name, textured(50), audio=seconds, **options))
    assert len(frames) == 50
    assert source.problem is None


def test_a_file_with_longer_sound_that_is_cut(tmp_path):
    path = encode(tmp_path / "a.mkv", textured(50), audio=3.0)
    source, _ = frames_of(cut(path))
    assert "it is cut off" in source.problem


def test_an_edit_that_leaves_out_half_is_no_cut(tmp_path):
    path = encode(tmp_path / "a.mp4", textured(50))
    source, frames = frames_of(patched(path, b"elst", 8, struct.pack(">I", 1000)))  # a second, in ticks of the film
    assert 24 <= len(frames) <= 27
    assert source.problem is None


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
def test_a_recording_that_does_not_know_its_length_ends_inside_a_piece_where_it_is_cut(tmp_path, name):
    make = VP8 if name == "a.webm" else {}
    path = encode(tmp_path / name, textured(50), container={"live": "1"}, form="matroska", **make)
    source, frames = frames_of(path)
    assert len(frames) == 50
    assert source.problem is None
    for share in (0.3, 0.61, 0.87):
        source, frames = frames_of(cut(path, share))
        assert 0 < len(frames) < 50
        assert "it is cut off" in source.problem


def test_a_file_in_fragments_does_not_count_the_first_ones_alone(tmp_path):
    path = encode(tmp_path / "a.mp4", textured(50), container={"movflags": "frag_keyframe"})
    source, frames = frames_of(path)
    assert len(frames) == 50
    assert source.length in (None, 50)


def test_a_transport_stream_that_ends_inside_a_packet(tmp_path):
    path = encode(tmp_path / "a.ts", textured(50))
    content = path.read_bytes()
    path.write_bytes(content[:-40])  # of the last packet, which holds stuffing alone
    source, frames = frames_of(path)
    assert len(frames) >= 49
    assert "cut off" in source.problem or "damaged" in source.problem


def test_what_is_not_read_to_its_end_is_not_judged(tmp_path):
    path = cut(encode(tmp_path / "a.mkv", textured(50)))
    source, frames = frames_of(path, max_frames=5)
    assert len(frames) == 5
    assert source.problem is None


def test_a_cover_before_the_video_is_passed_over(tmp_path):
    path = encode(tmp_path / "plain.mp4", pictures(20))
    tagged = with_cover(path, jpeg_of(np.zeros((24, 32, 3), np.uint8)), tmp_path / "tagged.mp4")
    with av.open(str(tagged)) as file:
        assert file.streams.video[0].codec_context.name == "mjpeg"  # what the first stream is
    said = []
    source, frames = frames_of(tagged, report=said.append)
    assert len(frames) == 20
    assert source.size == (64, 48)
    assert source.problem is None
    assert said == []  # a cover is no second video
    assert {frame.size for frame in PlayedFile(tagged, loop=False)} == {(64, 48)}


def test_a_cover_with_sound_is_no_video(tmp_path):
    with av.open(str(tmp_path / "song.mp4"), "w") as file:
        file.mux(tones(file.add_stream("aac", rate=48000, layout="mono"), 1.0))
    tagged = with_cover(tmp_path / "song.mp4", jpeg_of(np.zeros((24, 32, 3), np.uint8)), tmp_path / "tagged.m4a")
    with pytest.raises(SourceError, match=r"tagged\.m4a: there is no video in it, only audio, a cover picture"):
        open_source(tagged)


@pytest.mark.parametrize("default", [None, 0])
def test_of_several_videos_the_default_one_or_the_largest_is_taken_and_said(tmp_path, default):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as file:
        streams = []
        for size in ((64, 48), (128, 96)):
            stream = file.add_stream("libx264", rate=RATE)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            streams.append(stream)
        for number, stream in enumerate(streams):
            stream.disposition = 1 if number == default else 0
        for number in range(12):
            for stream in streams:
                image = np.full((stream.height, stream.width, 3), 8 * number, np.uint8)
                file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        for stream in streams:
            file.mux(stream.encode())
    said = []
    source, frames = frames_of(path, report=said.append)
    assert len(frames) == 12
    assert source.size == ((64, 48) if default == 0 else (128, 96))
    assert "of its 2 videos" in said[0]


def test_metadata_in_latin_1(tmp_path):
    path = encode(tmp_path / "a.avi", pictures(12), codec="mpeg4")
    content = path.read_bytes()
    at = content.index(b"Lavf")  # the writer's name
    path.write_bytes(content[:at] + "Größ".encode("latin-1") + content[at + 4 :])
    assert len(frames_of(path)[1]) == 12


@pytest.mark.parametrize("orientation", TURNS)
def test_all_orientations_are_shown_upright_by_track_and_live(tmp_path, orientation):
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:16, :20] = 255
    upright[32:, :20] = 128
    path = encode(tmp_path / "a.mp4", [stored(upright, orientation)] * 10, options={"crf": "5"})
    path = with_orientation(path, orientation, tmp_path / "turned.mp4")
    source, frames = frames_of(path)
    assert source.size == (64, 48)
    played = PlayedFile(path, loop=False)
    shown = [frame.image for frame in played]
    assert len(shown) >= 1
    for image in (frames[0].image, shown[0]):
        assert image.flags.c_contiguous
        assert np.abs(image.astype(int) - upright).mean() < 6


def test_a_clock_that_begins_again_goes_on_one_frame_later(tmp_path):
    one, two = (encode(tmp_path / f"{n}.ts", textured(30, seed=n)) for n in (1, 2))
    path = tmp_path / "both.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    _, frames = frames_of(path)
    steps = np.diff([f.timestamp for f in frames])
    assert len(frames) >= 58
    assert np.allclose(steps, 1 / RATE, atol=0.005)


def test_a_transport_streams_clock_that_jumps_ahead_goes_on_one_frame_later(tmp_path):
    images = textured(60)
    one = encode(tmp_path / "1.ts", images[:30])
    two = encode(tmp_path / "2.ts", images[30:], times=[3600 + i / RATE for i in range(30)])
    path = tmp_path / "both.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    _, frames = frames_of(path)
    assert len(frames) >= 58
    assert np.diff([f.timestamp for f in frames]).max() < 0.2
    played = PlayedFile(path, loop=False)
    assert list(played)
    assert played.arrived >= 55  # and not an hour later


def test_a_pause_in_a_file_that_knows_its_times_is_a_pause(tmp_path):
    times = [i / RATE for i in range(10)] + [60 + i / RATE for i in range(10)]
    source, frames = frames_of(encode(tmp_path / "a.mkv", pictures(20), times=times))
    assert [f.timestamp for f in frames] == pytest.approx(times, abs=1e-3)
    assert source.problem is None


def test_times_below_zero_begin_at_zero(tmp_path):
    times = [i / RATE - 0.2 for i in range(20)]
    _, frames = frames_of(encode(tmp_path / "a.mp4", pictures(20), times=times))
    assert frames[0].timestamp == 0
    assert np.allclose(np.diff([f.timestamp for f in frames]), 1 / RATE, atol=2e-3)


def test_a_stream_without_times_goes_by_its_rate(tmp_path):
    _, frames = frames_of(encode(tmp_path / "a.h264", pictures(20), form="h264"))
    assert [f.timestamp for f in frames] == pytest.approx([i / RATE for i in range(20)])
