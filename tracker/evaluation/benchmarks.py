"""The rules of the benchmarks, as data, and the step that applies them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tracker.errors import DataError
from tracker.evaluation.matching import EPSILON, match
from tracker.evaluation.sequence import Sequence, compute_similarity
from tracker.formats.mot import CLASSES
from tracker.formats.table import OBJECT, Table

THRESHOLD = 0.5
PEDESTRIAN = CLASSES[0]
MOT_ALIASES = {str(number): name for number, name in enumerate(CLASSES, 1)} | dict.fromkeys(
    (OBJECT, "person"), PEDESTRIAN
)
"""Other names of MOT16's classes: their numbers, and what else pedestrians are called; also no class at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is considered in a benchmark.

    Classes are names in small letters. A rule that is not needed stays as it is here.

    Attributes:
        text: the format of files `NAME.txt`, a key of `tracker.formats.registry.FORMATS`.
        aliases: other names of classes, as the benchmark calls them.
        evaluated: the class that is scored; None where all are, and a file need not have any.
        distractors: classes that a prediction may match without reward or punishment.
        only_own: whether boxes of all other classes are left out before anything is matched. Otherwise all ground truth
            is matched, and a prediction of another class is refused.
        flags: whether ground truth with flag 0 is left out.
        regions: class of regions that nobody labelled: a prediction without a match that lies in one is left out.
        min_height: a prediction without a match that is no higher, in pixels, is left out.
        max_truncation, max_occlusion: ground truth beyond either is a distractor.
        may_be_absent: whether a sequence may have no box that is considered.
    """

    text: str = "mot"
    aliases: Mapping[str, str] = field(default_factory=lambda: MOT_ALIASES)
    evaluated: str | None = None
    distractors: tuple[str, ...] = ()
    only_own: bool = False
    flags: bool = True
    regions: str | None = None
    min_height: float = 0.0
    max_truncation: int | None = None
    max_occlusion: int | None = None
    may_be_absent: bool = False

    def class_of(self, label: str) -> str:
        """What the benchmark calls a class."""
        plain = label.lower()
        return self.aliases.get(plain, plain)


def _mot(*distractors: int) -> Rules:
    """Rules after MOT16's (Milan et al., 2016), with the numbers of the distractors."""
    return Rules(evaluated=PEDESTRIAN, distractors=tuple(CLASSES[number - 1] for number in distractors))


def _kitti(evaluated: str, distractor: str) -> Rules:
    """Rules after KITTI's tracking benchmark (Geiger et al., CVPR 2012)."""
    return Rules(
        text="kitti",
        aliases={},
        evaluated=evaluated,
        distractors=(distractor,),
        only_own=True,
        flags=False,
        regions="dontcare",
        min_height=25.0,
        max_truncation=0,
        max_occlusion=2,
        may_be_absent=True,
    )


RULES = {
    "mot15": Rules(),
    "mot16": _mot(2, 7, 8, 12),
    "mot17": _mot(2, 7, 8, 12),
    "mot20": _mot(2, 6, 7, 8, 12),
    "dancetrack": _mot(),
    "sportsmot": _mot(),
    "kitti-car": _kitti("car", "van"),
    "kitti-pedestrian": _kitti("pedestrian", "person"),
    "none": Rules(flags=False),
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


def why_nothing_is_considered(gt: Table, rules: Rules) -> str | None:
    """Why no box of the ground truth would be scored; None where some would be, or need not be."""
    if rules.may_be_absent:
        return None
    flagged = gt.score != 0 if rules.flags else np.ones(len(gt), bool)
    if not flagged.any():
        return "every flag in column 7 is 0"
    there = sorted({rules.class_of(gt.labels[i]) for i in np.unique(gt.label[flagged]).tolist()})
    if rules.evaluated is not None and rules.evaluated not in there:
        return f"its classes are {', '.join(there[:8])}, and only {rules.evaluated} is scored"
    return None


def prepare(gt: Table, pred: Table, rules: Rules, length: int) -> tuple[Table, Table]:
    """Ground truth and predictions without what is not considered.

    Predictions are matched to **all** ground truth first, at an overlap of half or more, and those matched to a
    distractor are left out; then ground truth that is flagged out or of another class is.

    Args:
        gt, pred: in order of frames.
        rules: the benchmark's.
        length: frames of the sequence.
    """
    regions = gt.take(_is(gt, rules, {rules.regions}))
    if rules.only_own:
        gt = gt.take(_is(gt, rules, {rules.evaluated, *rules.distractors}))
        pred = pred.take(_is(pred, rules, {rules.evaluated}))
    hidden = _hidden(gt, rules)
    if rules.distractors:
        similarity = compute_similarity(gt, pred, length)
        pairs = _matched(similarity)
        matched = pairs >= 0
        ignored = np.zeros(len(pred), bool)
        ignored[similarity.pair_pred[pairs[matched & (hidden | _is(gt, rules, rules.distractors))]]] = True
        alone = np.ones(len(pred), bool)
        alone[similarity.pair_pred[pairs[matched]]] = False
        low = pred.xyxy[:, 3] - pred.xyxy[:, 1] <= rules.min_height + EPSILON
        pred = pred.take(~(ignored | (alone & (low | _covered(pred, regions, length)))))
    considered = ~hidden
    if rules.flags:
        considered &= gt.score != 0
    if rules.evaluated is not None:
        considered &= _is(gt, rules, {rules.evaluated})
    return gt.take(considered), pred


def _is(table: Table, rules: Rules, classes: Collection[str | None]) -> NDArray[np.bool_]:
    """Rows of some classes."""
    return table.is_labelled(lambda label: rules.class_of(label) in classes)


def _hidden(gt: Table, rules: Rules) -> NDArray[np.bool_]:
    """Ground truth that is cut off or hidden too much to be asked for."""
    hidden = np.zeros(len(gt), np.bool_)
    for most, values in ((rules.max_truncation, gt.truncated), (rules.max_occlusion, gt.occluded)):
        if most is not None and values is not None:
            hidden |= values > most
    return hidden


def _matched(similarity: Sequence) -> NDArray[np.int64]:
    """The pair of each box of the ground truth at an overlap of half or more, -1 for none."""
    s = similarity
    overlap = np.where(s.similarity >= THRESHOLD - EPSILON, s.similarity, 0.0)
    return match(s.gt_first, s.pred_first, s.pair_first, s.pair_pred, overlap)


def _covered(boxes: Table, regions: Table, length: int) -> NDArray[np.bool_]:
    """Boxes of which more than half lies in one region of their frame."""
    pairs = compute_similarity(regions, boxes, length)
    region, box = regions.xyxy[pairs.pair_gt], boxes.xyxy[pairs.pair_pred]
    both = np.minimum(region[:, 2:], box[:, 2:]) - np.maximum(region[:, :2], box[:, :2])
    share = both.prod(1) / (box[:, 2:] - box[:, :2]).prod(1)
    covered = np.zeros(len(boxes), bool)
    covered[pairs.pair_pred[share > THRESHOLD + EPSILON]] = True
    return covered
