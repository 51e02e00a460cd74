"""People to look at: labelled crops, and those cut from pictures and videos, each with its surroundings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.data.cropset import images_in
from reid.data.sets import read_set

LABELLED = {"market1501": "market1501", "cuhk03": "cuhk03", "cuhk01": "cuhk03", "pku": "cuhk03"}
"""Data sets below reid/, by the reader that their names fit."""
JUDGED_ELSEWHERE = ("vtest", "intel_people-detection", "tud_campus")
"""Pictures that other parts of the project are judged on: nothing is learnt from them."""
LOWEST = 32
"""Height in pixels of the smallest people."""
HIGHEST = 288
"""Height in pixels to which larger people are shrunk: the teacher sees 256."""
AROUND = 0.35
"""Of its surroundings a person is cut with, as a share of each side: boxes that are off show them."""
EVERY = 5
"""Frame of a video is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """Somebody in a picture.

    Attributes:
        image: ``(H, W, 3)`` uint8 BGR, the person with some surroundings.
        box: left, top, right, bottom of the person in it, pixels.
        source: name of the data set or video.
        identity: number within the source; -1 where nobody said.
    """

    image: NDArray[np.uint8]
    box: NDArray[np.float32]
    source: str
    identity: int


def cut(image: NDArray[np.uint8], box: NDArray[np.float32], source: str) -> Person | None:
    """A person with surroundings, shrunk where very large; None where too small."""
    left, top, right, bottom = box
    if bottom - top < LOWEST or right - left < LOWEST / 4:
        return None
    margin = AROUND * np.array([right - left, bottom - top])
    low = np.maximum(np.floor(box[:2] - margin), 0).astype(int)
    high = np.minimum(np.ceil(box[2:] + margin), [image.shape[1], image.shape[0]]).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    inside = box - np.tile(low, 2)
    scale = min(HIGHEST / (bottom - top), 1.0)
    if scale < 1:
        part = np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    return Person(np.ascontiguousarray(part, np.uint8), np.asarray(scale * inside, np.float32), source, -1)


def labelled(data: Path, name: str) -> Iterator[Person]:
    """The crops of a data set, each a person without surroundings."""
    crops = read_set(LABELLED[name], data / "reid" / name / "train")
    for path, identity in zip(crops.paths, crops.identity.tolist(), strict=True):
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        if identity > 0:
            yield Person(image, np.array([0, 0, image.shape[1], image.shape[0]], np.float32), name, identity)


def in_pictures(data: Path) -> Iterator[Person]:
    """The boxes of the person detector's pictures."""
    for path in images_in(data / "person_det" / "images"):
        if path.name.startswith(JUDGED_ELSEWHERE):
            continue
        labels = data / "person_det" / "labels" / path.parent.name / f"{path.stem}.txt"
        known = labels.exists() and labels.stat().st_size
        boxes = np.loadtxt(labels, np.float32, ndmin=2) if known else np.empty((0, 5), np.float32)
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        for _, x, y, w, h in boxes:
            size = np.array([image.shape[1], image.shape[0]] * 2, np.float32)
            person = cut(image, np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2], np.float32) * size, "pictures")
            if person is not None:
                yield person


def in_videos(data: Path) -> Iterator[Person]:
    """Whom the bundled detector finds in every fifth frame of the videos."""
    from tracker.detection import load_detector
    from tracker.types import Frame

    detector = load_detector("person", device="cpu")
    for path in sorted((data / "video").iterdir()):
        if path.stem in JUDGED_ELSEWHERE:
            continue
        video = cv2.VideoCapture(str(path))
        number = 0
        while video.grab():
            if number % EVERY == 0:
                image = np.asarray(video.retrieve()[1], np.uint8)
                for box in detector.detect([Frame(image, number, float(number))])[0].xyxy:
                    person = cut(image, np.asarray(box, np.float32), "videos")
                    if person is not None:
                        yield person
            number += 1


def everybody(data: Path) -> list[Person]:
    """All of them, in an order that does not change."""
    people = [person for name in LABELLED for person in labelled(data, name)]
    return [*people, *in_pictures(data), *in_videos(data)]
