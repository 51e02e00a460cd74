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

CostName = Literal["iou", "iou_times_score", "embedding", "fused", "least", "adaptive"]
"""
- iou: one minus the overlap.
- iou_times_score: one minus overlap × detection score (ByteTrack's fuse_score).
- embedding: half the cosine distance, 0–1, of the track's appearance.
- fused: weighted sum of iou (× score) and embedding, see `weight`.
- least: the smaller of iou (× score) and embedding, the latter only where both its gates hold (BoT-SORT).
- adaptive: iou (× score) plus cosine distance, weighted by `weight` and by how well it tells candidates apart
  (Deep OC-SORT).

Wherever a cost says iou, `overlap` says which.
"""

OverlapName = Literal["iou", "giou", "diou", "ciou", "biou", "hmiou"]
"""Plain; generalised, distance, complete (brought to 0–1); of boxes grown by `buffer`; times that of the heights."""


class Part(BaseModel):
    """Base of all parts: unknown keys are refused, values cannot change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Motion(Part):
    """The Kalman filter."""

    state: BoxState = "xyah"
    position_noise: Positive = Field(1 / 20, description="of the position per nominal frame, as a share of a side")
    velocity_noise: Positive = Field(1 / 160, description="of the velocity per nominal frame, likewise")
    measurement_noise: Positive | None = Field(
        None, description="of a measured side, likewise; null: as `position_noise`"
    )
    start_velocity: Positive | None = Field(
        None, description="deviation of a newborn's velocity, likewise; null: ten times `velocity_noise`"
    )
    size_noise: Positive = Field(1.0, description="position and velocity noise of width and height, times this")
    adapt: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="rate at which position and velocity noise follow what the stream shows (ours); 0: fixed"
    )
    coast_seconds: Positive | None = Field(
        None, description="a track out of sight loses its velocity with this time constant; null: never"
    )
    noise_by_score: Fraction | None = Field(
        None,
        description="variance of a measurement times 1 - score, at least this (GIAOTracker's NSA); null: the same",
    )
    reupdate: bool = Field(False, description="back in sight, run the filter again over the gap (OC-SORT's ORU)")
    direction_steps: int = Field(3, ge=1, le=5, description="nominal frames over which a heading is taken")


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

    given: Literal["any", "looks", "boxes"] = Field(
        "any", description="in which frames: in all, in those whose detections have embeddings, in those without"
    )
    tracks: tuple[StateName, ...] = Field(min_length=1)
    detections: Chosen = Chosen()
    cost: CostName = "iou"
    gate: float = Field(ge=0, description="pairs that cost more do not exist")
    overlap: OverlapName = "iou"
    buffer: Annotated[float, Field(ge=0, le=5)] = Field(0.3, description="growth of boxes in `biou`, share of a side")
    against: Literal["predicted", "observed"] = Field(
        "predicted", description="box of a track: the filter's, or the last one that was seen (OC-SORT's OCR)"
    )
    weight: Fraction = Field(0.5, description="of the embedding in `fused` and `adaptive`")
    look: Literal["mean", "samples"] = Field(
        "mean", description="what embeddings are compared with: the running mean, or the most alike sample"
    )
    times_score: bool = Field(False, description="overlap × score in `fused`, `least` and `adaptive`")
    direction: Fraction = Field(0.0, description="weight of the angle to the heading × score (OC-SORT's OCM)")
    direction_of: Literal["centre", "corners"] = "centre"
    score_change: Fraction = Field(0.0, description="weight of how far a score is from where it was going")
    shape: Fraction = Field(0.0, description="weight of the difference of widths and heights (BoostTrack)")
    mahalanobis: Fraction = Field(0.0, description="weight of the squared distance by motion, 1 at chi-square's 99 %")
    low_below: Fraction = Field(0.0, description="detections of a lower score cost `low_penalty` more (TrackTrack)")
    low_penalty: Fraction = 0.0
    rounds: Fraction | None = Field(
        None,
        description="pairs that prefer each other, the gate falling by this every round (TrackTrack); null: exact",
    )
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
    slack: Annotated[float, Field(ge=0)] = Field(0.5, description="heights that it may be off at once, beside `reach`")
    size_ratio: Fraction | None = Field(None, description="pairs whose heights differ more do not exist")
    by_age: bool = Field(False, description="most recently seen tracks choose first (DeepSORT's cascade)")
    seen_within: Positive | None = Field(None, description="only tracks seen in the last so many seconds")
    gone_for: Annotated[float, Field(ge=0)] = Field(0.0, description="only tracks not seen for so many seconds")

    @property
    def needs_embedding(self) -> bool:
        """Whether it compares appearance."""
        return self.cost in ("embedding", "fused", "least", "adaptive") or self.appearance_gate is not None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.given == "boxes" and self.needs_embedding:
            raise ValueError("a stage for frames without embeddings compares appearance")
        return self


class Birth(Part):
    """When an unmatched detection becomes a track, and a track gets its id."""

    score: Fraction = Field(0.6, description="lowest score that begins a track")
    confirm_hits: int = Field(2, ge=1, le=100, description="consecutive matches until it is confirmed")
    chance: Fraction | None = Field(
        None,
        description="instead of `confirm_hits`, which then counts for nothing: confirmed when it is real with this "
        "chance, by its matches and scores and by how those alike ended in this stream (ours)",
    )
    keep_seconds: float = Field(0.0, ge=0, le=3600, description="an unconfirmed track that misses lives on so long")
    shown_after: int = Field(
        1, ge=1, le=100, description="consecutive matches after a miss until it is shown again; not at the start"
    )
    at_once_in_first_frame: bool = Field(True, description="the first frame's detections are confirmed at once")
    overlap: Fraction = Field(1.0, description="no birth on a detection that overlaps a matched or a surer one more")


class Death(Part):
    """When a track ends."""

    lost_seconds: float = Field(1.0, ge=0, le=86_400, description="out of sight longer than this, and than one frame")
    shown_seconds: float = Field(
        0.0, ge=0, le=60, description="out of sight, a track is shown at its predicted box for so long"
    )
    shown_chance: Fraction | None = Field(
        None,
        description="out of sight, a track is shown while it is still where it is expected with this chance, by how "
        "gaps of its kind and length ended in this stream (ours)",
    )
    duplicate_overlap: Fraction = Field(
        1.0, description="a lost track that a seen one overlaps more than this is the same object: it ends"
    )


class Appearance(Part):
    """How a track remembers what it looks like."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="of the running mean")
    momentum_by_score: bool = Field(False, description="learn less from detections of lower score (Deep OC-SORT)")
    samples: int = Field(0, ge=0, le=200, description="embeddings kept beside the mean")
    novelty: Fraction = Field(
        0.0,
        description="half cosine distance from all samples that makes a new one; else the better of two alike stays. "
        "0: simply the newest",
    )
    score: Fraction = Field(0.5, description="lowest detection score that teaches it")
    overlap: Fraction = Field(1.0, description="a box hidden by another more than this teaches nothing")


class Reunion(Part):
    """How somebody who was lost gets his id back, by looks alone, wherever he turns up.

    Evidence is how often a track was seen well, each time by as much as its look was learned (`appearance`):
    with `momentum_by_score`, a detection of score 1 counts once and one at `appearance.score` not at all.
    """

    seconds: float = Field(60.0, ge=0, le=86_400, description="who is known is remembered out of sight for so long")
    evidence: Positive = Field(4.0, description="makes a track known, and a newcomer sure")
    threshold: Annotated[float, Field(gt=0, le=2)] = Field(
        0.655,
        description="cosine distance up to which two crops are of one person, as the bundled embedder says; a pipeline "
        "puts in what its own embedder says",
    )
    gate: Positive = Field(0.9, description="thresholds that a sure newcomer may be off")
    at_first: Fraction = Field(0.7, description="share of the gate for one just seen; grows to 1 with its evidence")
    lead: Annotated[float, Field(ge=0)] = Field(0.1, description="thresholds by which a pair must beat its rivals")
    wait_seconds: Annotated[float, Field(ge=0, le=60)] = Field(
        2.0, description="longest that a newcomer waits for its id while it could be somebody who was lost"
    )


class Recipe(Part):
    """A whole tracker."""

    name: str = "custom"
    paper: str = Field("", description="where it was published")
    covers: str = Field("", description="what of the paper is covered, and differences")
    frame_rate: Positive = Field(30.0, le=1000, description="of the nominal step that noise is given for")
    motion: Motion = Motion()
    camera_motion: Literal["none", "flow", "ecc", "orb", "file", "boxes"] = Field(
        "none",
        description="how it is measured: sparse optical flow, ECC, ORB, read from `camera_file`, or without pictures, "
        "as the shift that the boxes have in common (ours)",
    )
    camera_file: str | None = Field(None, description="text, a row a frame: its number and the six of a 2×3 affine")
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=12)
    birth: Birth = Birth()
    death: Death = Death()
    appearance: Appearance = Appearance()
    reunion: Reunion | None = Field(None, description="null: whoever is lost for too long is a new person")
    boost: Fraction = Field(0.0, description="raise scores to this × overlap with a track's expected box (BoostTrack)")
    class_agnostic: bool = Field(
        False, description="objects of different classes may match; a track keeps the class that it began with"
    )
    box: Literal["filter", "detection"] = Field("filter", description="which box a matched track shows")

    @property
    def uses_embedding(self) -> bool:
        """Whether embeddings make a difference."""
        return any(stage.needs_embedding or stage.given != "any" for stage in self.stages)

    @property
    def needs_embedding(self) -> bool:
        """Whether it cannot do without."""
        blind = self.stages_given(looks=False)
        return not blind or any(stage.needs_embedding for _, stage in blind)

    def stages_given(self, *, looks: bool) -> list[tuple[int, Stage]]:
        """The stages of a frame whose detections have embeddings, or have none, with their places in the recipe."""
        left_out = "boxes" if looks else "looks"
        return [(i, stage) for i, stage in enumerate(self.stages) if stage.given != left_out]

    @model_validator(mode="after")
    def _has_camera_file(self) -> Self:
        if (self.camera_motion == "file") != (self.camera_file is not None):
            raise ValueError("camera_motion: file and camera_file: PATH go together")
        return self

    @model_validator(mode="after")
    def _has_stages(self) -> Self:
        if not self.stages_given(looks=True):
            raise ValueError("every stage is for frames without embeddings: say `given: any` of them")
        return self

    @model_validator(mode="after")
    def _has_looks(self) -> Self:
        if self.reunion is not None and not self.uses_embedding:
            raise ValueError("reunion compares looks, but no stage does: no track learns any")
        return self

    @model_validator(mode="after")
    def _has_samples(self) -> Self:
        if any(stage.look == "samples" for stage in self.stages) and not self.appearance.samples:
            raise ValueError("a stage looks at samples, but appearance.samples is 0: no track keeps any")
        return self

    @property
    def embedding_score(self) -> float:
        """Detections below this score are never compared by appearance, so they need no embedding."""
        lowest = [stage.detections.score[0] for stage in self.stages if stage.needs_embedding]
        return min([*lowest, self.birth.score]) if lowest else 1.0
