"""Damaged videos and images: they are refused in a sentence, or what is read of them is in order and in bounds."""

import av
import cv2
import numpy as np
import pytest

from tests.mutations.mutate import byte_mutations, check
from tests.tracker.sources.media import encode, exif, jpeg_of, textured
from tracker.errors import SourceError
from tracker.sources import open_source
from tracker.sources.container import open_container, video_stream
from tracker.sources.pictures import read_image
from tracker.sources.stream import whole_frames

MOST = 64 * 48 * 4
"""Pixels that are allowed: a mutated header may claim any number."""
VIDEOS = {
    "a.mp4": {"container": {"movflags": "faststart"}},
    "fragments.mp4": {"container": {"movflags": "frag_keyframe+empty_moov"}},
    "a.mkv": {},
    "a.webm": {"codec": "libvpx", "options": {"deadline": "realtime", "g": "5"}},
    "a.ts": {},
    "a.flv": {},
    "a.avi": {"codec": "mpeg4"},
    "jpeg.avi": {"codec": "mjpeg"},
    "a.h264": {},
}


def watched(path):
    """All that `track` and `live` would see."""
    with open_source(path, max_pixels=MOST) as source:
        frames = [(f.index, f.timestamp, f.image.shape, f.image.size) for f in source]
    return source, frames


def is_in_order(got, content):
    source, frames = got
    assert frames or source.problem
    indices, times = [f[0] for f in frames], [f[1] for f in frames]
    assert (np.diff(indices) > 0).all()
    assert (np.diff(times) > 0).all()
    assert np.isfinite(times).all()
    assert len({f[2] for f in frames}) <= 1
    assert all(f[3] <= 3 * MOST for f in frames)
    assert source.lost == 0 or str(source.lost) in source.problem or "a damaged picture" in source.problem


@pytest.mark.parametrize("name", VIDEOS)
def test_videos(tmp_path, name):
    whole = encode(tmp_path / f"whole-{name}", textured(12, size=(64, 48)), **VIDEOS[name])
    accepted, _ = check(watched, tmp_path / name, byte_mutations(whole.read_bytes(), 120), is_in_order)
    assert accepted > 30


def live(path):
    try:
        with open_container(path, MOST) as container:
            return sum(f is not None for f in whole_frames(container, video_stream(container, MOST), max_pixels=MOST))
    except (OSError, av.FFmpegError, SourceError):  # a live source is lost, and tries again
        return 0


@pytest.mark.parametrize("name", ["a.ts", "a.flv", "jpeg.avi"])
def test_streams(tmp_path, name):
    whole = encode(tmp_path / f"whole-{name}", textured(12, size=(64, 48)), **VIDEOS[name])
    check(live, tmp_path / name, byte_mutations(whole.read_bytes(), 120, seed=1), lambda got, content: None)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif"])
def test_images(tmp_path, suffix):
    image = textured(1, size=(32, 24))[0]
    content = exif(jpeg_of(image), 6) if suffix == ".jpg" else cv2.imencode(suffix, image)[1].tobytes()

    def is_bounded(got, content):
        assert got.dtype == np.uint8
        assert got.ndim == 3
        assert got.size <= 3 * MOST

    accepted, refused = check(
        lambda path: read_image(path, MOST), tmp_path / f"1{suffix}", byte_mutations(content, 300), is_bounded
    )
    assert accepted > 3
    assert refused > 20
