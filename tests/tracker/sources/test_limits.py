"""How large a picture is, is read before it is made; what floods costs little and takes nothing from others."""

import struct
import threading
import time
import zlib

import cv2
import numpy as np
import psutil
import pytest

from tests.tracker.sources.media import claiming, encode, jpeg_of, packets_of, pictures, textured
from tests.tracker.sources.web import handler, multipart, serve
from tracker import SourceError, open_source
from tracker.sources import pictures as bounds
from tracker.sources.pictures import encoded_size, read_image
from tracker.sources.stream import NetworkStream

SMALL = np.full((48, 64, 3), 90, np.uint8)


def png_claiming(width, height):
    """A PNG of a few bytes whose header says how large it is."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def headers():
    """By suffix, a small picture, and one that claims to have 16,000 pixels by 16,000."""
    big, found = 16_000, {}
    for suffix, quality in (
        (".jpg", []),
        (".png", []),
        (".bmp", []),
        (".tif", []),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 80]),
    ):
        found[suffix] = cv2.imencode(suffix, SMALL, quality)[1].tobytes(), None
    found[".jpg"] = found[".jpg"][0], claiming(found[".jpg"][0], big, big)
    found[".png"] = found[".png"][0], png_claiming(big, big)
    bmp = found[".bmp"][0]
    found[".bmp"] = bmp, bmp[:18] + struct.pack("<ii", big, big) + bmp[26:]
    webp = found[".webp"][0]
    found[".webp"] = webp, webp[:26] + struct.pack("<HH", big, big) + webp[30:]
    tif = bytearray(found[".tif"][0])
    at = struct.unpack("<I", tif[4:8])[0]
    for entry in range(struct.unpack("<H", tif[at : at + 2])[0]):
        place = at + 2 + 12 * entry
        if struct.unpack("<H", tif[place : place + 2])[0] in (0x100, 0x101):  # width and height
            tif[place + 2 : place + 12] = struct.pack("<HII", 4, 1, big)
    found[".tif"] = found[".tif"][0], bytes(tif)
    return found


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp"])
def test_the_header_alone_says_how_large_an_image_is(tmp_path, monkeypatch, suffix):
    small, large = headers()[suffix]
    assert encoded_size(small) == (64, 48)
    assert encoded_size(large) == (16_000, 16_000)
    (tmp_path / f"1{suffix}").write_bytes(small)
    assert read_image(tmp_path / f"1{suffix}", 64 * 48).shape == (48, 64, 3)
    (tmp_path / f"2{suffix}").write_bytes(large)
    monkeypatch.setattr(bounds.cv2, "imdecode", lambda *_: pytest.fail("it is decoded"))
    with pytest.raises(SourceError, match=rf"2\{suffix}: a picture of 16000×16000, 256 million pixels, .*max_pixels"):
        read_image(tmp_path / f"2{suffix}", bounds.MOST_PIXELS)
    with pytest.raises(SourceError, match="64×48"):
        read_image(tmp_path / f"1{suffix}", 64 * 48 - 1)


@pytest.mark.parametrize(("kind", "size"), [(b"VP8L", (3000, 2000)), (b"VP8X", (16_777_216, 5))])
def test_the_other_kinds_of_webp(kind, size):
    lossless = struct.pack("<I", (size[0] - 1) | (size[1] - 1) << 14) if kind == b"VP8L" else b""
    extended = (size[0] - 1).to_bytes(3, "little") + (size[1] - 1).to_bytes(3, "little")
    rest = b"\x2f" + lossless if kind == b"VP8L" else bytes(4) + extended
    assert encoded_size(b"RIFF" + bytes(4) + b"WEBP" + kind + bytes(4) + rest + bytes(20)) == size


def test_a_bomb_in_a_folder_is_left_out(tmp_path):
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(cv2.imencode(".png", SMALL)[1])
    (tmp_path / "2.png").write_bytes(png_claiming(30_000, 30_000))
    with open_source(tmp_path) as source:
        assert [f.index for f in source] == [0, 1, 3]
    assert (
        "2.png: a picture of 30000×30000, 900 million pixels, is more than max_pixels=50000000 allows" in source.problem
    )


def test_a_file_that_is_larger_than_any_such_picture_is_not_read(tmp_path):
    path = tmp_path / "1.png"
    path.write_bytes(cv2.imencode(".png", SMALL)[1].tobytes() + bytes(64 * 48 * 10))
    with pytest.raises(SourceError, match="not a readable image"):
        read_image(path, 64 * 48)


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.webm", "a.avi"])
def test_a_video_of_larger_pictures_is_refused_by_name(tmp_path, name):
    codec = {"a.webm": "libvpx", "a.avi": "mjpeg"}.get(name, "libx264")
    path = encode(tmp_path / name, pictures(5), codec=codec)
    with pytest.raises(SourceError, match=rf"{name}: .*64×48.* more than max_pixels=1000 allows"):
        open_source(path, max_pixels=1000)
    with open_source(path, max_pixels=64 * 48) as source:
        assert len(list(source)) == 5


def test_a_jpeg_in_a_video_that_says_it_is_larger_is_left_out(tmp_path):
    path = encode(tmp_path / "a.avi", textured(20), codec="mjpeg")
    position, size = packets_of(path)[7]
    content = bytearray(path.read_bytes())
    content[position : position + size] = claiming(bytes(content[position : position + size]), 16_000, 16_000)
    path.write_bytes(content)
    with open_source(path) as source:
        assert [f.index for f in source] == [i for i in range(20) if i != 7]
    assert "frame 8" in source.problem


def test_a_stream_that_grows_beyond_the_limit_loses_what_is_larger(tmp_path):
    one = encode(tmp_path / "1.h264", textured(10, size=(64, 48)), form="h264")
    two = encode(tmp_path / "2.h264", textured(10, size=(128, 96)), form="h264")
    path = tmp_path / "both.h264"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    with open_source(path, max_pixels=5000) as source:
        assert {f.size for f in source} == {(64, 48)}
    assert source.lost >= 9


def test_the_setting_reaches_the_source(reacquire, tmp_path):
    path = encode(tmp_path / "a.mp4", pictures(5))
    result = reacquire("track", path, "--set", "max_pixels=1000", "--out", tmp_path / "run")
    assert result.code == 1
    assert "more than max_pixels=1000 allows" in result.stderr


def test_a_camera_of_large_pictures_is_lost_with_the_reason():
    large = claiming(jpeg_of(SMALL), 16_000, 16_000)
    said = []
    with serve(multipart([large])) as address:
        source = NetworkStream(address, report=said.append, attempts=2, first_pause=0.05)
        assert list(source) == []
    assert "a picture of 16000×16000, 256 million pixels, is more than max_pixels=50000000 allows" in said[0]


@pytest.mark.parametrize("length", [b"Content-Length: 2000000000\r\n", b""])
def test_a_part_without_end_is_given_up(length):
    """It is sent as fast as it goes; of two gigabytes as many megabytes come in as small pictures can need."""

    def flood(client):
        client.begin()
        client.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n\xff\xd8")
        while True:
            client.wfile.write(bytes(65_536))

    said, before = [], psutil.Process().memory_info().rss
    with serve(handler(flood)) as address:
        source = NetworkStream(address, report=said.append, attempts=2, first_pause=0.05, max_pixels=2_000_000)
        assert list(source) == []
    assert "4 MB came without a picture among them" in said[0]
    assert psutil.Process().memory_info().rss - before < 200e6


def test_a_part_that_trickles_is_given_up():
    def trickle(client):
        client.begin()
        client.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 2000000000\r\n\r\n\xff\xd8")
        while True:
            client.wfile.write(bytes(100))
            time.sleep(0.02)

    said = []
    with serve(handler(trickle)) as address:
        assert list(NetworkStream(address, report=said.append, attempts=2, first_pause=0.05, read_seconds=0.5)) == []
    assert "no picture for 0.5 s" in said[0]


def test_a_flood_of_pictures_waits_in_the_network():
    with serve(multipart([jpeg_of(SMALL)])) as address:
        source = NetworkStream(address)
        began = time.monotonic()
        source.start()
        while time.monotonic() - began < 3:
            time.sleep(0.05)
        source.close()
        seconds = time.monotonic() - began
    assert source.arrived > 100
    assert source.arrived < 250 * (seconds + 1)


def test_the_others_do_not_notice():
    """Beside a camera that sends large pictures as fast as it can, another one loses nothing."""
    large, stop, sent = claiming(jpeg_of(SMALL), 16_000, 16_000), threading.Event(), []

    def good(client):
        client.begin()
        while not stop.wait(0.1):
            client.part(jpeg_of(np.full((48, 64, 3), len(sent) * 9 % 256, np.uint8)))
            sent.append(1)

    with serve(handler(good)) as address, serve(multipart([large])) as flood:
        bad = [NetworkStream(flood, first_pause=0.05, longest_pause=0.1) for _ in range(3)]
        for source in bad:
            source.start()
        source = NetworkStream(address)
        source.start()
        end = time.monotonic() + 30
        while source.arrived < 30 and time.monotonic() < end:
            time.sleep(0.05)
        arrived, all_sent = source.arrived, len(sent)
        stop.set()
        for each in (source, *bad):
            each.close()
    assert all_sent - 3 <= arrived <= all_sent
    assert sum(each.arrived for each in bad) == 0
