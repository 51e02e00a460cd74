"""The training loop: one run from random weights to averaged ones, within a number of steps or of minutes."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tools.training.person.network import (
    Average,
    as_float,
    make_criterion,
    make_model,
    save_weights,
    share_heads,
    targets,
)  # fmt: skip
from tools.training.person.sampling import Augmentation, Sampler

NAMES = ("box", "cls", "dfl")


class DivergenceError(ArithmeticError):
    """The loss or the weights are no longer numbers."""


@dataclass(frozen=True)
class Recipe:
    """All that decides the result beside data, seed and length.

    Attributes:
        sides: of the images, pixels; each step takes one of them.
        gentle: last share of the training without mosaic and pasting.
        rate: learning rate at its height, after the warm-up; then half a cosine down to one percent.
        warmup: steps.
        most: people per image that the loss sees.
    """

    sides: tuple[int, ...]
    batch: int
    architecture: str = "yolo11n"
    augmentation: Augmentation = field(default_factory=Augmentation)
    gentle: float = 0.12
    rate: float = 2e-3
    decay: float = 0.03
    warmup: int = 300
    ema_decay: float = 0.9995
    most: int = 120

    def rate_at(self, step: int, progress: float) -> float:
        """Learning rate."""
        return self.rate * min((step + 1) / self.warmup, 1.0) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


MAIN = Recipe(sides=(416, 512, 576, 640, 704), batch=48)
SMALL = Recipe(sides=(320,), batch=64, warmup=150, ema_decay=0.999)


@dataclass
class Length:
    """How long a run is: ``steps``, or ``seconds`` of wall time, from which its progress is read."""

    steps: int | None = None
    seconds: float | None = None

    def progress(self, step: int, elapsed: float) -> float:
        """0–1; the run ends at 1. With both given, whichever is nearer to its end."""
        by_steps = step / self.steps if self.steps else 0.0
        return min(max(by_steps, elapsed / self.seconds if self.seconds else 0.0), 1.0)


@dataclass
class Run:
    """A training run, its state and where it is written.

    Attributes:
        name: of its files and rows in the log.
        folder: for weights, checkpoint and log.
        stopped: asked before each step; a run that is stopped keeps its weights.
    """

    name: str
    recipe: Recipe
    sampler: Sampler
    folder: Path
    seed: int = 1
    save_every: float = 20.0
    stopped: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        device = self.sampler.pictures.size.device
        torch.manual_seed(self.seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model = make_model(self.recipe.architecture).to(device, memory_format=torch.channels_last)
        self.criterion = make_criterion(self.model)
        self.average = Average(self.model, self.recipe.ema_decay, 1000 if self.recipe.warmup > 200 else 300)
        self.optimizer = make_optimizer(self.model, self.recipe, device)
        self.step, self.elapsed, self.progress = 0, 0.0, 0.0
        self.autocast = fast_bf16(device)
        self.epoch_steps = max(len(self.sampler.weight) // self.recipe.batch, 1)
        self._totals: list[Tensor] = []

    @property
    def checkpoint(self) -> Path:
        return self.folder / f"{self.name}.pt"

    @property
    def weights(self) -> Path:
        return self.folder / f"{self.name}.safetensors"

    def train(self, length: Length) -> None:
        """Train to the end, or on from the checkpoint."""
        self._resume()
        started = saved = time.monotonic() - self.elapsed
        marked = (self.step, self.elapsed)
        while not self.stopped():
            self.elapsed = time.monotonic() - started
            self.progress = length.progress(self.step, self.elapsed)
            if self.progress >= 1:
                break
            self._totals.append(self.train_step())
            if self.step % self.epoch_steps == 0:
                self._log(marked)
                marked = (self.step, self.elapsed)
            if time.monotonic() - saved > self.save_every:
                saved = time.monotonic()
                self.save()
        self.save()

    def train_step(self) -> Tensor:
        """One batch; its three losses, on the device."""
        recipe, device = self.recipe, self.sampler.pictures.size.device
        side = int(np.random.default_rng((self.seed, 7, self.step)).choice(recipe.sides))
        gentle = self.progress > 1 - recipe.gentle
        image, boxes, known = self.sampler.batch(self.step, recipe.batch, side, gentle=gentle)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate_at(self.step, self.progress)
        share_heads(self.criterion, self.progress)
        self.model.train()
        with torch.autocast(device.type, torch.bfloat16, enabled=self.autocast):
            predicted = self.model(image)
        # The loss computes boxes and overlaps: full precision.
        loss, parts = self.criterion(as_float(predicted), targets(boxes, known, side, recipe.most))
        self.optimizer.zero_grad(set_to_none=True)
        loss.sum().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimizer.step()
        self.average.update()
        self.step += 1
        return torch.stack([value.detach().float() for value in parts.values()])

    def save(self) -> None:
        """Averaged weights, and a checkpoint to go on from; not of a run that has diverged."""
        self._demand(self.average.finite())
        trained = f"{self.step} steps of {self.recipe.batch} images, run {self.name}"
        save_weights(self.weights, self.average.model, self.recipe.architecture, self.recipe.sides[-1], trained)
        state = {
            "model": self.model.state_dict(), "average": self.average.model.state_dict(),
            "updates": self.average.updates, "optimizer": self.optimizer.state_dict(), "step": self.step,
            "elapsed": self.elapsed,
        }  # fmt: skip
        torch.save(state, self.checkpoint.with_suffix(".tmp"))
        self.checkpoint.with_suffix(".tmp").replace(self.checkpoint)

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location=self.sampler.pictures.size.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.average.updates, self.step, self.elapsed = state["updates"], state["step"], state["elapsed"]
        self.optimizer.load_state_dict(state["optimizer"])
        print(f"{self.name}: resumed after step {self.step}", flush=True)

    def _demand(self, finite: bool) -> None:
        if not finite:
            kept = f"{self.checkpoint} is of before" if self.checkpoint.exists() else "nothing was kept"
            raise DivergenceError(
                f"{self.name}: the loss is no longer a number by step {self.step} (learning rate "
                f"{self.optimizer.param_groups[0]['lr']:.1e}): {kept}; a lower rate or another seed may help"
            )

    def _log(self, since: tuple[int, float]) -> None:
        """A row of the CSV, a point in TensorBoard, a line on the screen."""
        losses = torch.stack(self._totals).mean(0).tolist()
        self._demand(all(map(math.isfinite, losses)))
        steps, seconds = self.step - since[0], max(self.elapsed - since[1], 1e-9)
        self._totals.clear()
        row: dict[str, Any] = {
            "run": self.name, "epoch": self.step // self.epoch_steps, "step": self.step,
            "progress": round(self.progress, 4), "seconds": round(self.elapsed, 1),
            "images_per_second": round(steps * self.recipe.batch / seconds),
            "rate": f"{self.optimizer.param_groups[0]['lr']:.2e}",
        }  # fmt: skip
        row |= {name: round(value, 4) for name, value in zip(NAMES, losses, strict=True)}
        append_row(self.folder / f"{self.name}.csv", row)
        print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
        if self.board is not None:
            for name in ("images_per_second", *NAMES):
                self.board.add_scalar(name, row[name], self.step)
            self.board.flush()

    @cached_property
    def board(self) -> Any:
        """TensorBoard's writer, where that is installed."""
        if find_spec("tensorboard") is None:
            return None
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.folder / "tensorboard" / self.name))


def append_row(path: Path, row: dict[str, Any]) -> None:
    """A row of a CSV, which begins with its header."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


def make_optimizer(model: torch.nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.Optimizer:
    """AdamW; biases and normalisation are not decayed."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    free = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.99), fused=device.type == "cuda")


def fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is fast here: always on a GPU, on a CPU only with the instructions for it."""
    return device.type == "cuda" or bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def shrunk(recipe: Recipe, side: int, batch: int) -> Recipe:
    """The recipe at one small size, to try everything in seconds."""
    return replace(recipe, sides=(side,), batch=batch, warmup=10)
