"""What the settings of all recipes have in common, and those of one stage of association."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tracker.association.papers import From

StateName = Literal["tentative", "confirmed", "lost"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NOTHING = float("inf")


class Part(BaseModel):
    """Base of all parts: unknown keys are refused, values cannot change afterwards.

    A setting that is null in a recipe is a number in compiled code: its field says which (`unset`). A setting that
    means something only beside another says which (`beside`): alone it is refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    renamed: ClassVar[Mapping[str, str]] = {}
    """What keys of older versions are called now."""

    @model_validator(mode="before")
    @classmethod
    def _knows_old_names(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            for old, new in cls.renamed.items():
                if old in values:
                    raise ValueError(f"`{old}` is now called `{new}`")
        return values

    @model_validator(mode="after")
    def _uses_all_that_is_set(self) -> Self:
        fields = type(self).model_fields
        for name in self.model_fields_set:
            extra = fields[name].json_schema_extra
            other = extra.get("beside") if isinstance(extra, dict) else None
            if other is None or getattr(self, name) == fields[name].default:
                continue
            key, _, value = str(other).partition("=")
            if str(getattr(self, key)) == value or (not value and getattr(self, key) != fields[key].default):
                continue
            raise ValueError(f"`{name}` changes nothing without `{key}`" + (f": {value}" if value else ""))
        return self


def null(description: str, value: float = NOTHING, **options: Any) -> Any:
    """A setting that may be null, which compiled code reads as `value`."""
    return Field(None, description=description, json_schema_extra={"unset": value, **options})


def beside(other: str, default: Any, description: str, **limits: Any) -> Any:
    """A setting that means something only where another is set: `other` is its name, or `name=value`."""
    return Field(default, description=description, json_schema_extra={"beside": other}, **limits)


class Chosen(Part):
    """Which detections a stage looks at."""

    score: Annotated[tuple[Fraction, Fraction], From("ByteTrack", "section 3")] = Field(
        (0.0, 1.0), description="from, up to but without (1 is included)"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.score[0] > self.score[1]:
            raise ValueError(f"score band from {self.score[0]} to {self.score[1]} is empty")
        return self


class Stage(Part):
    """One round of association: some tracks against some detections that no earlier stage has used.

    These are the settings of every stage, whatever its cost; each cost adds its own.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "given": "when", "look": "embedding_of", "against": "track_box", "least_overlap": "min_iou",
        "appearance_gate": "max_embedding_distance", "by_age": "cascade", "rounds": "mutual_step",
        "reach": "max_speed", "slack": "max_offset",
    }  # fmt: skip
    # What its cost is like.
    compares_embeddings: ClassVar[bool] = False
    multiplies_by_score: ClassVar[bool] = False
    falls_back: ClassVar[bool] = False  # on motion, where one of the two has no embedding
    own_gates: ClassVar[bool] = False  # `min_iou` and `max_embedding_distance` refuse no pair, but its embedding
    weighs_later: ClassVar[bool] = False  # the cost is known, and its gate asked, when all pairs are
    asks_python: ClassVar[bool] = False

    when: Literal["any", "embeddings", "boxes"] = Field(
        "any", description="in which frames: in all, in those whose detections have embeddings, in those without"
    )
    tracks: Annotated[tuple[StateName, ...], From("ByteTrack", "section 3")] = Field(
        min_length=1, description="states of the tracks that take part"
    )
    detections: Chosen = Chosen()
    gate: Annotated[float, From("SORT", "section 3.3")] = Field(ge=0, description="pairs that cost more do not exist")
    track_box: Annotated[Literal["predicted", "observed"], From("OC-SORT")] = Field(
        "predicted", description="box of a track: the filter's, or the last one that was seen (OC-SORT's OCR)"
    )
    direction: Annotated[Fraction, From("OC-SORT", "section 4.2")] = Field(
        0.0, description="weight of the angle to the heading × score (OC-SORT's OCM)"
    )
    direction_of: Annotated[
        Literal["centre", "corners"], From("OC-SORT", "section 4.2"), From("Hybrid-SORT", "section 3.3")
    ] = beside("direction", "centre", "whose heading: of the centre (OC-SORT), or of the four corners (Hybrid-SORT)")
    score_change: Annotated[Fraction, From("Hybrid-SORT")] = Field(
        0.0, description="weight of how far a score is from where it was going"
    )
    shape: Annotated[Fraction, From("BoostTrack", "section 3.3")] = Field(
        0.0, description="weight of the difference of widths and heights (BoostTrack)"
    )
    mahalanobis: Annotated[Fraction, From("DeepSORT", "section 2.2")] = Field(
        0.0, description="weight of the squared distance by motion, 1 at chi-square's 99 %"
    )
    low_below: Annotated[Fraction, From("TrackTrack", "section 3.2")] = Field(
        0.0, description="detections of a lower score cost `low_penalty` more (TrackTrack)"
    )
    low_penalty: Annotated[Fraction, From("TrackTrack", "section 3.2")] = beside(
        "low_below", 0.0, "what they cost more"
    )
    mutual_step: Annotated[Fraction | None, From("TrackTrack", "section 3.2")] = null(
        "pairs that prefer each other, the gate falling by this every round (TrackTrack); null: exact assignment", 0.0
    )
    min_iou: Annotated[Fraction | None, From("SORT", "section 3.3")] = null(
        "pairs whose IoU is lower do not exist", 0.0
    )
    max_embedding_distance: Annotated[Fraction | None, From("DeepSORT", "section 2.2")] = null(
        "half cosine distance; pairs whose embeddings differ more do not exist (in `min_iou_embedding`: do not count "
        "by them)"
    )
    mahalanobis_gate: Annotated[Positive | None, From("DeepSORT", "section 2.2")] = null(
        "pairs with a larger squared distance by motion do not exist; 9.4877 is chi-square's 95 %"
    )
    max_speed: Positive | None = null(
        "heights a second that an unseen object may have moved; pairs further apart do not exist"
    )
    max_offset: Annotated[float, Field(ge=0)] = beside(
        "max_speed", 0.5, "heights that it may be off at once, in addition to what `max_speed` allows"
    )
    size_ratio: Fraction | None = null("pairs whose heights differ by a smaller ratio do not exist", 0.0)
    cascade: Annotated[bool, From("DeepSORT", "section 2.3")] = Field(
        False, description="most recently seen tracks choose first (DeepSORT's cascade)"
    )
    seen_within: Positive | None = null("seconds; only tracks that were seen in this time")
    gone_for: Annotated[float, Field(ge=0)] = Field(0.0, description="seconds; only tracks that were not seen for it")

    @property
    def needs_embedding(self) -> bool:
        """Whether it compares embeddings."""
        return self.compares_embeddings or self.max_embedding_distance is not None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.when == "boxes" and self.needs_embedding:
            raise ValueError("a stage for frames without embeddings compares them")
        return self
