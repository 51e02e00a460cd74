"""The rules of the benchmarks, as data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.evaluation.matching import EPSILON, match
from tracker.evaluation.sequence import Boxes, match_up

THRESHOLD = 0.5
PEDESTRIAN = 1


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts in a benchmark.

    Attributes:
        distractors: classes that a result may match without reward or punishment.
        classes: whether ground truth has classes, of which only pedestrians count.
        flags: whether ground truth with flag 0 is left out.
        world_coordinates: columns 8 to 10 of ground truth are positions in the world.
    """

    distractors: tuple[int, ...] = ()
    classes: bool = False
    flags: bool = True
    world_coordinates: bool = False


RULES = {
    "mot15": Rules(world_coordinates=True),
    "mot16": Rules(distractors=(2, 7, 8, 12), classes=True),
    "mot17": Rules(distractors=(2, 7, 8, 12), classes=True),
    "mot20": Rules(distractors=(2, 6, 7, 8, 12), classes=True),
    "dancetrack": Rules(classes=True),
    "none": Rules(flags=False, world_coordinates=True),
}


def prepare(truth: Boxes, result: Boxes, rules: Rules, length: int) -> tuple[Boxes, Boxes]:
    """Truth and results with what does not count left out.

    Results are matched to **all** ground truth first, at an overlap of half or more, and those matched to a
    distractor are deleted; then ground truth that is flagged out or of another class is.
    """
    if rules.distractors:
        all_ = match_up(truth, result, length)
        overlap = np.where(all_.similarity >= THRESHOLD - EPSILON, all_.similarity, 0.0)
        pairs = match(all_.truth_first, all_.result_first, all_.pair_first, all_.pair_result, overlap)
        distract = (pairs >= 0) & np.isin(truth.class_id, rules.distractors)
        doomed = np.zeros(len(result), bool)
        doomed[all_.pair_result[pairs[distract]]] = True
        result = result.keep(~doomed)
    counted = truth.counts if rules.flags else np.ones(len(truth), bool)
    if rules.classes:
        counted = counted & (truth.class_id == PEDESTRIAN)
    return truth.keep(counted), result
