"""The rules of the benchmarks, as data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.errors import DataError
from tracker.evaluation.matching import EPSILON, match
from tracker.evaluation.sequence import Boxes, match_up

THRESHOLD = 0.5
PEDESTRIAN = 1
KITTI_CLASSES = {
    name: number
    for number, name in enumerate(
        ("car", "van", "truck", "pedestrian", "person", "cyclist", "tram", "misc", "dontcare"), 1
    )
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts in a benchmark.

    Attributes:
        distractors: classes that a result may match without reward or punishment.
        classes: whether ground truth has classes, of which only one counts.
        evaluated: that class.
        flags: whether ground truth with flag 0 is left out.
        world_coordinates: columns 8 to 10 of ground truth are positions in the world.
        kitti: files are KITTI's; results of other classes than the evaluated are left out, truth that is cut off or
            hidden is a distractor, and boxes without a match are left out where they are low or lie in a region that
            nobody labelled.
        least_height: of a box without a match, in pixels.
    """

    distractors: tuple[int, ...] = ()
    classes: bool = False
    evaluated: int = PEDESTRIAN
    flags: bool = True
    world_coordinates: bool = False
    kitti: bool = False
    least_height: float = 0.0


def _kitti(evaluated: str, distractor: str) -> Rules:
    return Rules(
        distractors=(KITTI_CLASSES[distractor],),
        classes=True,
        evaluated=KITTI_CLASSES[evaluated],
        kitti=True,
        least_height=25.0,
    )


RULES = {
    "mot15": Rules(world_coordinates=True),
    "mot16": Rules(distractors=(2, 7, 8, 12), classes=True),
    "mot17": Rules(distractors=(2, 7, 8, 12), classes=True),
    "mot20": Rules(distractors=(2, 6, 7, 8, 12), classes=True),
    "dancetrack": Rules(classes=True),
    "sportsmot": Rules(classes=True),
    "kitti-car": _kitti("car", "van"),
    "kitti-pedestrian": _kitti("pedestrian", "person"),
    "none": Rules(flags=False, world_coordinates=True),
}
SEVERAL = {"kitti": ("kitti-car", "kitti-pedestrian")}
"""Benchmarks that score each class by itself."""


def rules_of(benchmark: str) -> Rules:
    """The rules of a benchmark.

    Raises:
        DataError: unknown; names those there are.
    """
    if benchmark in SEVERAL:
        raise DataError(f"benchmark {benchmark!r} scores each class by itself: {' or '.join(SEVERAL[benchmark])}")
    if benchmark not in RULES:
        raise DataError(f"benchmark {benchmark!r} is unknown; there are: {', '.join([*RULES, *SEVERAL])}")
    return RULES[benchmark]


def why_nothing_counts(truth: Boxes, rules: Rules) -> str | None:
    """Why no true box would be scored; None where some would be."""
    flagged = truth.counts if rules.flags else np.ones(len(truth), bool)
    if not flagged.any():
        return "every flag in column 7 is 0"
    kinds = np.unique(truth.class_id[flagged])
    if rules.classes and rules.evaluated not in kinds:
        there = ", ".join(map(str, kinds[:8].tolist()))
        return f"its classes are {there}, and only {rules.evaluated} is scored"
    return None


def prepare(truth: Boxes, result: Boxes, rules: Rules, length: int) -> tuple[Boxes, Boxes]:
    """Truth and results with what does not count left out.

    Results are matched to **all** ground truth first, at an overlap of half or more, and those matched to a
    distractor are deleted; then ground truth that is flagged out or of another class is.
    """
    regions = truth
    if rules.kitti:
        regions = truth.keep(truth.class_id == KITTI_CLASSES["dontcare"])
        truth = truth.keep(np.isin(truth.class_id, (rules.evaluated, *rules.distractors)))
        result = result.keep(result.class_id == rules.evaluated)
    if rules.distractors:
        all_ = match_up(truth, result, length)
        overlap = np.where(all_.similarity >= THRESHOLD - EPSILON, all_.similarity, 0.0)
        pairs = match(all_.truth_first, all_.result_first, all_.pair_first, all_.pair_result, overlap)
        matched = pairs >= 0
        distract = np.isin(truth.class_id, rules.distractors) | (rules.kitti & ~truth.counts)
        doomed = np.zeros(len(result), bool)
        doomed[all_.pair_result[pairs[matched & distract]]] = True
        if rules.kitti:
            alone = np.ones(len(result), bool)
            alone[all_.pair_result[pairs[matched]]] = False
            low = result.xyxy[:, 3] - result.xyxy[:, 1] <= rules.least_height + EPSILON
            doomed |= alone & (low | _covered(result, regions, length))
        result = result.keep(~doomed)
    counted = truth.counts if rules.flags else np.ones(len(truth), bool)
    if rules.classes:
        counted = counted & (truth.class_id == rules.evaluated)
    return truth.keep(counted), result


def _covered(boxes: Boxes, regions: Boxes, length: int) -> NDArray[np.bool_]:
    """Boxes of which more than half lies in one region of their frame."""
    pairs = match_up(regions, boxes, length)
    region, box = regions.xyxy[pairs.pair_truth], boxes.xyxy[pairs.pair_result]
    both = np.minimum(region[:, 2:], box[:, 2:]) - np.maximum(region[:, :2], box[:, :2])
    share = both.prod(1) / (box[:, 2:] - box[:, :2]).prod(1)
    covered = np.zeros(len(boxes), bool)
    covered[pairs.pair_result[share > THRESHOLD + EPSILON]] = True
    return covered
