"""Make `videos/plaza.mp4` from PETS 2009's `vtest.avi`: `python -m tools.figures.make_demo_clip [vtest.avi]`.

`vtest.avi` is in Debian's package opencv-doc and in OpenCV's samples. The clip is H.264 with every frame at its
time, at the best quality that fits the limit.
"""

import argparse
import os
from pathlib import Path

import av

LIMIT = 3_000_000
"""Bytes: a clip that a repository can carry."""


def encode(source: Path, target: Path, quality: int) -> int:
    """Write `target` at a constant rate factor; its size in bytes."""
    with av.open(str(source)) as reader, av.open(str(target), "w", options={"movflags": "faststart"}) as writer:
        video = reader.streams.video[0]
        out = writer.add_stream("libx264", rate=video.average_rate)
        out.width, out.height, out.pix_fmt = video.width, video.height, "yuv420p"
        out.time_base = video.time_base
        out.options = {"crf": str(quality), "preset": "veryslow", "tune": "film", "g": "100"}
        for frame in reader.decode(video):
            frame.pict_type = av.video.frame.PictureType.NONE  # the encoder chooses its own key frames
            writer.mux(out.encode(frame))
        writer.mux(out.encode())
    return target.stat().st_size


def main() -> None:
    data = Path(os.environ.get("REACQUIRE_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", type=Path, default=data / "video/vtest.avi")
    parser.add_argument("--out", type=Path, default=Path("videos/plaza.mp4"))
    args = parser.parse_args()
    low, high = 18, 36  # the smallest rate factor that fits, by bisection
    while low < high:
        middle = (low + high) // 2
        size = encode(args.source, args.out, middle)
        print(f"crf {middle}: {size:,} bytes", flush=True)
        low, high = (low, middle) if size <= LIMIT else (middle + 1, high)
    print(f"crf {low}: {encode(args.source, args.out, low):,} bytes in {args.out}")


if __name__ == "__main__":
    main()
