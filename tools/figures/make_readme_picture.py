"""Make `docs/images/demo.jpg` from the demo's video.

`make demo && python -m tools.figures.make_readme_picture [VIDEO]`
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from tracker import open_source

SECONDS = (3.2, 9.6, 13.4, 19.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", nargs="?", default="runs/demo/tracks.mp4")
    parser.add_argument("--seconds", type=float, nargs=4, default=SECONDS)
    parser.add_argument("--out", type=Path, default=Path("docs/images/demo.jpg"))
    args = parser.parse_args()
    wanted, pictures = list(args.seconds), []
    with open_source(args.video) as source:
        for frame in source:
            if wanted and frame.timestamp >= wanted[0] - 1e-6:
                label = f"{wanted.pop(0):.1f} s"
                picture = cv2.putText(frame.image, label, (12, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2)
                pictures.append(picture[: picture.shape[0] * 5 // 6])
            if not wanted:
                break
    sheet = np.vstack([np.hstack(pictures[:2]), np.hstack(pictures[2:])])
    sheet = cv2.resize(sheet, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(args.out), sheet, [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
