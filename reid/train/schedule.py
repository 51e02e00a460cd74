"""How far a training is and how fast it learns there: by epochs, or by the clock."""

from __future__ import annotations

import math
import statistics
from typing import Any

from reid.train.settings import TrainSettings

RECENT = 5
"""Epochs whose time says how long the next will take."""


class Schedule:
    """Where a training stands on its way from 0 to 1, and what follows from that: the rate, the size of the crops.

    By epochs, unless the settings give `minutes`: then the way is walked in that time. Every epoch's share of it is
    its share of the time left, judged by the epochs before it, so that a machine that others use too gives fewer
    epochs, and not a schedule cut short. All of it is in the checkpoint; a training that goes on has the time left
    that it had.

    Args:
        settings: stages, rate, warm-up, minutes.
    """

    def __init__(self, settings: TrainSettings) -> None:
        self.settings = settings
        self.epoch = 0
        self.progress = 0.0
        self.share = 1 / settings.epochs
        """What the next epoch takes of the whole way."""
        self.seconds = 0.0
        """That were spent."""
        self.seen = settings.stages[0].size
        """Height and width of the crops in the last epoch."""
        self._paces: list[float] = []  # seconds a pixel of a crop's picture, of recent epochs

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the crops in the next epoch."""
        reach = 0
        for stage in self.settings.stages:
            reach += stage.epochs
            if self.progress < reach / self.settings.epochs - 1e-9:
                return stage.size
        return self.settings.stages[-1].size

    @property
    def done(self) -> bool:
        """Nothing is left to do."""
        return self.progress >= 1

    @property
    def expected(self) -> int:
        """Epochs in all, as it looks now."""
        return self.epoch + (0 if self.done else max(round((1 - self.progress) / self.share), 1))

    def rate_at(self, progress: float) -> float:
        """Linear warm-up, then half a cosine down to one percent."""
        warmup = self.settings.warmup_epochs / self.settings.epochs
        if progress < warmup:
            return self.settings.lr * max(progress / warmup, 0.01)
        part = min((progress - warmup) / max(1 - warmup, 1e-9), 1.0)
        return self.settings.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))

    def rate(self, within: float) -> float:
        """When a share of the next epoch, 0–1, is done."""
        if self.settings.minutes is None:
            return self.rate_at((self.epoch + within) / self.settings.epochs)
        return self.rate_at(self.progress + within * self.share)

    def work(self, within: float = 0.0) -> float:
        """Share of all work that is done, 0–1; by epochs, one costs as many pixels as its crops have."""
        if self.settings.minutes is not None:
            return min(self.progress + within * self.share, 1.0)
        costs = [math.prod(stage.size) for stage in self.settings.stages for _ in range(stage.epochs)]
        done = sum(costs[: self.epoch]) + (within * costs[self.epoch] if self.epoch < len(costs) else 0.0)
        return done / sum(costs)

    def walked(self, seconds: float) -> None:
        """An epoch is over, and took so long with all that belongs to it."""
        self.epoch, self.seen, self.seconds = self.epoch + 1, self.size, self.seconds + seconds
        if self.settings.minutes is None:
            self.progress = self.epoch / self.settings.epochs
            return
        self.progress = min(self.progress + self.share, 1.0)
        self._paces = [*self._paces, seconds / math.prod(self.seen)][-RECENT:]
        left = 60 * self.settings.minutes - self.seconds
        count = round(left / (statistics.median(self._paces) * math.prod(self.size)))
        if count < 1 or self.progress > 1 - 1e-9:
            self.progress = 1.0
        else:
            self.share = (1 - self.progress) / count

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {name: getattr(self, name) for name in ("progress", "share", "seconds", "seen", "_paces")}

    def restore(self, epoch: int, state: dict[str, Any]) -> None:
        """From a checkpoint; one that holds the epoch alone was by epochs. The settings may have more epochs now."""
        self.epoch, self.seen = epoch, self.settings.size_at(max(epoch - 1, 0))
        if not state.keys() <= self.state().keys():
            raise ValueError(f"a schedule of {', '.join(map(str, state))}")
        for name, value in state.items():
            setattr(self, name, value)
        if self.settings.minutes is None or not state:
            self.progress, self.share = epoch / self.settings.epochs, 1 / self.settings.epochs
        self.seen = (int(self.seen[0]), int(self.seen[1]))
