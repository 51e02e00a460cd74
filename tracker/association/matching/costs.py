"""The costs of pairing a track with a detection, each an entry: its settings, its function, where its pairs can lie.

A function gets the stage's settings, the `PAIR` that was measured (see `tracker.association.records`), the box of the
track and that of the detection, and returns the cost. A new cost is a class of settings, a function, and a line in
`COSTS`; `docs/engine.md` shows it step by step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from tracker.association import overlap as ov
from tracker.association.papers import From
from tracker.association.stage import Fraction, Stage, beside
from tracker.compiled import Record, kernel

OverlapName = Literal["iou", "giou", "diou", "ciou", "biou", "hmiou"]
"""Plain; generalised, distance, complete (brought to 0–1); of boxes grown by `buffer`; times that of the heights."""

Function = Callable[[Record, Record, ov.Box, ov.Box], float]
Margin = Callable[[Record, ov.Box, float, float], float]


class OverlapStage(Stage):
    """Settings of the costs that go by how boxes overlap."""

    overlap: Annotated[
        OverlapName, From("GIoU"), From("DIoU"), From("C-BIoU", "section 3.1"), From("Hybrid-SORT", "section 3.2")
    ] = Field("iou", description="which overlap: see `tracker.association.overlap`")
    buffer: Annotated[float, From("C-BIoU", "section 3.1")] = beside(
        "overlap=biou", 0.3, "growth of boxes in `biou`, share of a side", ge=0, le=5
    )


class EmbeddingStage(Stage):
    """Settings of the costs that compare embeddings."""

    compares_embeddings: ClassVar[bool] = True
    embedding_of: Annotated[Literal["mean", "gallery"], From("DeepSORT", "section 2.2")] = Field(
        "mean", description="what embeddings are compared with: the running mean, or the most alike of the gallery"
    )


class BothStage(OverlapStage, EmbeddingStage):
    """Settings of the costs that go by both."""

    times_score: Annotated[bool, From("ByteTrack")] = Field(False, description="overlap × score")


class Iou(OverlapStage):
    """One minus the overlap."""

    cost: Literal["iou"] = "iou"


class IouTimesScore(OverlapStage):
    """One minus overlap × detection score (ByteTrack's fuse_score)."""

    multiplies_by_score: ClassVar[bool] = True
    cost: Literal["iou_times_score"]


class Embedding(EmbeddingStage):
    """Half the cosine distance of the embeddings, 0–1."""

    cost: Literal["embedding"]


class Fused(BothStage):
    """Weighted sum of overlap and embedding; overlap alone where one of the two has no embedding."""

    falls_back: ClassVar[bool] = True
    cost: Literal["fused"]
    weight: Annotated[Fraction, From("StrongSORT")] = Field(
        0.5, description="of the embedding; the rest is of the overlap"
    )


class MinIouEmbedding(BothStage):
    """The smaller of overlap and embedding, the latter only within both its gates (BoT-SORT, equations 12 and 13)."""

    own_gates: ClassVar[bool] = True
    cost: Literal["min_iou_embedding"]


class Adaptive(BothStage):
    """Overlap plus cosine distance, weighted by `weight` and by how well it tells candidates apart (Deep OC-SORT)."""

    weighs_later: ClassVar[bool] = True
    cost: Literal["adaptive"]
    weight: Annotated[Fraction, From("Deep OC-SORT", "section 3.3")] = Field(
        0.5, description="of the embedding at least; grows by up to 0.5"
    )


class CentreDistance(Stage):
    """Distance of the centres in mean diagonals of the two boxes: for small and fast objects."""

    cost: Literal["centre_distance"]


class Python(Stage):
    """A matrix of costs that a Python function of the caller's gives, `load_tracker(…, costs={NAME: function})`."""

    asks_python: ClassVar[bool] = True
    cost: Literal["python"]
    function: str = Field(description="name of the function in `costs`")


@kernel
def by_overlap(stage: Record, pair: Record, box: ov.Box, found: ov.Box) -> float:
    """One minus the overlap (× score), with what motion adds."""
    return float(pair.motion)


@kernel
def by_embedding(stage: Record, pair: Record, box: ov.Box, found: ov.Box) -> float:
    """Half the cosine distance."""
    return float(pair.embedding)


@kernel
def fused(stage: Record, pair: Record, box: ov.Box, found: ov.Box) -> float:
    """Overlap and embedding, weighted."""
    if math.isnan(pair.embedding):
        return float(pair.motion)
    return float(pair.motion + stage.weight * (pair.embedding - pair.motion))


@kernel
def smaller(stage: Record, pair: Record, box: ov.Box, found: ov.Box) -> float:
    """The smaller of the two costs; that of the embedding counts only for who is near and alike enough."""
    if pair.embedding > stage.max_embedding_distance or pair.iou < stage.min_iou:
        return float(pair.motion)
    return float(min(pair.motion, pair.embedding))


@kernel
def centre_distance(stage: Record, pair: Record, box: ov.Box, found: ov.Box) -> float:
    """Distance of the centres, in mean diagonals of the two boxes."""
    away = math.hypot(box[0] + box[2] - found[0] - found[2], box[1] + box[3] - found[1] - found[3])
    diagonals = math.hypot(box[2] - box[0], box[3] - box[1]) + math.hypot(found[2] - found[0], found[3] - found[1])
    pair.centre_distance = away / max(diagonals, 1e-6)
    return float(pair.centre_distance)


@kernel
def given(stage: Record, pair: Record, box: ov.Box, found: ov.Box) -> float:
    """What the caller's function said."""
    return float(pair.given)


@kernel
def anywhere(stage: Record, box: ov.Box, widest: float, tallest: float) -> float:
    """A pair can exist however far apart its boxes are."""
    return math.inf


@kernel
def where_boxes_meet(stage: Record, box: ov.Box, widest: float, tallest: float) -> float:
    """Within the gate only boxes overlap, those that `biou` grows by a little more."""
    if stage.overlap == ov.BUFFERED_IOU and stage.gate < 1:
        return float(stage.buffer * max(box[2] - box[0] + widest, box[3] - box[1] + tallest))
    plain = stage.overlap == ov.IOU or stage.overlap == ov.HEIGHT_IOU
    return 0.0 if plain and stage.gate < 1 else math.inf


@kernel
def where_boxes_meet_enough(stage: Record, box: ov.Box, widest: float, tallest: float) -> float:
    """As `where_boxes_meet` where embeddings count for overlapping boxes only."""
    return where_boxes_meet(stage, box, widest, tallest) if stage.min_iou > 0 else math.inf


@kernel
def within_diagonals(stage: Record, box: ov.Box, widest: float, tallest: float) -> float:
    """The centres are no further apart than the gate allows."""
    diagonals = math.hypot(box[2] - box[0], box[3] - box[1]) + math.hypot(widest, tallest)
    return float(stage.gate * diagonals / 2)


class Cost(NamedTuple):
    """One way to say how well a track and a detection fit.

    Attributes:
        settings: its stage's settings; their field `cost` has its name as the only value.
        function: of the stage and a measured pair.
        margin: of the stage, a track's box, and the largest width and height of the detections: pixels around the box
            beyond which no pair within the gate exists.
    """

    settings: type[Stage]
    function: Function
    margin: Margin = anywhere

    @property
    def name(self) -> str:
        """As in recipes, and in explanations."""
        return str(self.settings.model_fields["cost"].annotation.__args__[0])  # type: ignore[union-attr]


COSTS = (
    Cost(Iou, by_overlap, where_boxes_meet),
    Cost(IouTimesScore, by_overlap, where_boxes_meet),
    Cost(Embedding, by_embedding),
    Cost(Fused, fused),
    Cost(MinIouEmbedding, smaller, where_boxes_meet_enough),
    Cost(Adaptive, by_overlap),
    Cost(CentreDistance, centre_distance, within_diagonals),
    Cost(Python, given),
)
"""All of them; a stage's record has its cost's place in this list."""
NAMES = tuple(cost.name for cost in COSTS)
RENAMED = {"least": "min_iou_embedding"}


@cache
def choose_cost(costs: tuple[int, ...]) -> Any:
    """A compiled function that calls that of the stage's cost, one of these."""
    number, mine = costs[0], COSTS[costs[0]].function
    if len(costs) == 1:
        return mine
    others = choose_cost(costs[1:])

    @kernel
    def cost_of(stage: Record, pair: Record, box: ov.Box, found: ov.Box) -> float:
        if stage.cost == number:
            return float(mine(stage, pair, box, found))
        return float(others(stage, pair, box, found))

    return cost_of


@cache
def choose_margin(costs: tuple[int, ...]) -> Any:
    """A compiled function that calls the margin of the stage's cost, one of these."""
    number, mine = costs[0], COSTS[costs[0]].margin
    if len(costs) == 1:
        return mine
    others = choose_margin(costs[1:])

    @kernel
    def margin_of(stage: Record, box: ov.Box, widest: float, tallest: float) -> float:
        if stage.cost == number:
            return float(mine(stage, box, widest, tallest))
        return float(others(stage, box, widest, tallest))

    return margin_of
