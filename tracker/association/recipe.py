"""A tracker as data: motion model, stages of association, life cycle.

Times are seconds, gates are in units of their cost, scores and overlaps are in 0–1.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from tracker.association.matching.costs import COSTS, NAMES, RENAMED
from tracker.association.papers import From
from tracker.association.records import fields
from tracker.association.stage import Fraction, Part, Positive, Stage, beside, null
from tracker.motion.kalman import BoxState


def _check_cost(stage: Any) -> Any:
    """Refuse a setting that the stage's cost does not use, and name the costs that do."""
    if not isinstance(stage, Mapping):
        return stage
    cost = stage.get("cost", "iou")
    if cost in RENAMED:
        raise ValueError(f"the cost `{cost}` is now called `{RENAMED[cost]}`")
    if cost not in NAMES:
        return stage
    own = COSTS[NAMES.index(cost)].settings.model_fields
    for name in stage:
        users = [other.name for other in COSTS if name in other.settings.model_fields]
        if users and name not in own:
            raise ValueError(f"`{name}` is not used by the cost {cost}, but by {', '.join(users)}")
    return {"cost": cost, **stage}


if TYPE_CHECKING:
    AnyStage = Stage
else:
    AnyStage = Annotated[
        reduce(or_, (cost.settings for cost in COSTS)), Field(discriminator="cost"), BeforeValidator(_check_cost)
    ]


class Motion(Part):
    """The Kalman filter."""

    state: Annotated[
        BoxState, From("DeepSORT", "section 2.1"), From("BoT-SORT", "section 3.1"), From("SORT", "section 3.2")
    ] = Field("xyah", description="what is measured of a box: see `tracker.motion.kalman`")
    position_noise: Annotated[Positive, From("DeepSORT", "section 2.1")] = Field(
        1 / 20, description="deviation that a nominal frame adds to the position, as a share of a side"
    )
    velocity_noise: Annotated[Positive, From("DeepSORT", "section 2.1")] = Field(
        1 / 160, description="deviation that a nominal frame adds to the velocity, as a share of a side"
    )
    measurement_noise: Positive | None = null(
        "deviation of a measured side, as a share of it; null: as `position_noise`"
    )
    start_velocity: Positive | None = null(
        "deviation of a new track's velocity, as a share of a side; null: ten times `velocity_noise`"
    )
    size_noise: Positive = Field(1.0, description="position and velocity noise of width and height, times this")
    adapt: Annotated[Annotated[float, Field(ge=0, le=1)], From("Mehra")] = Field(
        0.0, description="rate at which position and velocity noise follow what the stream shows (ours); 0: fixed"
    )
    coast_seconds: Positive | None = null(
        "a track out of sight loses its velocity with this time constant; null: never"
    )
    noise_by_score: Annotated[Fraction | None, From("GIAOTracker", "section 3.3")] = null(
        "variance of a measurement times 1 - score, at least this (GIAOTracker's NSA); null: the same", 0.0
    )
    reupdate: Annotated[bool, From("OC-SORT", "section 4.1")] = Field(
        False, description="back in sight, run the filter again over the gap (OC-SORT's ORU)"
    )
    direction_steps: Annotated[int, From("OC-SORT", "section 4.2")] = Field(
        3, ge=1, le=5, description="nominal frames over which a heading is taken"
    )


class Birth(Part):
    """When an unmatched detection becomes a track, and a track gets its id."""

    renamed: ClassVar[Mapping[str, str]] = {"chance": "min_real_probability", "keep_seconds": "tentative_seconds"}

    score: Annotated[Fraction, From("ByteTrack", "section 3")] = Field(
        0.6, description="lowest score that begins a track"
    )
    confirm_hits: Annotated[int, From("SORT", "section 3.4")] = Field(
        2, ge=1, le=100, description="consecutive matches until it is confirmed"
    )
    min_real_probability: Fraction | None = null(
        "instead of `confirm_hits`, which then counts for nothing: confirmed when it is real with this probability, "
        "by its matches and scores and by how those alike ended in this stream (ours)"
    )
    tentative_seconds: float = Field(
        0.0, ge=0, le=3600, description="an unconfirmed track that misses is kept for this time"
    )
    shown_after: Annotated[int, From("SORT")] = Field(
        1, ge=1, le=100, description="consecutive matches after a miss until it is shown again; not at the start"
    )
    at_once_in_first_frame: bool = Field(True, description="the first frame's detections are confirmed at once")
    overlap: Annotated[Fraction, From("TrackTrack", "section 3.3")] = Field(
        1.0, description="no birth on a detection that overlaps a matched or a surer one more"
    )


class Death(Part):
    """When a track ends."""

    renamed: ClassVar[Mapping[str, str]] = {"shown_chance": "min_survival_probability"}

    lost_seconds: Annotated[float, From("SORT", "section 3.4")] = Field(
        1.0, ge=0, le=86_400, description="out of sight longer than this, and than one frame"
    )
    shown_seconds: float = Field(
        0.0, ge=0, le=60, description="out of sight, a track is shown at its predicted box for this time"
    )
    min_survival_probability: Fraction | None = null(
        "out of sight, a track is shown while it is still where it is expected with this probability, by how gaps of "
        "its kind and length ended in this stream (ours)"
    )
    duplicate_overlap: Annotated[Fraction, From("ByteTrack")] = Field(
        1.0, description="a lost track that a seen one overlaps more than this is the same object: it ends"
    )


class Appearance(Part):
    """How a track remembers what it looks like."""

    renamed: ClassVar[Mapping[str, str]] = {"samples": "gallery_size"}

    momentum: Annotated[Annotated[float, Field(ge=0, lt=1)], From("StrongSORT")] = Field(
        0.9, description="of the running mean of the embeddings"
    )
    momentum_by_score: Annotated[bool, From("Deep OC-SORT", "section 3.2")] = Field(
        False, description="learn less from detections of lower score (Deep OC-SORT)"
    )
    gallery_size: Annotated[int, From("DeepSORT", "section 2.2")] = Field(
        0, ge=0, le=200, description="embeddings kept beside the mean"
    )
    novelty: Fraction = beside(
        "gallery_size",
        0.0,
        "half cosine distance from the whole gallery that makes a new entry; else the better of two alike stays. "
        "0: simply the newest",
    )
    score: Fraction = Field(0.5, description="lowest score of a detection that is learned from")
    overlap: Fraction = Field(1.0, description="nothing is learned from a box that another covers more than this")


class Reidentification(Part):
    """How somebody who was lost gets his id back, by place, time and embedding, wherever he turns up.

    What speaks for it is a sum of log-likelihood ratios (`tracker.association.evidence`): soon after he was lost,
    where he would be by now counts most; later, and elsewhere, hardly anything but his embedding does.

    Evidence is how often a track was seen well, each time by as much as its embedding was learned (`appearance`):
    with `momentum_by_score`, a detection of score 1 counts once and one at `appearance.score` not at all.
    """

    renamed: ClassVar[Mapping[str, str]] = {"lead": "margin"}

    seconds: float = Field(60.0, ge=0, le=86_400, description="who is known is remembered out of sight for this time")
    evidence: Positive = Field(4.0, description="makes a track known, and a newcomer sure")
    threshold: Annotated[float, Field(gt=0, le=2)] | None = Field(
        0.522,
        description="cosine distance at which two tracks of one camera are as likely one person as two, by the odds of "
        "the bundled embedder; `load_tracker(…, embedder=…)` puts in what another says; null: nobody knows, and nobody "
        "is known again by his embedding before the stream has shown how unlike people in view at once are",
        json_schema_extra={"unset": 0.0},
    )
    gate: Positive = Field(1.0, description="thresholds at which the embedding of a sure newcomer says nothing")
    at_first: Fraction = Field(
        0.7, description="share of it for one just seen, or small in the picture; grows to 1 with its evidence"
    )
    margin: Annotated[float, Field(ge=0)] = Field(
        1.0, description="log-likelihood ratio by which a pair must be better than its rivals"
    )
    wait_seconds: Annotated[float, Field(ge=0, le=60)] = Field(
        2.0, description="longest that a newcomer waits for its id while it could be somebody who was lost"
    )


class Recipe(Part):
    """A whole tracker."""

    renamed: ClassVar[Mapping[str, str]] = {"reunion": "reidentification"}

    name: str = Field("custom", description="as in messages")
    paper: str = Field("", description="where it was published")
    covers: str = Field("", description="what of the paper is covered, and differences")
    frame_rate: Positive = Field(30.0, le=1000, description="of the nominal frame that noise is given for, a second")
    motion: Motion = Motion()
    camera_motion: Literal["none", "flow", "ecc", "orb", "file", "boxes"] = Field(
        "none",
        description="how it is measured: sparse optical flow, ECC, ORB, read from `camera_file`, or without pictures, "
        "as the shift that the boxes have in common (ours)",
    )
    camera_file: str | None = Field(None, description="text, a row a frame: its number and the six of a 2×3 affine")
    stages: tuple[AnyStage, ...] = Field(min_length=1, max_length=12)
    birth: Birth = Birth()
    death: Death = Death()
    appearance: Appearance = Appearance()
    reidentification: Reidentification | None = Field(
        None, description="null: whoever is lost for too long is a new person"
    )
    sure_score: Annotated[float, Field(gt=0, le=1)] | None = null(
        "scores of a detector that is less sure are raised, by the factor that brings the sure detections of this "
        "stream to this score (ours): then what is said of scores here holds for it too; null: scores are as given",
        0.0,
    )
    memory: Literal["identity", "visit"] = Field(
        "identity",
        description="whether who left and comes back keeps the id, or has a new one for every visit, as in the ground "
        "truth of MOTChallenge; who is hidden within the picture for no more than two seconds keeps it",
    )
    boost: Annotated[Fraction, From("BoostTrack", "section 3.1")] = Field(
        0.0, description="raise scores to this × overlap with a track's expected box (BoostTrack)"
    )
    class_agnostic: bool = Field(False, description="objects of different classes may match")
    class_of_track: Annotated[Literal["majority", "first", "last"], From("Boyer-Moore")] = beside(
        "class_agnostic", "majority", "which of the classes that its detections had a track shows"
    )
    box: Literal["filter", "detection"] = Field("filter", description="which box a matched track shows")

    @property
    def uses_embedding(self) -> bool:
        """Whether embeddings make a difference."""
        return any(stage.needs_embedding or stage.when != "any" for stage in self.stages)

    @property
    def needs_embedding(self) -> bool:
        """Whether it cannot do without."""
        by_boxes = self.stages_when(embeddings=False)
        return not by_boxes or any(stage.needs_embedding for _, stage in by_boxes)

    def stages_when(self, *, embeddings: bool) -> list[tuple[int, Stage]]:
        """The stages of a frame whose detections have embeddings, or have none, with their places in the recipe."""
        left_out = "boxes" if embeddings else "embeddings"
        return [(i, stage) for i, stage in enumerate(self.stages) if stage.when != left_out]

    @property
    def embedding_score(self) -> float:
        """Detections below this score are never compared by appearance, so they need no embedding."""
        lowest = [stage.detections.score[0] for stage in self.stages if stage.needs_embedding]
        return min([*lowest, self.birth.score]) if lowest else 1.0

    @model_validator(mode="after")
    def _has_camera_file(self) -> Self:
        if (self.camera_motion == "file") != (self.camera_file is not None):
            raise ValueError("camera_motion: file and camera_file: PATH go together")
        return self

    @model_validator(mode="after")
    def _has_stages(self) -> Self:
        if not self.stages_when(embeddings=True):
            raise ValueError("every stage is for frames without embeddings: say `when: any` of them")
        return self

    @model_validator(mode="after")
    def _has_embeddings(self) -> Self:
        if self.reidentification is not None and not self.uses_embedding:
            raise ValueError("reidentification compares embeddings, but no stage does: no track learns any")
        return self

    @model_validator(mode="after")
    def _has_gallery(self) -> Self:
        if any(getattr(stage, "embedding_of", "mean") == "gallery" for stage in self.stages):
            if not self.appearance.gallery_size:
                raise ValueError("a stage compares with the gallery, but appearance.gallery_size is 0: it stays empty")
        elif "gallery_size" in self.appearance.model_fields_set and not self.uses_embedding:
            raise ValueError("appearance.gallery_size changes nothing: no stage compares embeddings")
        return self


def _stage_fields() -> list[tuple[Any, ...]]:
    """Those of all costs' stages together."""
    found: dict[str, tuple[Any, ...]] = {}
    for cost in COSTS:
        found |= {field[0]: field for field in fields(cost.settings)}
    return list(found.values())


STAGE = np.dtype(
    [
        *(field for field in _stage_fields() if field[0] not in ("cost", "times_score")),
        ("number", np.int64),  # its place in the recipe
        ("cost", np.int64),  # its place in `COSTS`
        ("times_score", np.bool_),
        ("compares", np.bool_),  # embeddings
        ("function_number", np.int64),  # of Python that gives its costs: its place in the recipe's
        *((flag, np.bool_) for flag in ("falls_back", "own_gates", "weighs_later", "asks_python")),
    ]
)
"""The settings of a stage."""
RULES = np.dtype(
    [
        *fields(Recipe),
        ("nominal", np.float64),  # seconds of a nominal frame
        ("stage_count", np.int64),
        ("embeddings", np.bool_),  # whether tracks learn them, in the frames that these rules are for
        ("headings", np.int64),  # that the stages ask for: 0 none, 1 the centre's, 2 the corners'
    ]
)
"""The other settings of a recipe."""
