"""Judge a person detector: `python -m tools.benchmarks.evaluate_person_detector [WEIGHTS]`.

    --image-size 352 416 512     one row a size: what accuracy costs
    --degraded                   one row a kind of bad video: grey, dark, blurred, noisy, compressed

Average precision on the truly labelled validation images, precision and recall on TUD-Campus, recall by height of
people, false boxes on images without people, and frames a second on the bundled clip. All figures of the model card
come from here; none of the images was trained on.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from supervision.metrics import MeanAveragePrecision

from tracker import Detections, Frame, open_source
from tracker.adapters import to_supervision
from tracker.association.matching.assignment import assign
from tracker.association.overlap import iou
from tracker.detection import Detector, load_detector

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data"))
HEIGHTS = ((0, 20), (20, 45), (45, 90), (90, 180), (180, 2000))
"""Of people, pixels; the three in the middle are people of about 30, 60 and 120 pixels."""
LEAST = 0.005
"""Score from which boxes are asked for; the average precision needs the weak ones too."""
Boxes = NDArray[np.float32]
Image = NDArray[np.uint8]


def read_labels(image: Path, size: tuple[int, int]) -> Boxes:
    """``(N, 4)`` corners of a YOLO label file."""
    label = Path(str(image.parent).replace("images", "labels")) / f"{image.stem}.txt"
    rows = np.loadtxt(label, ndmin=2) if label.exists() and label.stat().st_size else np.empty((0, 5))
    centre, half = rows[:, 1:3] * size, rows[:, 3:5] * size / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Labelled:
    """Frames and the boxes of all people in them.

    Attributes:
        drawn: of each frame, whether its boxes were drawn by people.
    """

    frames: list[Frame]
    boxes: list[Boxes]
    drawn: list[bool]


def validation(data: Path) -> Labelled:
    """The validation images."""
    found = Labelled([], [], [])
    with (data / "person_det/provenance.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            path = next((data / "person_det/images/val").glob(f"{row['name']}.*"), None)
            if row["split"] == "val" and path is not None:
                image = np.asarray(cv2.imread(str(path)), np.uint8)
                number = len(found.frames)
                found.frames.append(Frame(image, number, float(number), path.name))
                found.boxes.append(read_labels(path, found.frames[-1].size))
                found.drawn.append(row["origin"].startswith("true"))
    return found


def campus(data: Path) -> Labelled:
    """TUD-Campus with its ground truth."""
    truth = np.loadtxt(data / "mot15/TUD-Campus/gt/gt.txt", delimiter=",")
    truth[:, 4:6] += truth[:, 2:4]
    with open_source(data / "mot15/TUD-Campus") as source:
        frames = list(source)
    boxes = [truth[truth[:, 0] == frame.index + 1, 2:6].astype(np.float32) for frame in frames]
    return Labelled(frames, boxes, [True] * len(frames))


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


def precision_and_recall(found: Sequence[Detections], truth: Sequence[Boxes], score: float) -> tuple[float, float]:
    """Of the boxes of at least this score, at an overlap of a half."""
    boxes, right, _ = hits(found, truth, score)
    return right / max(boxes, 1), right / max(sum(map(len, truth)), 1)


def average_precision(found: Sequence[Detections], truth: Sequence[Boxes]) -> tuple[float, float]:
    """AP at overlap 0.5, and its mean over 0.5 to 0.95."""
    metric = MeanAveragePrecision()
    metric.update([to_supervision(d) for d in found], [to_supervision(Detections(t)) for t in truth])
    result = metric.compute()
    return float(result.map50), float(result.map50_95)


def frame_rate(detector: Detector, frames: int = 80, passes: int = 4) -> float:
    """Frames a second on the bundled clip (768×576), scaled, detected in batches of four and decoded.

    The fastest tenth of the batches counts, which other work on the machine has not disturbed.
    """
    with open_source(ROOT / "videos/plaza.mp4", max_frames=frames) as source:
        sample = list(source)
    detector.detect(sample[:4])
    seconds = []
    for at in list(range(0, len(sample), 4)) * passes:
        started = time.perf_counter()
        detector.detect(sample[at : at + 4])
        seconds.append(time.perf_counter() - started)
    return 4 / float(np.quantile(seconds, 0.1))


@dataclass(frozen=True)
class Judged:
    """What a detector finds on everything it is judged by.

    Attributes:
        images: the validation images.
        found: on each of them.
        campus: TUD-Campus.
        found_campus: on each of its frames.
    """

    images: Labelled
    found: list[Detections]
    campus: Labelled
    found_campus: list[Detections]

    def rows(self, kept: Callable[[int], bool]) -> tuple[list[Detections], list[Boxes]]:
        """Found and true boxes of the validation images that are kept by their row."""
        rows = [row for row in range(len(self.found)) if kept(row)]
        return [self.found[row] for row in rows], [self.images.boxes[row] for row in rows]

    def truly_labelled(self) -> tuple[list[Detections], list[Boxes]]:
        """Those with people whose boxes were drawn by people."""
        return self.rows(lambda row: self.images.drawn[row] and len(self.images.boxes[row]) > 0)

    def recall_by_height(self, score: float) -> list[tuple[float, int]]:
        """Recall in each of the bands and of how many people, over all validation images."""
        _, _, seen = hits(self.found, self.images.boxes, score)
        heights = np.concatenate([b[:, 3] - b[:, 1] for b in self.images.boxes])
        flags = np.concatenate(seen)
        bands = [(heights >= least) & (heights < most) for least, most in HEIGHTS]
        return [(float(flags[band].mean()) if band.any() else 0.0, int(band.sum())) for band in bands]

    def false_boxes(self, score: float) -> tuple[float, int]:
        """Boxes an image without people, and how many such images there are."""
        empty, _ = self.rows(lambda row: len(self.images.boxes[row]) == 0)
        return sum(int((d.score >= score).sum()) for d in empty) / max(len(empty), 1), len(empty)


def judge(detector: Detector, images: Labelled, street: Labelled) -> Judged:
    """Let a detector that tells of weak boxes too find what it can."""
    found, seen = ([detector.detect([frame])[0] for frame in part.frames] for part in (images, street))
    return Judged(images, found, street, seen)


def report(judged: Judged, score: float) -> None:
    """Everything of one detector at one size."""
    found, truth = judged.truly_labelled()
    ap50, ap = average_precision(found, truth)
    print(f"truly labelled validation images with people: {len(truth)}, boxes: {sum(map(len, truth))}")
    print(f"AP50 {ap50:.3f}  AP50-95 {ap:.3f}")
    parts = {
        "truly labelled validation images": judged.rows(lambda row: judged.images.drawn[row]),
        "all validation images": judged.rows(lambda row: True),
        "TUD-Campus": (judged.found_campus, judged.campus.boxes),
    }
    for name, (found, truth) in parts.items():
        print(f"{name}, {len(truth)} pictures, {sum(map(len, truth))} boxes:")
        for threshold in sorted({0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, score}):
            precision, recall = precision_and_recall(found, truth, threshold)
            f1 = 2 * precision * recall / max(precision + recall, 1e-9)
            print(f"  score {threshold:.2f}: precision {precision:.3f}  recall {recall:.3f}  F1 {f1:.3f}")
    print(f"recall at score {score:.2f} by height in pixels, all validation images:")
    for (least, most), (recall, count) in zip(HEIGHTS, judged.recall_by_height(score), strict=True):
        print(f"  {least:>3}–{most}: {recall:.3f} of {count}")
    wrong, empty = judged.false_boxes(score)
    print(f"boxes on {empty} images without people, score {score:.2f}: {wrong:.2f} each")


def print_row(name: str, judged: Judged, score: float, rate: float | None = None) -> None:
    """One line of a table."""
    ap50, ap = average_precision(*judged.truly_labelled())
    precision, recall = precision_and_recall(judged.found_campus, judged.campus.boxes, score)
    bands = "  ".join(f"{recall:.3f}" for recall, _ in judged.recall_by_height(score)[1:4])
    wrong, _ = judged.false_boxes(score)
    speed = "" if rate is None else f"{rate:>7.1f}"
    print(f"{name:<22}{ap50:>6.3f}{ap:>10.3f}{precision:>12.3f}{recall:>8.3f}  {bands}{wrong:>8.2f}{speed}", flush=True)


HEADER = f"{'':<22}{'AP50':>6}{'AP50-95':>10}{'TUD prec.':>12}{'recall':>8}  30 px  60 px  120 px  false    fps"


def low_light(image: Image) -> Image:
    """A fifth of the light, and the noise of a sensor."""
    noise = np.random.default_rng(0).normal(0, 5, image.shape)
    return np.clip(image * 0.2 + noise, 0, 255).astype(np.uint8)


def low_resolution(image: Image) -> Image:
    """Half the pixels each way, enlarged again."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def compressed(image: Image, quality: int) -> Image:
    """Through JPEG."""
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def motion_blur(image: Image, length: int) -> Image:
    """Of a camera that pans."""
    return np.asarray(cv2.blur(image, (length, 1)), np.uint8)


def grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)


DEGRADED: dict[str, Callable[[Image], Image]] = {
    "as it is": lambda image: image,
    "grey": grey,
    "a fifth of the light": low_light,
    "blur, sigma 2": lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 2), np.uint8),
    "motion blur, 9 pixels": partial(motion_blur, length=9),
    "half the resolution": low_resolution,
    "JPEG quality 15": partial(compressed, quality=15),
}


def spoiled(part: Labelled, spoil: Callable[[Image], Image]) -> Labelled:
    """The same scenes in bad pictures."""
    return replace(part, frames=[Frame(spoil(f.image), f.index, f.timestamp, f.source) for f in part.frames])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", default="person")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--score", type=float, default=0.35, help="threshold of the figures at one score")
    parser.add_argument("--image-size", type=int, nargs="+", help="the weights' own when absent")
    parser.add_argument("--nms-iou", type=float, default=0.6)
    parser.add_argument("--degraded", action="store_true")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    load = partial(load_detector, args.weights, device=args.device, classes=["person"], nms_iou=args.nms_iou)
    images, street = validation(args.data), campus(args.data)
    sizes = args.image_size or [None]
    if args.degraded:
        print(HEADER.removesuffix("    fps"))
        for name, spoil in DEGRADED.items():
            detector = load(score=LEAST, image_size=sizes[0])
            print_row(name, judge(detector, spoiled(images, spoil), spoiled(street, spoil)), args.score)
    elif len(sizes) > 1:
        print(HEADER)
        for size in sizes:
            rate = frame_rate(load(image_size=size))
            print_row(f"{size} pixels", judge(load(score=LEAST, image_size=size), images, street), args.score, rate)
    else:
        detector = load(image_size=sizes[0])
        report(judge(load(score=LEAST, image_size=sizes[0]), images, street), args.score)
        rate, backend = frame_rate(detector), detector.describe().get("backend", detector.describe().get("device"))
        print(f"{rate:.1f} frames a second at 768x576, {os.cpu_count()} cores, {backend}")


if __name__ == "__main__":
    main()
