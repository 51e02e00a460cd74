"""A tracker as data: motion model, stages of association, life cycle.

Times are seconds, gates are in units of their cost, scores and overlaps are in 0–1.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tracker.motion.kalman import BoxState

StateName = Literal["tentative", "confirmed", "lost"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]

CostName = Literal["iou", "iou_times_score", "embedding", "fused", "least"]
"""
- iou: one minus the overlap.
- iou_times_score: one minus overlap × detection score (ByteTrack's fuse_score).
- embedding: half the cosine distance, 0–1, of the track's appearance.
- fused: weighted sum of iou (× score) and embedding, see `weight`.
- least: the smaller of iou (× score) and embedding, the latter only where both its gates hold (BoT-SORT).
"""


class Part(BaseModel):
    """Base of all parts: unknown keys are refused, values cannot change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Motion(Part):
    """The Kalman filter."""

    state: BoxState = "xyah"
    position_noise: Positive = Field(1 / 20, description="of a measured side, as a share of its size")
    velocity_noise: Positive = Field(1 / 160, description="of the velocity per nominal frame, likewise")
    coast_seconds: Positive | None = Field(
        None, description="a track out of sight loses its velocity with this time constant; null: never"
    )
    noise_by_score: bool = Field(False, description="trust low-score boxes less (GIAOTracker's NSA)")


class Chosen(Part):
    """Which detections a stage looks at."""

    score: tuple[Fraction, Fraction] = Field((0.0, 1.0), description="from, up to but without (1 is included)")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.score[0] > self.score[1]:
            raise ValueError(f"score band from {self.score[0]} to {self.score[1]} is empty")
        return self


class Stage(Part):
    """One round of association: some tracks against some detections that no earlier stage has used."""

    tracks: tuple[StateName, ...] = Field(min_length=1)
    detections: Chosen = Chosen()
    cost: CostName = "iou"
    gate: float = Field(ge=0, description="pairs that cost more do not exist")
    weight: Fraction = Field(0.5, description="of the embedding in `fused`")
    times_score: bool = Field(False, description="overlap × score in `fused` and `least`")
    least_overlap: Fraction | None = Field(None, description="pairs that overlap less do not exist")
    appearance_gate: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="pairs whose embedding cost is higher do not exist (in `least`: do not count by it)"
    )
    mahalanobis_gate: Positive | None = Field(
        None,
        description="pairs with a larger squared distance by motion do not exist; 9.4877 is chi-square's 95 %",
    )
    reach: Positive | None = Field(
        None,
        description="heights a second that an unseen object may have moved; pairs further off do not exist",
    )
    size_ratio: Fraction | None = Field(None, description="pairs whose heights differ more do not exist")
    by_age: bool = Field(False, description="most recently seen tracks choose first (DeepSORT's cascade)")
    seen_within: Positive | None = Field(None, description="only tracks seen in the last so many seconds")

    @property
    def needs_embedding(self) -> bool:
        """Whether it compares appearance."""
        return self.cost in ("embedding", "fused", "least") or self.appearance_gate is not None


class Birth(Part):
    """When an unmatched detection becomes a track, and a track gets its id."""

    score: Fraction = Field(0.6, description="lowest score that begins a track")
    confirm_hits: int = Field(2, ge=1, le=100, description="consecutive matches until it is confirmed")
    at_once_in_first_frame: bool = Field(True, description="the first frame's detections are confirmed at once")
    overlap: Fraction = Field(1.0, description="no birth on a detection that overlaps a matched track's more")


class Death(Part):
    """When a track ends."""

    lost_seconds: float = Field(1.0, ge=0, le=86_400, description="out of sight longer than this, and than one frame")
    duplicate_overlap: Fraction = Field(
        1.0, description="a lost track that a seen one overlaps more than this is the same object: it ends"
    )


class Appearance(Part):
    """How a track remembers what it looks like."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="of the running mean")
    score: Fraction = Field(0.5, description="lowest detection score that teaches it")
    overlap: Fraction = Field(1.0, description="a box hidden by another more than this teaches nothing")


class Recipe(Part):
    """A whole tracker."""

    name: str = "custom"
    paper: str = Field("", description="where it was published")
    covers: str = Field("", description="what of the paper is covered, and differences")
    frame_rate: Positive = Field(30.0, le=1000, description="of the nominal step that noise is given for")
    motion: Motion = Motion()
    camera_motion: Literal["none"] = "none"
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=8)
    birth: Birth = Birth()
    death: Death = Death()
    appearance: Appearance = Appearance()
    class_agnostic: bool = Field(False, description="objects of different classes may match")
    box: Literal["filter", "detection"] = Field("filter", description="which box a matched track shows")

    @property
    def needs_embedding(self) -> bool:
        """Whether any stage compares appearance."""
        return any(stage.needs_embedding for stage in self.stages)

    @property
    def embedding_score(self) -> float:
        """Detections below this score are never compared by appearance, so they need no embedding."""
        lowest = [stage.detections.score[0] for stage in self.stages if stage.needs_embedding]
        return min([*lowest, self.birth.score]) if lowest else 1.0
