"""Small videos of every make, and ways to damage them."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np

RATE = 25


def pictures(count, size=(64, 48)):
    """Grey pictures: number i is 4·i bright, with a corner that tells which way is up."""
    images = []
    for i in range(count):
        image = np.full((size[1], size[0], 3), 4 * i % 256, np.uint8)
        image[: size[1] // 4, : size[0] // 4] = 255
        images.append(image)
    return images


def textured(count, size=(128, 96), seed=0):
    """Noise that moves, so that packets are large enough to be damaged."""
    rng = np.random.default_rng(seed)
    ground = cv2.GaussianBlur(rng.integers(0, 256, (size[1], size[0] + count, 3), np.uint8), (0, 0), 2)
    return [np.ascontiguousarray(ground[:, i : i + size[0]]) for i in range(count)]


def encode(path, images, *, codec="libx264", options=None, container=None, audio=0.0, times=None, form=None):
    """Write a video, 25 a second or at `times`, and so many seconds of sound."""
    options = {"g": "10", "preset": "ultrafast"} if options is None and codec == "libx264" else options or {}
    with av.open(str(path), "w", format=form, options=container or {}) as file:
        stream = file.add_stream(codec, rate=RATE, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000) if times is not None else Fraction(1, RATE)
        sound = (
            file.add_stream("mp2" if str(path).endswith((".avi", ".ts")) else "aac", rate=48000, layout="mono")
            if audio
            else None
        )
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            if times is not None:
                frame.pts, frame.time_base = round(times[i] * 1000), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
        if sound is not None:
            file.mux(tones(sound, audio))
    return path


def tones(stream, seconds):
    """Packets of silence."""
    length = stream.codec_context.frame_size or 1024
    sampler = av.AudioResampler(stream.codec_context.format.name, "mono", 48000, length)
    packets = []
    for start in range(0, int(seconds * 48000), length):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, length), np.float32), format="fltp", layout="mono")
        frame.rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        packets += [packet for part in sampler.resample(frame) for packet in stream.encode(part)]
    return packets + list(stream.encode())


def packets_of(path):
    """Where the video's packets lie in the file: position and size."""
    with av.open(str(path)) as file:
        return [(packet.pos, packet.size) for packet in file.demux(video=0) if packet.size]


def damage(path, number, to=None):
    """Fill the payload of one packet with ones; into another file where one is named."""
    content = bytearray(path.read_bytes())
    position, size = packets_of(path)[number]
    content[position : position + size] = b"\xff" * size
    target = to or path
    target.write_bytes(content)
    return target


def cut(path, share=0.6):
    """A copy that breaks off after a share of its bytes."""
    content = path.read_bytes()
    target = path.with_name(f"cut-{path.name}")
    target.write_bytes(content[: int(len(content) * share)])
    return target


def box(kind, *parts):
    """A box of an MP4 file."""
    content = b"".join(parts)
    return struct.pack(">I4s", len(content) + 8, kind) + content


def with_cover(path, cover, target):
    """An MP4 whose metadata, with a cover picture, stand before its tracks, as tagging programs leave them."""
    name = box(b"hdlr", struct.pack(">II4s4s", 0, 0, b"mdir", b"appl") + bytes(9))
    item = box(b"covr", box(b"data", struct.pack(">II", 13, 0), cover))
    tags = box(b"udta", box(b"meta", bytes(4), name, box(b"ilst", item)))
    content, written = path.read_bytes(), b""
    at = 0
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        piece = content[at : at + length]
        if kind == b"moov":
            header = struct.unpack(">I", piece[8:12])[0]  # of mvhd, the first box in it
            piece = box(b"moov", piece[8 : 8 + header], tags, piece[8 + header :])
        written += piece
        at += length
    target.write_bytes(written)
    return target


def patched(path, kind, offset, content, target=None):
    """A copy of an MP4 with bytes of the first box of a kind replaced, counted from behind the box's name."""
    data = bytearray(path.read_bytes())
    at = data.index(kind) + 4 + offset
    data[at : at + len(content)] = content
    target = target or path
    target.write_bytes(data)
    return target


TURNS = {1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1),
         5: (0, 1, 1, 0), 6: (0, 1, -1, 0), 7: (0, -1, -1, 0), 8: (0, -1, 1, 0)}  # fmt: skip
"""The display matrix's a, b, c, d for each orientation of EXIF (what a picture needs to be shown upright)."""


def stored(upright, orientation):
    """How a camera that notes this EXIF orientation stores an upright picture."""
    image = upright.transpose(1, 0, 2) if orientation >= 5 else upright
    flips = {2: (0, 1), 3: (1, 1), 4: (1, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}
    down, across = flips.get(orientation, (0, 0))
    return np.ascontiguousarray(image[:: -1 if down else 1, :: -1 if across else 1])


def with_orientation(path, orientation, target):
    """The display matrix of an MP4's track header (ISO/IEC 14496-12, 8.3.2) for an EXIF orientation."""
    a, b, c, d = (value << 16 for value in TURNS[orientation])
    return patched(path, b"tkhd", 40, struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30), target)


def exif(jpeg, orientation):
    """A JPEG with an EXIF orientation."""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def jpeg_of(image, quality=95):
    """A JPEG file's bytes."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def claiming(jpeg, width, height):
    """A small JPEG whose header says that it is large."""
    at = next(i for i in range(len(jpeg)) if jpeg[i] == 0xFF and jpeg[i + 1] in (0xC0, 0xC1, 0xC2))
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]
