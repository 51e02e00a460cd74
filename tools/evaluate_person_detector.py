"""Judge a person detector: `python tools/evaluate_person_detector.py [WEIGHTS]`.

Prints average precision on the truly labelled validation images, precision and recall on TUD-Campus, recall by
height of people, false boxes on images without people, and frames a second. All figures of the model card come
from here; none of the images was trained on.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import supervision as sv
from numpy.typing import NDArray

from tracker import Detections, Frame, open_source
from tracker.adapters import to_supervision
from tracker.association.assignment import assign
from tracker.association.costs import iou
from tracker.detection import Detector, load_detector

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data"))
HEIGHTS = ((0, 20), (20, 40), (40, 80), (80, 160), (160, 2000))
Boxes = NDArray[np.float32]


def read_labels(image: Path, size: tuple[int, int]) -> Boxes:
    """``(N, 4)`` corners of a YOLO label file."""
    label = Path(str(image.parent).replace("images", "labels")) / f"{image.stem}.txt"
    rows = np.loadtxt(label, ndmin=2) if label.exists() and label.stat().st_size else np.empty((0, 5))
    centre, half = rows[:, 1:3] * size, rows[:, 3:5] * size / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def validation(data: Path) -> list[tuple[Frame, Boxes, bool]]:
    """Validation images with their boxes, and whether a person drew those."""
    found = []
    with (data / "person_det/provenance.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            path = next((data / "person_det/images/val").glob(f"{row['name']}.*"), None)
            if row["split"] == "val" and path is not None:
                image = np.asarray(cv2.imread(str(path)), np.uint8)
                frame = Frame(image, len(found), float(len(found)), path.name)
                found.append((frame, read_labels(path, frame.size), row["origin"].startswith("true")))
    return found


def campus(data: Path) -> list[tuple[Frame, Boxes]]:
    """TUD-Campus with its ground truth."""
    truth = np.loadtxt(data / "mot15/TUD-Campus/gt/gt.txt", delimiter=",")
    truth[:, 4:6] += truth[:, 2:4]
    with open_source(data / "mot15/TUD-Campus") as source:
        return [(f, truth[truth[:, 0] == f.index + 1, 2:6].astype(np.float32)) for f in source]


def hits(found: Sequence[Detections], truth: Sequence[Boxes], score: float) -> tuple[int, int, list[NDArray[np.bool_]]]:
    """Boxes found, those that are right at an overlap of a half, and which true ones were found."""
    boxes = right = 0
    seen = []
    for detections, true in zip(found, truth, strict=True):
        kept = detections.xyxy[detections.score >= score]
        _, columns = assign(1 - iou(kept, true), 0.5)
        boxes, right = boxes + len(kept), right + len(columns)
        seen.append(np.isin(np.arange(len(true)), columns))
    return boxes, right, seen


def average_precision(found: Sequence[Detections], truth: Sequence[Boxes]) -> tuple[float, float]:
    """AP at overlap 0.5, and its mean over 0.5 to 0.95."""
    metric = sv.metrics.MeanAveragePrecision()
    metric.update([to_supervision(d) for d in found], [to_supervision(Detections(t)) for t in truth])
    result = metric.compute()
    return float(result.map50), float(result.map50_95)


def report(detector: Detector, low: Detector, data: Path, score: float) -> None:
    images = validation(data)
    true = [(frame, boxes) for frame, boxes, drawn in images if drawn and len(boxes)]
    found = [low.detect([frame])[0] for frame, _ in true]
    ap50, ap = average_precision(found, [boxes for _, boxes in true])
    print(f"truly labelled validation images with people: {len(true)}, boxes: {sum(len(b) for _, b in true)}")
    print(f"AP50 {ap50:.3f}  AP50-95 {ap:.3f}")

    frames = campus(data)
    found = [low.detect([frame])[0] for frame, _ in frames]
    truth = [boxes for _, boxes in frames]
    print(f"TUD-Campus, {len(frames)} frames, {sum(map(len, truth))} boxes:")
    for threshold in sorted({0.3, 0.4, 0.5, 0.6, score}):
        boxes, right, _ = hits(found, truth, threshold)
        print(
            f"  score {threshold:.2f}: precision {right / max(boxes, 1):.3f}  recall {right / sum(map(len, truth)):.3f}"
        )

    everybody = [(frame, boxes) for frame, boxes, _ in images]
    found = [low.detect([frame])[0] for frame, _ in everybody]
    _, _, seen = hits(found, [b for _, b in everybody], score)
    heights = np.concatenate([b[:, 3] - b[:, 1] for _, b in everybody])
    flags = np.concatenate(seen)
    print(f"recall at score {score:.2f} by height in pixels, all validation images:")
    for least, most in HEIGHTS:
        band = (heights >= least) & (heights < most)
        if band.any():
            print(f"  {least:>3}–{most}: {flags[band].mean():.3f} of {band.sum()}")
    empty = [d for d, (_, b) in zip(found, everybody, strict=True) if not len(b)]
    wrong = sum(int((d.score >= score).sum()) for d in empty)
    print(f"boxes on {len(empty)} images without people, score {score:.2f}: {wrong / max(len(empty), 1):.2f} each")

    sample = [frame for frame, _ in frames] * 3
    detector.detect(sample[:4])
    started = time.perf_counter()
    for at in range(0, len(sample), 4):
        detector.detect(sample[at : at + 4])
    rate = len(sample) / (time.perf_counter() - started)
    print(f"{rate:.1f} frames a second at 640x480, {os.cpu_count()} cores, {detector.describe()['backend']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", default="person")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--score", type=float, default=0.5, help="threshold of the figures at one score")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    options = {"image_size": args.image_size, "device": args.device, "classes": ["person"]}
    detector = load_detector(args.weights, **options)
    report(detector, load_detector(args.weights, score=0.005, **options), args.data, args.score)


if __name__ == "__main__":
    main()
