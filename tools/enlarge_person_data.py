"""Enlarge the person-detection data: `python tools/enlarge_person_data.py --out runs/person-data`.

Copies the data folder and adds to its training half
- composites: people cut out (GrabCut, Rother et al., SIGGRAPH 2004) of training pictures and of re-ID training crops,
  pasted onto training pictures at many scales (Dwibedi et al., ICCV 2017; Ghiasi et al., CVPR 2021), most onto pictures
  without people, labelled with the box of each person of whom enough can be seen;
- pseudo-labels: frames of a video labelled by a stronger detector.
Validation images, and the re-ID crops held for validation, are not touched. Fixed seed: the same files every time.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from evaluate_person_detector import read_labels
from numpy.typing import NDArray

from tracker import Frame, open_source
from tracker.detection import load_detector

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data"))
Image = NDArray[np.uint8]
Mask = NDArray[np.float32]


@dataclass(frozen=True)
class Cutout:
    """A person: ``image (H, W, 3)`` and how much of each pixel is the person, ``mask (H, W)`` in 0–1."""

    image: Image
    mask: Mask


def cut_out(image: Image, box: NDArray[np.float32], border: float = 0.15) -> Cutout | None:
    """The person in ``box``, or None where the segmentation is not credible (too full, too empty, off the middle)."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    grow_x, grow_y = border * (x2 - x1), border * (y2 - y1) / 2
    left, top = max(int(x1 - grow_x), 0), max(int(y1 - grow_y), 0)
    right, bottom = min(int(x2 + grow_x) + 1, width), min(int(y2 + grow_y) + 1, height)
    patch = np.ascontiguousarray(image[top:bottom, left:right])
    rectangle = (max(int(x1) - left, 1), max(int(y1) - top, 1), int(x2 - x1) - 1, int(y2 - y1) - 1)
    if min(rectangle[2:]) < 12:
        return None
    labels = np.zeros(patch.shape[:2], np.uint8)
    cv2.grabCut(patch, labels, rectangle, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_RECT)
    person = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(person)
    if count < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    person = (parts == largest).astype(np.uint8)
    share = person.sum() / (rectangle[2] * rectangle[3])
    x, y, w, h = (int(stats[largest, i]) for i in range(4))
    if not 0.3 < share < 0.8 or h < 0.85 * rectangle[3] or w < 0.5 * rectangle[2]:
        return None
    mask = cv2.GaussianBlur(person.astype(np.float32), (0, 0), max(h / 150, 0.6))
    return Cutout(patch[y : y + h, x : x + w], mask[y : y + h, x : x + w])


def people_of_pictures(images: list[Path]) -> Iterator[Cutout]:
    """People who stand free: boxes of 70 pixels and more that no other box overlaps, upright, inside the picture."""
    for path in images:
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        height, width = image.shape[:2]
        boxes = read_labels(path, (width, height))
        for index, box in enumerate(boxes):
            w, h = box[2] - box[0], box[3] - box[1]
            inside = box[0] > 2 and box[1] > 2 and box[2] < width - 2 and box[3] < height - 2
            others = np.delete(boxes, index, axis=0)
            apart = (np.minimum(others[:, 2], box[2]) <= np.maximum(others[:, 0], box[0])) | (
                np.minimum(others[:, 3], box[3]) <= np.maximum(others[:, 1], box[1])
            )
            if h >= 70 and 1.6 < h / w < 4.5 and inside and apart.all():
                found = cut_out(image, box)
                if found is not None:
                    yield found


def people_of_crops(folder: Path, chance: random.Random, count: int) -> Iterator[Cutout]:
    """People of re-ID training crops, which are cut close: the crop is the box, its rim the background."""
    for path in chance.sample(sorted(folder.glob("*.jpg")), count):
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        height, width = image.shape[:2]
        box = np.array([0.08 * width, 0.03 * height, 0.92 * width, 0.98 * height], np.float32)
        found = cut_out(image, box, border=0.2)
        if found is not None:
            yield found


def paste(canvas: Image, person: Cutout, left: int, top: int, height: int, chance: random.Random) -> Mask:
    """Blend a person of ``height`` pixels into the canvas, in place; returns its full-size mask."""
    image, mask = person.image, person.mask
    if chance.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    width = max(round(image.shape[1] * height / image.shape[0] * chance.uniform(0.9, 1.1)), 3)
    how = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_LINEAR
    image = cv2.resize(image, (width, height), interpolation=how).astype(np.float32)
    mask = cv2.resize(np.ascontiguousarray(mask), (width, height), interpolation=how)
    full = np.zeros(canvas.shape[:2], np.float32)
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + width, canvas.shape[1]), min(top + height, canvas.shape[0])
    if x2 <= x1 or y2 <= y1:
        return full
    part = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
    below = canvas[y1:y2, x1:x2].astype(np.float32)
    # The person's brightness moves a part of the way towards that of the place.
    gain = (below.mean() + 20) / (image[part].mean() + 20)
    lit = np.clip(image[part] * gain ** chance.uniform(0, 0.7), 0, 255)
    alpha = mask[part][..., None]
    canvas[y1:y2, x1:x2] = (alpha * lit + (1 - alpha) * below).astype(np.uint8)
    full[y1:y2, x1:x2] = mask[part]
    return full


def box_of(mask: Mask) -> NDArray[np.float32]:
    rows, columns = np.flatnonzero(mask.max(1) > 0.5), np.flatnonzero(mask.max(0) > 0.5)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def compose(
    background: Image, boxes: NDArray[np.float32], people: list[Cutout], chance: random.Random
) -> tuple[Image, NDArray[np.float32]]:
    """A picture with people pasted in, those further away first, and the boxes of all who can be seen.

    A group shares a scale and a ground line now and then, as on a square; otherwise scales are log-uniform.
    Pasted people may hide each other, not those who were in the picture.
    """
    canvas = background.copy()
    height, width = canvas.shape[:2]
    count = chance.choice((1, 2, 3, 4, 6, 8, 12))
    typical = np.exp(chance.uniform(np.log(22), np.log(0.55 * height)))
    sizes = sorted(int(np.clip(typical * np.exp(chance.gauss(0, 0.25)), 18, 0.8 * height)) for _ in range(count))
    free = np.ones(canvas.shape[:2], bool)
    for x1, y1, x2, y2 in boxes.astype(np.int64).tolist():
        free[max(y1, 0) : y2, max(x1, 0) : x2] = False
    masks: list[Mask] = []
    for size in sizes:
        for _ in range(8):
            left = chance.randint(-size // 6, max(width - size // 4, 1))
            top = chance.randint(0, max(height - int(0.8 * size), 1))
            if free[max(top, 0) : top + size, max(left, 0) : left + size // 2].all():
                masks.append(paste(canvas, chance.choice(people), left, top, size, chance))
                break
    kept = list(boxes)
    for index, mask in enumerate(masks):
        area = float(mask.sum())
        hidden = np.max(np.array(masks[index + 1 :]), axis=0) if index + 1 < len(masks) else np.zeros_like(mask)
        if area > 30 and (mask * (1 - hidden)).sum() > 0.35 * area and (mask > 0.5).any():
            kept.append(box_of(mask))
    return canvas, np.array(kept, np.float32).reshape(-1, 4)


def write(out: Path, name: str, image: Image, boxes: NDArray[np.float32]) -> None:
    """A picture and its YOLO label file in the training half."""
    height, width = image.shape[:2]
    cv2.imwrite(str(out / f"images/train/{name}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 85])
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    rows = np.concatenate([centre / (width, height), size / (width, height)], axis=1)
    lines = [f"0 {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n" for x, y, w, h in rows]
    (out / f"labels/train/{name}.txt").write_text("".join(lines))


def add_composites(data: Path, out: Path, count: int, chance: random.Random) -> None:
    images = sorted((data / "person_det/images/train").glob("*.jpg"))
    people = list(people_of_pictures(images))
    print(f"{len(people)} people cut out of {len(images)} pictures", flush=True)
    for folder, number in (("market1501", 900), ("cuhk03", 500)):
        people += people_of_crops(data / "reid" / folder / "train", chance, number)
    print(f"{len(people)} with those of re-ID crops", flush=True)
    sizes = [(path, (path.parents[2] / "labels/train" / f"{path.stem}.txt")) for path in images]
    empty = [path for path, label in sizes if not label.exists() or label.stat().st_size == 0]
    for index in range(count):
        path = chance.choice(empty if chance.random() < 0.6 else images)
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        made, boxes = compose(image, read_labels(path, (image.shape[1], image.shape[0])), people, chance)
        write(out, f"composite_{index:05d}", made, boxes)


def add_video(video: Path, teacher: str, out: Path, every: int, side: int) -> None:
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
                    image = cv2.resize(tile, (side, side), interpolation=cv2.INTER_AREA)
                    boxes = found.xyxy[sure] * (side / height)
                    write(out, f"{video.stem}_{frame.index:05d}_{left}", np.asarray(image, np.uint8), boxes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path("runs/person-data"))
    parser.add_argument("--composites", type=int, default=900)
    parser.add_argument("--every", type=int, default=7, help="which frames of the video are labelled")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    shutil.copytree(args.data / "person_det", args.out)
    chance = random.Random(args.seed)
    add_composites(args.data, args.out, args.composites, chance)
    teacher = str(args.data / "weights/teacher-yolov8n-int8.onnx")
    add_video(args.data / "video/crowd-from-above.mp4", teacher, args.out, args.every, 480)
    print(f"{len(list((args.out / 'images/train').glob('*.jpg')))} training pictures in {args.out}")


if __name__ == "__main__":
    main()
