"""Make `docs/images/person-detector-limits.jpg`: what the bundled detector finds (green), misses (yellow) and takes for
a person (red), on the bundled clip and on validation pictures whose terms allow showing them.

    python -m tools.figures.make_detector_picture [--data FOLDER]
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from tools.benchmarks.evaluate_person_detector import DATA, ROOT, Boxes, Image, validation
from tracker import Frame, open_source
from tracker.association.matching.assignment import assign
from tracker.association.overlap import iou
from tracker.detection import Detector, load_detector

SIDE = 330
RIGHT, WRONG, MISSED = (60, 200, 60), (40, 40, 235), (0, 220, 255)
CLIP = {120: (260, 60, ((415, 178, 442, 262),), ()), 470: (438, 40, (), ((732, 123, 767, 221),))}
"""Frames of the clip: left and top of what is shown, who is missed, what is wrong; marked by eye."""
PICTURES = (
    "construction_0031", "construction_0114", "construction_0008", "construction_0011", "construction_0029",
    "indoor_cam_0091",
)  # fmt: skip
"""Of data sets under CC BY 4.0."""


def drawn(image: Image, found: Boxes, right: list[bool], missed: Boxes) -> Image:
    """The picture with boxes, enlarged to a tile first so that lines stay thin."""
    scale = SIDE / max(image.shape[:2])
    tile = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    coloured = [(box, RIGHT if good else WRONG) for box, good in zip(found, right, strict=True)]
    for box, colour in coloured + [(box, MISSED) for box in missed]:
        x1, y1, x2, y2 = (int(v) for v in np.round(np.asarray(box) * scale))
        cv2.rectangle(tile, (x1, y1), (x2, y2), colour, 2, cv2.LINE_AA)
    canvas = np.full((SIDE, SIDE, 3), 255, np.uint8)
    canvas[: tile.shape[0], : tile.shape[1]] = tile[:SIDE, :SIDE]
    return canvas


def of_clip(detector: Detector) -> list[Image]:
    tiles = []
    with open_source(ROOT / "videos/plaza.mp4", max_frames=max(CLIP) + 1) as source:
        for frame in source:
            if frame.index in CLIP:
                left, top, missed, wrong = CLIP[frame.index]
                found = detector.detect([frame])[0].xyxy
                overlap = iou(found, np.reshape(wrong, (-1, 4)).astype(np.float32))
                free = [bool(row) for row in np.max(overlap, axis=1, initial=0.0) < 0.5]
                corner = np.array([left, top, left, top], np.float32)
                part = np.ascontiguousarray(frame.image[top : top + SIDE, left : left + SIDE])
                tiles.append(drawn(part, found - corner, free, np.reshape(missed, (-1, 4)) - corner))
    return tiles


def of_picture(detector: Detector, frame: Frame, true: Boxes) -> Image:
    found = detector.detect([frame])[0].xyxy
    rows, columns = assign(1 - iou(found, true), 0.5)
    return drawn(frame.image, found, np.isin(np.arange(len(found)), rows).tolist(), np.delete(true, columns, axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/person-detector-limits.jpg")
    args = parser.parse_args()
    detector, held = load_detector("person"), validation(args.data)
    by_name = {Path(f.source).stem: (f, b) for f, b in zip(held.frames, held.boxes, strict=True)}
    tiles = of_clip(detector) + [of_picture(detector, *by_name[name]) for name in PICTURES]
    sheet = np.vstack([np.hstack(tiles[:4]), np.hstack(tiles[4:])])
    cv2.imwrite(str(args.out), sheet, [cv2.IMWRITE_JPEG_QUALITY, 82])
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
