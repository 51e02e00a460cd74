"""Training of an embedding network: P×K batches, batch-hard triplets, an identity loss beside them."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from reid.data.crops import Augment, read_crops
from reid.data.sets import READERS, CropSet, together
from reid.distance import pairwise
from reid.errors import ConfigError
from reid.evaluate import Ranking, evaluate_ranking
from reid.losses import all_triplets_loss, contrastive_loss, identity_loss, triplet_loss
from reid.miners import batch_hard, distance_weighted, random_triplets, semi_hard, shares
from reid.models import EmbeddingNetwork, create_model
from reid.samplers import IdentitySampler

LOGGED = ("epoch", "triplet", "identity", "easy", "semi_hard", "hard", "spread", "rank1", "mAP", "seconds")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COLLAPSED = 1e-3
"""Standard deviation of unit embeddings in a batch under which they are one point."""


class Strict(BaseModel):
    """Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSet(Strict):
    """A folder and how to read it."""

    format: str = "market1501"
    path: str


class Stage(Strict):
    """A stretch of training at one picture size."""

    size: tuple[int, int]
    epochs: int = Field(ge=1)


class TrainSettings(Strict):
    """All that decides the result."""

    train: tuple[DataSet, ...]
    query: DataSet | None = None
    gallery: DataSet | None = None
    backbone: str = "slimnet"
    dimension: int = Field(256, ge=8, le=4096)
    pooling: Literal["average", "gem"] = "gem"
    stages: tuple[Stage, ...]
    identities: int = Field(16, ge=2, description="P")
    images: int = Field(4, ge=2, description="K")
    rate: float = Field(1.5e-3, gt=0)
    decay: float = Field(0.02, ge=0)
    warmup_epochs: float = Field(3, ge=0)
    mining: Literal["batch_hard", "batch_all", "semi_hard", "distance_weighted", "random", "contrastive"] = "batch_hard"
    margin: float | Literal["soft"] = 0.3
    triplet_feature: Literal["raw", "unit"] = Field(
        "unit", description="what triplets compare: before the neck, or after it at unit length, as in use"
    )
    triplet_weight: float = Field(1.0, ge=0)
    identity_weight: float = Field(1.0, ge=0)
    smoothing: float = Field(0.1, ge=0, lt=1)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    clip: float = Field(5.0, gt=0)
    seed: int = 1
    evaluate_every: int = Field(5, ge=1)
    threads: int = Field(0, ge=0, description="0: all")

    @model_validator(mode="after")
    def _margin_fits(self) -> Self:
        if self.margin == "soft" and self.mining not in ("batch_hard", "distance_weighted", "random"):
            raise ValueError(f"mining {self.mining} needs a number as margin, got 'soft'")
        return self

    @property
    def epochs(self) -> int:
        """Of all stages."""
        return sum(stage.epochs for stage in self.stages)

    def size_at(self, epoch: int) -> tuple[int, int]:
        """Height and width of the crops in an epoch."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage.size
            epoch -= stage.epochs
        return self.stages[-1].size


def read(data: DataSet) -> CropSet:
    """The data set that the settings name."""
    if data.format not in READERS:
        raise ConfigError(f"data format {data.format!r} is unknown; there are: {', '.join(READERS)}")
    return READERS[data.format](data.path)


def normalised(crops: Tensor) -> Tensor:
    """``(N, 3, H, W)`` RGB in 0–1, as the networks want it."""
    mean = torch.tensor(MEAN, device=crops.device)[:, None, None]
    std = torch.tensor(STD, device=crops.device)[:, None, None]
    return ((crops - mean) / std).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def embed_crops(network: nn.Module, crops: Tensor, *, batch: int = 256, device: str = "cpu") -> np.ndarray[Any, Any]:
    """``(N, 3, H, W)`` uint8 RGB to ``(N, D)`` float32 of unit length."""
    network.eval()
    parts = [network(normalised(part.to(device).float() / 255)).cpu() for part in crops.split(batch)]
    return torch.cat(parts).float().numpy()


def metric_loss(settings: TrainSettings, distance: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The loss on distances that the settings name, and the shares of the kinds of triplets that it saw.

    Args:
        settings: `mining` and `margin` count.
        distance: ``(N, N)`` plain Euclidean, with gradient.
        labels: ``(N,)``.
    """
    margin, fixed = settings.margin, distance.detach()
    width = 0.3 if margin == "soft" else margin
    if settings.mining == "contrastive":
        return contrastive_loss(distance, labels, margin=width), {}
    if settings.mining == "batch_all":
        return all_triplets_loss(distance, labels, margin=width).loss, {}
    if settings.mining == "semi_hard":
        triplets = semi_hard(fixed, labels, margin=width)
    elif settings.mining == "distance_weighted":
        triplets = distance_weighted(fixed, labels, dimension=settings.dimension)
    elif settings.mining == "random":
        triplets = random_triplets(fixed, labels)
    else:
        triplets = batch_hard(fixed, labels)
    return triplet_loss(distance, triplets, margin=margin), shares(fixed, triplets, margin=width)._asdict()


class Trainer:
    """One training, from settings to weights; goes on from its last checkpoint as if it had never stopped.

    Args:
        settings: what to do.
        out: folder of checkpoint, log and settings.
        device: of torch.
        report: takes one line of progress an epoch.
    """

    def __init__(
        self,
        settings: TrainSettings,
        out: Path,
        *,
        device: str = "cpu",
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings, self.out, self.device, self.report = settings, out, device, report
        out.mkdir(parents=True, exist_ok=True)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        torch.manual_seed(settings.seed)
        self.data = together([read(d) for d in settings.train])
        self.labels = torch.from_numpy(self.data.identity)
        count = int(self.data.identity.max()) + 1
        self.network = create_model(
            settings.backbone, dimension=settings.dimension, identities=count, pooling=settings.pooling
        )
        self.network.to(device).to(memory_format=torch.channels_last)
        self.average = deepcopy(self.network).requires_grad_(False)
        self.optimizer = self._optimizer()
        self.epoch = self.updates = 0
        self.sampler = IdentitySampler(
            self.data.identity, identities=settings.identities, images=settings.images, seed=settings.seed
        )
        self.autocast = device != "cpu" or bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
        self._crops: dict[tuple[int, int], Tensor] = {}
        self._resume()

    def _optimizer(self) -> torch.optim.Optimizer:
        weights = [p for p in self.network.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in weights if p.ndim > 1], "weight_decay": self.settings.decay},
            {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.settings.rate)

    @property
    def checkpoint(self) -> Path:
        """Written after every epoch."""
        return self.out / "last.pt"

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            (self.out / "settings.json").write_text(json.dumps(self.settings.model_dump(), indent=2))
            return
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.updates = state["epoch"], state["updates"]
        self.report(f"goes on after epoch {self.epoch}")

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "updates": self.updates,
        }
        partial = self.checkpoint.with_suffix(".tmp")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def crops(self, size: tuple[int, int]) -> Tensor:
        """All training crops at a size; the last size is kept."""
        if size not in self._crops:
            self._crops = {size: read_crops(self.data.paths, size)}
        return self._crops[size]

    def rate_at(self, progress: float) -> float:
        """Linear warm-up, then half a cosine down to one percent."""
        warmup = self.settings.warmup_epochs / self.settings.epochs
        if progress < warmup:
            return self.settings.rate * max(progress / warmup, 0.01)
        return self.settings.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))))

    def run(self) -> EmbeddingNetwork:
        """Train to the end; the averaged network."""
        while self.epoch < self.settings.epochs:
            started = time.monotonic()
            row = self._train_epoch()
            self.epoch += 1
            self._save()
            last = self.epoch == self.settings.epochs
            if self.settings.query and (last or self.epoch % self.settings.evaluate_every == 0):
                ranking = self.evaluate()
                row |= {"rank1": float(ranking.cmc[0]), "mAP": ranking.mean_ap}
            self._log(row | {"seconds": time.monotonic() - started})
        return self.average

    def _train_epoch(self) -> dict[str, float]:
        size = self.settings.size_at(self.epoch)
        crops = self.crops(size)
        # All randomness depends on seed and epoch alone: a resumed run sees what it would have seen.
        generator = torch.Generator().manual_seed(self.settings.seed * 100_003 + self.epoch)
        augment = Augment(generator=generator)
        batches = list(self.sampler.epoch(self.epoch))
        self.network.train()
        totals: dict[str, float] = {}
        for number, indices in enumerate(batches):
            rate = self.rate_at((self.epoch + number / len(batches)) / self.settings.epochs)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            rows = torch.from_numpy(indices)
            parts = self._step(augment(crops[rows].to(self.device).float() / 255), self.labels[rows].to(self.device))
            for name, value in parts.items():
                totals[name] = totals.get(name, 0.0) + value / len(batches)
        if totals["spread"] < COLLAPSED:
            self.report("the embeddings have collapsed to one point: lower the rate, or begin with a soft margin")
        return totals

    def _step(self, crops: Tensor, labels: Tensor) -> dict[str, float]:
        s = self.settings
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.autocast):
            raw, normal = self.network.features(normalised(crops))
            logits = self.network.classifier(normal) if self.network.classifier is not None else None
        compared = raw.float() if s.triplet_feature == "raw" else nn.functional.normalize(normal.float())
        distance = pairwise(compared)
        triplet, kinds = metric_loss(s, distance, labels)
        loss = s.triplet_weight * triplet
        parts = {"triplet": float(triplet.detach())} | kinds
        if logits is not None:
            identity = identity_loss(logits.float(), labels, smoothing=s.smoothing)
            loss = loss + s.identity_weight * identity
            parts["identity"] = float(identity.detach())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), s.clip)
        self.optimizer.step()
        self._average()
        parts["spread"] = float(nn.functional.normalize(compared.detach()).std(0).mean())
        return parts

    @torch.no_grad()
    def _average(self) -> None:
        self.updates += 1
        decay = min(self.settings.ema_decay, (1 + self.updates) / (10 + self.updates))
        for mean, value in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(value.to(mean.dtype), 1 - decay)
            else:
                mean.copy_(value)

    def evaluate(self) -> Ranking:
        """The averaged network on query and gallery of the settings."""
        if self.settings.query is None or self.settings.gallery is None:
            raise ConfigError("evaluation needs both query and gallery")
        query, gallery = read(self.settings.query), read(self.settings.gallery)
        size = self.settings.size_at(max(self.epoch - 1, 0))
        vectors = [embed_crops(self.average, read_crops(s.paths, size), device=self.device) for s in (query, gallery)]
        return evaluate_ranking(vectors[0], vectors[1], query.identity, gallery.identity, query.camera, gallery.camera)

    def _log(self, row: dict[str, float]) -> None:
        columns: Sequence[str] = LOGGED
        path = self.out / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            if new:
                writer.writeheader()
            writer.writerow({k: round(v, 4) for k, v in (row | {"epoch": self.epoch}).items()})
        shown = " ".join(f"{name} {value:.4g}" for name, value in row.items())
        self.report(f"epoch {self.epoch}/{self.settings.epochs}  {shown}")
