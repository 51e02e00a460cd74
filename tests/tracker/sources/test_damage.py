"""What is damaged is left out, counted and told; what follows goes on; all of a source is in one pixel space."""

import random

import av
import cv2
import numpy as np
import pytest

from tests.tracker.sources.media import RATE, damage, encode, jpeg_of, packets_of, textured
from tracker import SourceError, open_source
from tracker.sources.pictures import OneSize
from tracker.sources.stream import PlayedFile, whole_frames

PLAIN = {"preset": "ultrafast", "g": "10", "bf": "0"}


def frames_of(path, **options):
    with open_source(path, **options) as source:
        frames = list(source)
    return source, frames


def test_one_damaged_packet_is_a_longer_step_and_what_follows_goes_on(tmp_path):
    path = damage(encode(tmp_path / "a.mp4", textured(40), options=PLAIN), 14)
    source, frames = frames_of(path)
    assert [f.index for f in frames] == [i for i in range(40) if i != 14]
    assert [f.timestamp for f in frames] == pytest.approx([i / RATE for i in range(40) if i != 14], abs=1e-3)
    assert source.lost == 1
    assert "a damaged picture is left out, frame 15 at 0.56 s" in source.problem
    assert "5 that build on damaged ones may show traces" in source.problem  # up to the next key picture


def test_pictures_that_were_decoded_before_the_damage_are_sound(tmp_path):
    options = {"preset": "ultrafast", "g": "20", "bf": "3", "b-adapt": "0"}
    path = encode(tmp_path / "a.mp4", textured(40), options=options)
    with av.open(str(path)) as file:
        shown = [packet.pts for packet in file.demux(video=0) if packet.size]
    number = 9
    place = sorted(shown).index(shown[number])  # where it would have been shown
    source, frames = frames_of(damage(path, number))
    assert [f.index for f in frames] == [i for i in range(40) if i != place]
    assert f"frame {place + 1} at {place / RATE:.2f} s" in source.problem


def test_without_a_key_picture_there_is_nothing_to_build_on(tmp_path):
    path = damage(encode(tmp_path / "a.mp4", textured(40), options=PLAIN), 10)
    source, frames = frames_of(path)
    kept = [f.index for f in frames]
    assert kept[:10] == list(range(10))
    assert kept[-20:] == list(range(20, 40))
    assert len(kept) <= 31  # the decoder finds its feet a picture early
    assert source.lost == 40 - len(kept)
    assert [f.timestamp for f in frames] == pytest.approx([i / RATE for i in kept], abs=1e-3)
    assert f"{source.lost} damaged pictures are left out, the first frame 11 at 0.40 s" in source.problem


@pytest.mark.parametrize("half", [False, True])
def test_a_damaged_jpeg_in_a_video_is_one_picture(tmp_path, half):
    path = encode(tmp_path / "a.avi", textured(30), codec="mjpeg")
    if half:  # the decoder would pass a grey lower half as a whole picture
        content, (position, size) = bytearray(path.read_bytes()), packets_of(path)[12]
        content[position + size // 2 : position + size] = bytes(size - size // 2)
        path.write_bytes(content)
    else:
        damage(path, 12)
    source, frames = frames_of(path)
    assert [f.index for f in frames] == [i for i in range(30) if i != 12]
    assert source.problem.endswith("a damaged picture is left out, frame 13 at 0.48 s")


def test_a_video_that_begins_between_two_key_pictures(tmp_path):
    whole = encode(tmp_path / "a.webm", textured(40), codec="libvpx", options={"deadline": "realtime", "g": "10"})
    path = tmp_path / "b.webm"
    with av.open(str(whole)) as file, av.open(str(path), "w") as copy:
        stream = copy.add_stream_from_template(file.streams.video[0])
        for number, packet in enumerate(p for p in file.demux(video=0) if p.dts is not None):
            if number >= 5:
                packet.stream = stream
                copy.mux(packet)
    source, frames = frames_of(path)
    assert len(frames) == 30
    assert frames[0].timestamp == 0
    assert "5 damaged pictures are left out, the first frame 1" in source.problem


def test_a_video_of_damage_alone_is_refused(tmp_path):
    path = encode(tmp_path / "a.avi", textured(8), codec="mjpeg")
    for number in range(8):
        damage(path, number)
    with pytest.raises(SourceError, match=r"a\.avi: the video has no frame that can be read \(Invalid data"):
        open_source(path)


def test_damage_behind_the_last_frame_that_was_asked_for_is_not_told(tmp_path):
    path = damage(encode(tmp_path / "a.mp4", textured(40), options=PLAIN), 14)
    source, frames = frames_of(path, max_frames=10)
    assert len(frames) == 10
    assert source.problem is None


def noise(shown, true):
    """Decibels by which a picture is like the true one."""
    error = ((shown.astype(float) - true) ** 2).mean()
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)


H264 = {"preset": "veryfast", "g": "12"}
H265 = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=12:min-keyint=12:bframes=0"}


@pytest.mark.parametrize(
    ("codec", "options", "kind"),
    [
        ("libx264", H264 | {"bf": "0"}, "drop"),
        ("libx264", H264 | {"bf": "0"}, "flip"),
        ("libx264", H264 | {"bf": "2"}, "drop"),
        ("libx264", H264 | {"bf": "2"}, "flip"),
        ("libx265", H265, "drop"),
    ],
)
def test_live_no_picture_is_visibly_damaged(clip, tmp_path, codec, options, kind):
    """MPEG-TS of which packets are missing or have a wrong byte: what goes to the tracker is as it was sent."""
    with av.open(str(clip)) as file:
        images = [
            f.reformat(384, 288).to_ndarray(format="bgr24")
            for _, f in zip(range(150), file.decode(video=0), strict=False)
        ]
    path = encode(tmp_path / "a.ts", images, codec=codec, options=options)
    with av.open(str(path)) as file:
        true = {f.pts: f.to_ndarray(format="gray") for f in file.decode(video=0)}
    content, chance = path.read_bytes(), random.Random(3)
    packets = [bytearray(content[i : i + 188]) for i in range(0, len(content), 188)]
    kept = []
    for number, packet in enumerate(packets):
        if number > 20 and chance.random() < 0.01:
            if kind == "drop":
                continue
            packet[chance.randrange(20, 188)] ^= 0xFF
        kept.append(packet)
    path.write_bytes(b"".join(kept))
    lost = []
    with av.open(str(path)) as file:
        pictures = list(whole_frames(file, file.streams.video[0], lose=lambda: lost.append(1)))
    found = [noise(f.to_ndarray(format="gray"), true[f.pts]) for f in pictures if f is not None]
    assert 20 < len(found) < 150
    assert len(lost) > 10
    assert sum(value < 25 for value in found) == 0
    assert sum(value < 35 for value in found) <= 3  # the one before a gap is noticed


def test_a_played_file_counts_what_is_damaged_as_lost(tmp_path):
    path = damage(encode(tmp_path / "a.mp4", textured(30), options=PLAIN), 14)
    played = PlayedFile(path, loop=False)
    list(played)
    assert played.arrived == 24
    assert played.lost == 6


def test_a_damaged_image_in_a_folder_is_left_out(tmp_path):
    for number, image in enumerate(textured(12)):
        (tmp_path / f"{number:03}.jpg").write_bytes(jpeg_of(image))
    for number, content in ((0, b""), (6, (tmp_path / "006.jpg").read_bytes()[:1500]), (11, b"no picture")):
        (tmp_path / f"{number:03}.jpg").write_bytes(content)
    source, frames = frames_of(tmp_path)
    assert [f.index for f in frames] == [1, 2, 3, 4, 5, 7, 8, 9, 10]
    assert frames[5].timestamp - frames[4].timestamp == pytest.approx(2 / 30)
    assert source.lost == 3
    assert "3 damaged pictures are left out, the first" in source.problem
    assert "000.jpg" in source.problem


def test_a_folder_of_damaged_images_is_refused(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"no")
    (tmp_path / "2.png").write_bytes(b"no")
    with pytest.raises(SourceError, match=r"1\.jpg: not a readable image, nor can any other image there be read"):
        open_source(tmp_path)


def test_a_video_whose_size_changes_stays_in_its_first_pixels(tmp_path):
    images = textured(20, size=(128, 96))
    one = encode(tmp_path / "1.h264", images[:10], form="h264")
    two = encode(tmp_path / "2.h264", [cv2.resize(i, (64, 48)) for i in images[10:]], form="h264")
    path = tmp_path / "both.h264"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    said = []
    source, frames = frames_of(path, report=said.append)
    assert len(frames) == 20
    assert {f.size for f in frames} == {(128, 96)}
    assert source.rescaled == 10
    assert source.problem is None
    assert len(said) == 1
    assert "frame 11 is 64×48" in said[0]
    assert "scaled to the first one's 128×96" in said[0]
    assert np.abs(frames[15].image.astype(int) - images[15]).mean() < 12  # everything is where it was


def test_a_picture_of_another_shape_is_seen_whole_and_not_stretched():
    sizes = OneSize("x")
    sizes.fit(np.zeros((100, 200, 3), np.uint8), 0)
    tall = np.zeros((200, 100, 3), np.uint8)
    tall[50:100, 25:75] = 255  # a square
    fitted = sizes.fit(tall, 1)
    assert fitted.shape == (100, 200, 3)
    rows, columns = (np.flatnonzero(fitted[..., 0].max(axis) > 128) for axis in (1, 0))
    assert (rows.min(), rows.max()) == (25, 49)
    assert (columns.min(), columns.max()) == (88, 111)  # 24 wide and 25 high, in the middle of the bars
    assert sizes.changed == 1


def test_images_of_other_sizes_are_scaled_to_the_first(tmp_path):
    for number, size in enumerate(((40, 30), (80, 60), (50, 30))):
        (tmp_path / f"{number}.png").write_bytes(cv2.imencode(".png", np.full((size[1], size[0], 3), 200, np.uint8))[1])
    said = []
    source, frames = frames_of(tmp_path, report=said.append)
    assert {f.size for f in frames} == {(40, 30)}
    assert source.rescaled == 2
    assert "frame 2 is 80×60" in said[0]
    assert frames[1].image.min() == 200
