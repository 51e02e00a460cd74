"""The training: batches of views, the schedule by the clock, a moving average, and a checkpoint to go on from."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reid.errors import TrainingError
from reid.models import EmbeddingNetwork
from reid.train.average import MovingAverage
from reid.train.embedding import normalised
from reid.train.objective import precision
from tools.training.embedder.objective import Weights, centred, objective
from tools.training.embedder.shards import Views, read_views, shards_in


@dataclass(frozen=True, slots=True)
class Settings:
    """Of a training.

    Attributes:
        minutes: of the whole, by the clock, all starts together.
        steps: of the whole instead, so that trainings on a busy machine can be compared.
        rate: the highest; AdamW.
        decay: of the weights.
        warmup: share of it in which the rate rises.
        unlabelled: views in a batch that are drawn from all.
        identities: in a batch besides, of `images` views each.
        images: of an identity.
        others: views that near and far are told by.
        erase: probability that a rectangle of a view is hidden from the student.
        average: of the weights: how much of the average stays at a step.
        frozen: layers of the backbone, from the first, that stay as they are: edges and colours are the same for
            everybody, and with two a step costs a third less.
        without: sources whose people are left out.
        seed: of all chance.
        terms: weights of the losses.
    """

    minutes: float = 60.0
    steps: int | None = None
    rate: float = 1.5e-3
    decay: float = 0.03
    warmup: float = 0.04
    unlabelled: int = 64
    identities: int = 16
    images: int = 4
    others: int = 2048
    erase: float = 0.25
    average: float = 0.997
    frozen: int = 0
    without: tuple[str, ...] = ()
    seed: int = 1
    terms: Weights = field(default_factory=Weights)


class Sampler:
    """Draws batches: some views of anybody, some of identities in several views.

    Args:
        views: of which.
        settings: how many.
    """

    def __init__(self, views: Views, settings: Settings) -> None:
        self.views, self.settings = views, settings
        known = np.flatnonzero(views.identity >= 0)
        order = known[np.argsort(views.identity[known], kind="stable")]
        _, starts = np.unique(views.identity[order], return_index=True)
        self.groups = [group for group in np.split(order, starts[1:]) if len(group) > 1]

    def draw(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Rows of the views of a batch."""
        s = self.settings
        rows = [random.integers(len(self.views), size=s.unlabelled)]
        if s.identities and self.groups:
            chosen = random.choice(len(self.groups), min(s.identities, len(self.groups)), replace=False)
            groups = (self.groups[number] for number in chosen)
            rows += [random.choice(group, s.images, replace=len(group) < s.images) for group in groups]
        return np.concatenate(rows)


class Training:
    """One training; goes on from the checkpoint in its folder.

    Args:
        network: with the weights to begin with.
        views: folder of shards; those that come later are picked up.
        out: folder of checkpoint and log.
        settings: what to do.
    """

    def __init__(self, network: EmbeddingNetwork, views: Path, out: Path, settings: Settings) -> None:
        self.settings, self.folder, self.out = settings, views, out
        out.mkdir(parents=True, exist_ok=True)
        self.network = network.to(memory_format=torch.channels_last).train()
        self.average = deepcopy(network).requires_grad_(False)
        self._moving = MovingAverage(self.average, self.network, settings.average)
        weights = list(network.parameters())  # those that stand still too, so that a later start may move them
        for layer in list(network.backbone.layers)[: settings.frozen]:  # type: ignore[arg-type]
            layer.requires_grad_(False).eval()
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in weights if p.ndim > 1], "weight_decay": settings.decay},
                {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
            ],
            fused=True,
        )
        self.half = precision("auto", "cpu")
        self.steps, self.seconds, self.seen = 0, 0.0, 0
        self._resume()
        self._look()

    @property
    def checkpoint(self) -> Path:
        """Written now and then, whole."""
        return self.out / "last.pt"

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0–1."""
        if self.settings.steps is not None:
            return min(self.steps / self.settings.steps, 1.0)
        return min(self.seconds / (60 * self.settings.minutes), 1.0)

    @property
    def rate(self) -> float:
        """Linear warm-up, then half a cosine down to one percent."""
        s = self.settings
        if self.progress < s.warmup:
            return s.rate * max(self.progress / s.warmup, 0.01)
        part = (self.progress - s.warmup) / (1 - s.warmup)
        return s.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))

    def _look(self) -> None:
        """Take in the shards that have come."""
        self.numbers = shards_in(self.folder)
        self.views = read_views(self.folder, self.numbers, without=self.settings.without)
        self.sampler = Sampler(self.views, self.settings)
        self.vectors = centred(torch.from_numpy(self.views.teacher.astype(np.float32)))

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            (self.out / "settings.json").write_text(json.dumps(asdict(self.settings), indent=1))
            return
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps, self.seconds, self.seen = state["steps"], state["seconds"], state["seen"]

    def save(self) -> None:
        """Everything that a training needs to go on."""
        state: dict[str, Any] = {"steps": self.steps, "seconds": self.seconds, "seen": self.seen}
        for name in ("network", "average", "optimizer"):
            state[name] = getattr(self, name).state_dict()
        partial = self.checkpoint.with_suffix(".tmp")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def run(self, *, every: float = 60.0) -> None:
        """Until the time is over; a line of the log, a checkpoint and a look for new shards every so many seconds."""
        while self.progress < 1:
            self.run_for(every)
            self.save()
            if shards_in(self.folder) != self.numbers:
                self._look()

    def run_for(self, seconds: float) -> None:
        """Steps for some seconds, or until the time is over, and a line of the log."""
        totals: dict[str, float] = {}
        steps, started, before = 0, time.monotonic(), self.seconds
        for rows, pixels in self._batches():
            for name, value in self._step(rows, pixels).items():
                totals[name] = totals.get(name, 0.0) + value
            steps += 1
            self.seconds = before + time.monotonic() - started
            if self.seconds - before > seconds or self.progress >= 1:
                break
        row = {name: round(value / steps, 4) for name, value in totals.items()}
        row |= {"steps": self.steps, "seen": self.seen, "minutes": round(self.seconds / 60, 2)}
        with (self.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(row | {"views": len(self.views), "rate": round(self.rate, 6)}) + "\n")
        print(row, flush=True)

    def _batches(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Read one ahead."""
        random = np.random.default_rng([self.settings.seed, self.steps])
        with ThreadPoolExecutor(1) as pool:
            rows = self.sampler.draw(random)
            waiting = pool.submit(self.views.__getitem__, rows)
            while True:
                following = self.sampler.draw(random)
                ready, waiting = waiting, pool.submit(self.views.__getitem__, following)
                yield rows, ready.result()
                rows = following

    def _step(self, rows: NDArray[np.int64], pixels: NDArray[np.uint8]) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        crops = torch.from_numpy(pixels).flip(3).permute(0, 3, 1, 2).float().div_(255)
        crops = self._hidden(torch.where(torch.rand(len(crops), 1, 1, 1) < 0.5, crops.flip(3), crops))
        with torch.autocast("cpu", self.half, enabled=self.half is not None):
            said = self.network(normalised(crops))
        others = self.vectors[torch.randint(len(self.vectors), (self.settings.others,))]
        identity = torch.from_numpy(self.views.identity[rows])
        identity[: self.settings.unlabelled] = -1  # an identity that is there by chance has no second view
        loss, parts = objective(
            nn.functional.normalize(said.float()), self.vectors[rows], others, identity, self.settings.terms
        )
        if not math.isfinite(parts["loss"]):
            raise TrainingError(
                f"the loss is {parts['loss']} at step {self.steps + 1}: lower `rate`; {self.checkpoint} is kept"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.steps, self.seen = self.steps + 1, self.seen + len(rows)
        self._moving.update(self.steps)
        return parts

    def _hidden(self, crops: Tensor) -> Tensor:
        """Rectangles of one colour over some of the crops, a tenth to six tenths of each side."""
        n, _, height, width = crops.shape
        for row in torch.nonzero(torch.rand(n) < self.settings.erase).flatten().tolist():
            tall, wide = (0.1 + 0.5 * torch.rand(2)).tolist()
            h, w = int(tall * height), int(wide * width)
            top, left = int(torch.randint(height - h, ())), int(torch.randint(width - w, ()))
            crops[row, :, top : top + h, left : left + w] = torch.rand(3, 1, 1)
        return crops
