"""All that the person detector is trained and validated on, in one file: `python -m tools.training.pack_person_data`.

- the pictures of the data folder with their boxes, and whether people drew those (`provenance.tsv`);
- tiles of a video, labelled by a stronger detector;
- people cut out of training pictures, for pasting.
Nothing in it is by chance: the same file every time. It takes some minutes.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from reid.runtime import sha256
from tools.benchmarks.evaluate_person_detector import read_labels
from tools.training.person.cutouts import of_picture
from tools.training.person.pack import Image, Picture, write
from tracker import Frame, open_source
from tracker.detection import load_detector

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data"))
LARGE = 22_000
"""Bytes of a JPEG."""


def webp(image: Image, quality: int) -> bytes:
    """A picture, BGR or BGRA, as a WebP file."""
    return bytes(cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])[1])


def compact(encoded: bytes, image: Image) -> bytes:
    """A large JPEG once more, coarser: the file is to travel to a GPU."""
    if len(encoded) <= LARGE:
        return encoded
    return min(encoded, bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 72])[1]), key=len)


def pictures_of_folder(folder: Path) -> Iterator[Picture]:
    """Those of the data folder; training pictures made smaller, validation pictures as they are."""
    with (folder / "provenance.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row in rows:
        path = next((folder / "images" / row["split"]).glob(f"{row['name']}.*"), None)
        if path is None:
            continue
        image, encoded = np.asarray(cv2.imread(str(path)), np.uint8), path.read_bytes()
        validation = row["split"] == "val"
        boxes = read_labels(path, (image.shape[1], image.shape[0]))
        encoded = encoded if validation else compact(encoded, image)
        yield Picture(encoded, boxes, row["name"], row["source"], validation, row["origin"].startswith("true"))


def pictures_of_video(video: Path, teacher: str, every: int, side: int) -> Iterator[Picture]:
    """Square tiles of frames, labelled by the teacher, who sees small people better in a tile than in a whole frame.

    A tile in which it doubts much (scores of 0.2 to 0.35) is left out.
    """
    detector = load_detector(teacher, score=0.2, image_size=640, classes=["person"])
    with open_source(video) as source:
        for frame in source:
            if frame.index % every:
                continue
            width, height = frame.size
            for left in (0, width - height):
                tile = np.ascontiguousarray(frame.image[:, left : left + height])
                found = detector.detect([Frame(tile, frame.index, frame.timestamp, frame.source)])[0]
                sure = found.score >= 0.35
                if (~sure).sum() <= 0.3 * sure.sum():
                    image = np.asarray(cv2.resize(tile, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
                    name = f"{video.stem}_{frame.index:05d}_{left}"
                    boxes = (found.xyxy[sure] * (side / height)).astype(np.float32)
                    yield Picture(webp(image, 78), boxes, name, "video", False, False)


def people(folder: Path) -> Iterator[Image]:
    """Cut-outs of the training pictures."""
    for path in sorted((folder / "images/train").glob("*.jpg")):
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        yield from of_picture(image, read_labels(path, (image.shape[1], image.shape[0])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path("runs/person-pack.npz"))
    parser.add_argument("--every", type=int, default=7, help="which frames of the video are labelled")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    pictures = list(pictures_of_folder(args.data / "person_det"))
    teacher = str(args.data / "weights/teacher-yolov8n-int8.onnx")
    video = args.data / "video/crowd-from-above.mp4"
    pictures += pictures_of_video(video, teacher, args.every, 480)
    print(f"{len(pictures)} pictures, {sum(len(p.encoded) for p in pictures):,} bytes", flush=True)
    cutouts = [webp(person, 85) for person in people(args.data / "person_det")]
    print(f"{len(cutouts)} people cut out, {sum(map(len, cutouts)):,} bytes")
    write(args.out, pictures, cutouts)
    print(f"{args.out}: {args.out.stat().st_size:,} bytes, sha256 {sha256(args.out)}")


if __name__ == "__main__":
    main()
