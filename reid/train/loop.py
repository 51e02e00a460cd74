"""The training loop: from settings to weights, in one process or several; goes on exactly where it stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid.data.augment import Augment, apply
from reid.data.crops import CropStore
from reid.data.sets import concat
from reid.errors import TrainingError, WeightsError
from reid.files import replacing, write_text
from reid.miners import Triplets
from reid.models import EmbeddingNetwork
from reid.pickled import look_through
from reid.train import distributed
from reid.train.embedding import embed_crops
from reid.train.health import Health
from reid.train.learner import Learner
from reid.train.log import Log, spoken
from reid.train.page import write_page
from reid.train.plan import Plan
from reid.train.schedule import Schedule
from reid.train.settings import TrainSettings, read
from reid.train.validation import Validator
from reid.weights_file import Preprocessing, save_weights


class Trainer:
    """One training, from settings to weights; goes on from its last checkpoint as if it had never stopped.

    Started by `torchrun`, and inside `reid.train.distributed.launched`, the processes train one network together.

    Args:
        settings: what to do.
        out: folder of checkpoint, log, page and settings.
        device: of torch.
        report: takes a line of text now and then: an epoch's figures, warnings.
        progress: takes the share of the work that is done, 0–1, after every batch.

    Raises:
        ConfigError: settings that do not fit each other or the data.
        DataError: data that is not there or cannot be read.
        WeightsError: `init` that does not fit.
    """

    def __init__(
        self,
        settings: TrainSettings,
        out: Path,
        *,
        device: str = "cpu",
        report: Callable[[str], None] = lambda _: None,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.settings, self.out, self.device = settings, out, device
        first = distributed.rank() == 0  # one process speaks for all
        self._clock = time.monotonic()
        self.report: Callable[[str], None] = report if first else lambda _: None
        self.progress: Callable[[float], None] = progress if first else lambda _: None
        out.mkdir(parents=True, exist_ok=True)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        if device.startswith("cuda"):
            torch.use_deterministic_algorithms(settings.deterministic, warn_only=True)
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
            torch.backends.cudnn.benchmark = not settings.deterministic
        torch.manual_seed(settings.seed)
        self.data = concat([read(d, "train") for d in settings.train])
        self._warn_of_single_images()
        self.validator = Validator(settings, self.data, device)
        self.labels = torch.from_numpy(self.data.identity)
        self.plan = Plan(settings, self.data)
        self.learner = Learner(settings, int(self.data.identity.max()) + 1, device)
        self.schedule = Schedule(settings)
        self._store: CropStore | None = None
        self.log = Log(out, tensorboard=settings.tensorboard and distributed.rank() == 0)
        self.health = Health(settings)
        self._resume()

    def _warn_of_single_images(self) -> None:
        """A triplet takes two images of an identity; where there is one, it is paired with itself."""
        images = np.bincount(self.data.identity)
        single, all_of_them = np.count_nonzero(images == 1), np.count_nonzero(images)
        if single:
            self.report(
                f"warning: {single} of {all_of_them} identities have one image only: in their triplets it is paired "
                "with itself, changed by augmentation alone, which teaches little; give two of each, or leave them out"
            )

    @property
    def checkpoint(self) -> Path:
        """Written after every epoch, as data only."""
        return self.out / "last.pt"

    def _state(self) -> dict[str, Any]:
        """What stands between two epochs; all chance is drawn anew from seed and epoch."""
        state = self.learner.state() | {
            "epoch": self.epoch,
            "schedule": self.schedule.state(),
            "health": self.health.standing,
        }
        if self.plan.chosen is not None:
            state["chosen"] = torch.from_numpy(self.plan.chosen)
        return state

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            if distributed.rank() == 0:
                write_text(self.out / "settings.json", self.settings.model_dump_json(indent=2))
                self.log.start(0)
            return
        try:
            look_through(self.checkpoint)
            state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        except (WeightsError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, OSError) as error:
            raise TrainingError(
                f"{self.checkpoint}: damaged, or not a checkpoint of `reacquire reid train`; delete it to begin anew "
                f"({str(error).splitlines()[0]})"
            ) from error
        try:
            self._restore(state)
        except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise TrainingError(
                f"{self.checkpoint}: a checkpoint of other settings or data; train into another folder ({error})"
            ) from error
        if distributed.rank() == 0:
            self.log.start(self.epoch)
        self.report(f"goes on after epoch {self.epoch}")

    def _restore(self, state: dict[str, Any]) -> None:
        """What `_state` gave."""
        epoch = state["epoch"]
        if epoch < 0:
            raise ValueError("numbers that no training has")
        self.learner.restore(state)
        self.schedule.restore(epoch, state.get("schedule", {}))
        self.health.standing = state.get("health", 0)
        self.plan.chosen = state["chosen"].cpu().numpy() if "chosen" in state else None

    def _save(self) -> None:
        with replacing(self.checkpoint) as partial:
            torch.save(self._state(), partial)

    def crops(self, size: tuple[int, int]) -> CropStore:
        """The training crops at a size; the last size is kept."""
        if self._store is None or self._store.size != size:
            self._store = None
            memory = self.settings.memory_gb * 1e9
            self._store = CropStore(self.data.paths, size, memory=memory, device=self.device)
        return self._store

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return self.schedule.epoch

    def run(self) -> EmbeddingNetwork:
        """Train to the end; the averaged network."""
        while not self.schedule.done:
            self.run_epoch()
        self.log.close()
        return self.learner.average

    def run_epoch(self) -> None:
        """One epoch with all that follows it: judging, log, page, checkpoint."""
        row = self._train_epoch()
        now = time.monotonic()
        seconds, self._clock = now - self._clock, now
        # By the clock the processes must agree on it: the first one's counts.
        self.schedule.walked(distributed.from_first(seconds))
        if distributed.rank() == 0:
            validation = self.validator.judge(self.learner.average, self.schedule.seen) if self._is_time() else None
            if validation and validation.ranking is not None:
                row |= {"rank1": float(validation.ranking.cmc[0]), "mAP": validation.ranking.mean_ap}
            row |= {"epoch": self.epoch, "seconds": seconds}
            for warning in self.health.seen(row):
                self.report(warning)
            # The log first: lines beyond the checkpoint are dropped when a killed training goes on.
            self.log.add(row)
            self._save()
            if validation:
                write_page(self.out / "page.html", self.settings, self.log.rows, validation)
            self.report(spoken(row, self.schedule.expected))
        distributed.wait()

    def _is_time(self) -> bool:
        return self.schedule.done or self.epoch % self.settings.evaluate_every == 0

    def _train_epoch(self) -> dict[str, float]:
        s = self.settings
        # All randomness depends on seed and epoch alone: a resumed run sees what it would have seen.
        seed = s.seed * 100_003 + self.epoch
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        augment = Augment(generator=generator, device=self.device, **s.augment.model_dump())
        store = self.crops(self.schedule.size)
        batches = self.plan.batches(self.epoch, self._embed_all)
        mine = [batch.rows[distributed.part(len(batch.rows))] for batch in batches]
        self.learner.network.train()
        totals: dict[str, float] = {}
        for number, (batch, crops) in enumerate(zip(batches, store.batches(mine), strict=True)):
            within = number / len(batches)
            self.learner.set_rate(self.schedule.rate(within))
            views = augment.draw(len(batch.rows), store.size).part(distributed.part(len(batch.rows)))
            seen = apply(crops.to(self.device).float() / 255, views)
            labels = self.labels[torch.from_numpy(batch.rows)].to(self.device)
            for name, value in self._learn(seen, labels, batch.triplets).items():
                totals[name] = totals.get(name, 0.0) + value / len(batches)
            self.progress(self.schedule.work((number + 1) / len(batches)))
        return totals

    def _learn(self, crops: Tensor, labels: Tensor, triplets: Triplets | None) -> dict[str, float]:
        try:
            return self.learner.step(crops, labels, triplets)
        except TrainingError as error:
            raise TrainingError(
                f"{error} in epoch {self.epoch + 1}: lower `lr`, or set `amp: off`; "
                f"the checkpoint of epoch {self.epoch} is kept"
            ) from error

    def _embed_all(self) -> NDArray[np.float32]:
        """All training crops through the averaged network."""
        store = self.crops(self.schedule.size)
        pieces = np.array_split(np.arange(len(self.data)), math.ceil(len(self.data) / 1024))
        return np.concatenate([embed_crops(self.learner.average, c, device=self.device) for c in store.batches(pieces)])

    def write_weights(self, path: Path, about: dict[str, str]) -> None:
        """The averaged network as it is now, without a threshold.

        Args:
            path: of the `.safetensors` file.
            about: facts to note in it.
        """
        save_weights(
            path,
            self.learner.average,
            backbone=self.settings.backbone,
            pooling=self.settings.pooling,
            preprocessing=Preprocessing(self.schedule.seen),
            threshold=None,
            about=about | {"trained": f"{self.epoch} of {self.schedule.expected} epochs"},
        )
