"""All that decides the result of a training, typed; a misspelt key or a value out of range is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reid.data.sets import CropSet, Split, read_set
from reid.distance import Metric

Mining = Literal["batch_hard", "batch_all", "semi_hard", "semi_hard_all", "distance_weighted", "random", "offline"]
LISTED = ("batch_hard", "semi_hard", "distance_weighted", "random", "offline")
"""Strategies that name triplets one by one; the others sum over all of a kind."""


class Strict(BaseModel):
    """Unknown keys are refused; those of older versions by their new name."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    renamed: ClassVar[Mapping[str, str]] = {}
    """What keys of older versions are called now."""

    @model_validator(mode="before")
    @classmethod
    def _knows_old_names(cls, values: Any) -> Any:
        old = next((key for key in cls.renamed if isinstance(values, Mapping) and key in values), None)
        if old is not None:
            raise ValueError(f"`{old}` is now called `{cls.renamed[old]}`")
        return values


class DataSet(Strict):
    """A folder and how to read it."""

    format: str = "market1501"
    path: str
    split: Split | None = Field(None, description="of a published data set's own folders; by its role if not given")
    identities: int | None = Field(None, ge=2, description="the first identities alone, this many")
    without: int | None = Field(None, ge=1, description="all but the first identities, this many")
    per_camera: int | None = Field(None, ge=1, description="crops of an identity by each camera, the first ones")
    every: int | None = Field(None, ge=1, description="of MOT sequences: frames between two crops of an identity")
    visibility: float | None = Field(None, ge=0, le=1, description="of MOT sequences: least visible share of a box")


class Stage(Strict):
    """A stretch of training at one picture size."""

    size: tuple[int, int]
    epochs: int = Field(ge=1)


class Augmentation(Strict):
    """How crops are varied; 0 turns a variation off."""

    flip: float = Field(0.5, ge=0, le=1, description="probability of a mirror image")
    shift: float = Field(0.08, ge=0, le=0.5, description="largest move, a share of each side (pad-crop)")
    zoom: float = Field(0.1, ge=0, lt=1, description="largest change of size")
    colour: float = Field(0.25, ge=0, lt=1, description="largest change of brightness, contrast and saturation")
    erase: float = Field(0.5, ge=0, le=1, description="probability of a rectangle of noise (random erasing)")
    coarse: float = Field(0.3, ge=0, le=1, description="probability of a loss of resolution")
    tint: float = Field(0.0, ge=0, lt=1, description="largest change of each of red, green and blue")
    gamma: float = Field(0.0, ge=0, lt=1, description="largest change of the exponent of brightness")
    grey: float = Field(0.0, ge=0, le=1, description="probability of a rectangle, or now and then all, without colour")


class TrainSettings(Strict):
    """All that decides the result."""

    renamed: ClassVar[Mapping[str, str]] = {
        "identities": "p",
        "images": "k",
        "rate": "lr",
        "decay": "weight_decay",
        "centre_weight": "center_weight",
        "centre_rate": "center_lr",
    }

    train: tuple[DataSet, ...] = Field(min_length=1)
    query: DataSet | None = None
    gallery: DataSet | None = None
    augment: Augmentation = Augmentation()
    memory_gb: float = Field(4.0, ge=0, description="crops stay decoded in memory up to this; more are read anew")

    backbone: str = "slimnet_ibn"
    dimension: int = Field(256, ge=8, le=4096)
    pooling: Literal["average", "gem"] = "gem"
    init: str | None = Field(
        None, description="weights to begin with: a .safetensors or .pth file, 'default' or 'pretrained'"
    )

    stages: tuple[Stage, ...] = Field(min_length=1)
    p: int = Field(16, ge=2, description="identities in a batch, over all processes")
    k: int = Field(4, ge=2, description="images of each")
    camera_aware: bool = Field(False, description="the k images of an identity from as many cameras as there are")

    mining: Mining = "batch_hard"
    distance: Metric = "euclidean"
    margin: float | Literal["soft"] = 0.3
    reduction: Literal["mean", "nonzero"] | None = Field(
        None, description="mean over all triplets, or over those with a loss; not given: nonzero for sums, else mean"
    )
    negative: Literal["closest", "random"] = Field("closest", description="which semi-hard one")
    refresh_epochs: int = Field(1, ge=1, description="offline: epochs after which triplets are chosen anew")
    triplet_feature: Literal["raw", "unit"] = Field(
        "unit", description="what triplets compare: before the neck, or after it at unit length, as in use"
    )
    triplet_weight: float = Field(1.0, ge=0)
    contrastive_weight: float = Field(0.0, ge=0)
    contrastive_margin: float = Field(1.0, gt=0)
    identity_weight: float = Field(1.0, ge=0)
    smoothing: float = Field(0.1, ge=0, lt=1)
    center_weight: float = Field(0.0, ge=0)
    center_lr: float = Field(0.5, gt=0, description="learning rate of the centers' own gradient descent")

    lr: float = Field(1.5e-3, gt=0, description="learning rate at its height, after the warm-up; AdamW")
    weight_decay: float = Field(0.02, ge=0)
    warmup_epochs: float = Field(3, ge=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    clip: float = Field(5.0, gt=0)
    minutes: float | None = Field(
        None, gt=0, description="end in this time; the stages' epochs then say their shares of it"
    )
    deterministic: bool = Field(True, description="on a GPU: the same weights every time, at some cost of speed")
    amp: Literal["auto", "off", "bf16", "fp16"] = Field("auto", description="half precision where it is faster")
    seed: int = 1
    evaluate_every: int = Field(5, ge=1)
    tensorboard: bool = Field(False, description="also write events for TensorBoard (extra `train`)")
    threads: int = Field(0, ge=0, description="0: all")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.margin == "soft" and self.mining not in ("batch_hard", "distance_weighted", "random", "offline"):
            raise ValueError(f"mining {self.mining} needs a number as margin, got 'soft'")
        if self.mining in ("distance_weighted", "offline") and (self.distance, self.triplet_feature) != (
            "euclidean",
            "unit",
        ):
            raise ValueError(f"mining {self.mining} needs distance euclidean and triplet_feature unit")
        if self.contrastive_weight and self.distance == "squared":
            raise ValueError("contrastive loss squares the distance itself: distance must be euclidean or cosine")
        if not (self.triplet_weight or self.contrastive_weight or self.identity_weight):
            raise ValueError("triplet_weight, contrastive_weight and identity_weight are all 0: nothing to learn from")
        if (self.query is None) != (self.gallery is None):
            raise ValueError("query and gallery come together: give both or neither")
        return self

    @property
    def epochs(self) -> int:
        """Of all stages."""
        return sum(stage.epochs for stage in self.stages)

    @property
    def width(self) -> float:
        """Of the semi-hard band: the margin, or 0.3 beside a soft one."""
        return 0.3 if self.margin == "soft" else self.margin

    def size_at(self, epoch: int) -> tuple[int, int]:
        """Height and width of the crops in an epoch."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage.size
            epoch -= stage.epochs
        return self.stages[-1].size


def read(data: DataSet, role: Split | None = None) -> CropSet:
    """The data set that the settings name; see `reid.data.sets.read_set`."""
    given = {name: getattr(data, name) for name in ("split", "every", "visibility")}
    options = {name: value for name, value in given.items() if value is not None}
    crops = read_set(data.format, data.path, role, **options)
    if data.without is not None:
        crops = crops.without(data.without)
    if data.identities is not None:
        crops = crops.first(data.identities)
    return crops if data.per_camera is None else crops.per_camera(data.per_camera)
