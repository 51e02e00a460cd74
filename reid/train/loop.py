"""The training loop: from settings to weights, in one process or several; goes on exactly where it stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from reid.data.augment import Augment, apply
from reid.data.crops import CropStore
from reid.data.sets import CropSet, together
from reid.errors import ConfigError, DataError, TrainingError, WeightsError
from reid.files import replacing, write_text
from reid.miners import Triplets
from reid.models import EmbeddingNetwork, create_model
from reid.pickled import look_through
from reid.train import distributed
from reid.train.embedding import embed_crops, normalised
from reid.train.health import Health
from reid.train.init import initialise
from reid.train.log import Log, spoken
from reid.train.objective import Features, Objective, precision
from reid.train.page import write_page
from reid.train.plan import Plan
from reid.train.schedule import Schedule
from reid.train.settings import TrainSettings, read
from reid.train.validation import Validation, validate, validate_on_training
from reid.weights_file import Preprocessing, save_weights


class _Forward(nn.Module):
    """What is wrapped for training in several processes."""

    def __init__(self, network: EmbeddingNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        raw, normal = self.network.features(normalised(crops))
        classifier = self.network.classifier
        needed = classifier is not None and classifier.weight.requires_grad
        return (raw, normal, classifier(normal)) if needed and classifier is not None else (raw, normal)


class _Tensors(NamedTuple):
    """Of a network: what is averaged, and what is counted."""

    numbers: list[Tensor]
    counts: list[Tensor]


def _tensors(network: nn.Module) -> _Tensors:
    state = network.state_dict().values()
    return _Tensors([t for t in state if t.is_floating_point()], [t for t in state if not t.is_floating_point()])


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
        self.data = together([read(d, "train") for d in settings.train])
        self._warn_of_single_images()
        self.validation = self._validation_sets()
        self.labels = torch.from_numpy(self.data.identity)
        self.plan = Plan(settings, self.data)
        self.network = self._network(int(self.data.identity.max()) + 1)
        self.average = deepcopy(self.network).requires_grad_(False)
        self.objective = Objective(settings, int(self.data.identity.max()) + 1).to(device)
        self._forward = self._distributed()
        self.optimizer = self._optimizer()
        self.centres = (
            torch.optim.SGD(self.objective.parameters(), lr=settings.centre_rate) if settings.centre_weight else None
        )
        self.half = precision(settings.amp, device)
        self.scaler = torch.amp.GradScaler(torch.device(device).type, enabled=self.half == torch.float16)
        self.schedule = Schedule(settings)
        self.updates = 0
        self._learning, self._averaged = _tensors(self.network), _tensors(self.average)
        self._store: CropStore | None = None
        self._validation_stores: tuple[CropStore, CropStore] | None = None
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

    def _validation_sets(self) -> tuple[CropSet, CropSet] | None:
        s = self.settings
        if s.query is None or s.gallery is None:
            return None
        query, gallery = read(s.query, "query"), read(s.gallery, "gallery")
        if not np.isin(query.identity[query.identity > 0], gallery.identity).any():
            raise DataError(f"no identity of the query {s.query.path} is in the gallery {s.gallery.path}")
        return query, gallery

    def _network(self, identities: int) -> EmbeddingNetwork:
        s = self.settings
        network = create_model(s.backbone, dimension=s.dimension, identities=identities, pooling=s.pooling)
        if s.init:
            initialise(network, s)
        if network.classifier is not None and not s.identity_weight:
            network.classifier.requires_grad_(False)
        for stage in s.stages:
            self._check_size(network, stage.size)
        return network.to(self.device).to(memory_format=torch.channels_last)

    def _check_size(self, network: EmbeddingNetwork, size: tuple[int, int]) -> None:
        """Before any work: some backbones take one size of crops alone."""
        try:
            with torch.no_grad():
                network.eval().features(torch.zeros(1, 3, *size))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"backbone {self.settings.backbone} cannot take crops of {size[0]}x{size[1]}: {error}"
            ) from error

    def _distributed(self) -> nn.Module:
        forward = _Forward(self.network)
        if distributed.processes() == 1:
            return forward
        distributed.synchronised(forward)
        on_gpu = self.device.startswith("cuda")
        return DistributedDataParallel(
            forward, device_ids=[torch.device(self.device)] if on_gpu else None, broadcast_buffers=False
        )

    def _optimizer(self) -> torch.optim.Optimizer:
        weights = [p for p in self.network.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in weights if p.ndim > 1], "weight_decay": self.settings.decay},
            {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.settings.rate, fused=self.device.startswith("cuda"))

    @property
    def checkpoint(self) -> Path:
        """Written after every epoch, as data only."""
        return self.out / "last.pt"

    def _state(self) -> dict[str, Any]:
        """What stands between two epochs; all chance is drawn anew from seed and epoch."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "schedule": self.schedule.state(),
            "updates": self.updates,
            "scaler": self.scaler.state_dict(),
            "health": self.health.standing,
        }
        if self.centres is not None:
            state |= {"objective": self.objective.state_dict(), "centres": self.centres.state_dict()}
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
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.updates, epoch = state["updates"], state["epoch"]
        if min(self.updates, epoch) < 0 or not all(torch.isfinite(t).all() for t in self._averaged.numbers):
            raise ValueError("numbers that no training has")
        self.schedule.restore(epoch, state.get("schedule", {}))
        self.scaler.load_state_dict(state.get("scaler") or self.scaler.state_dict())
        self.health.standing = state.get("health", 0)
        if self.centres is not None:
            self.objective.load_state_dict(state["objective"])
            self.centres.load_state_dict(state["centres"])
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
        return self.average

    def run_epoch(self) -> None:
        """One epoch with all that follows it: judging, log, page, checkpoint."""
        row = self._train_epoch()
        now = time.monotonic()
        seconds, self._clock = now - self._clock, now
        # By the clock the processes must agree on it: the first one's counts.
        self.schedule.walked(distributed.from_first(seconds))
        if distributed.rank() == 0:
            validation = self._validate() if self._is_time() else None
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
        self.network.train()
        totals: dict[str, float] = {}
        for number, (batch, crops) in enumerate(zip(batches, store.batches(mine), strict=True)):
            within = number / len(batches)
            for group in self.optimizer.param_groups:
                group["lr"] = self.schedule.rate(within)
            views = augment.draw(len(batch.rows), store.size).part(distributed.part(len(batch.rows)))
            seen = apply(crops.to(self.device).float() / 255, views)
            labels = self.labels[torch.from_numpy(batch.rows)].to(self.device)
            for name, value in self._step(seen, labels, batch.triplets).items():
                totals[name] = totals.get(name, 0.0) + value / len(batches)
            self.progress(self.schedule.work((number + 1) / len(batches)))
        return totals

    def _step(self, crops: Tensor, labels: Tensor, triplets: Triplets | None = None) -> dict[str, float]:
        """Of this process' crops and the whole batch's labels."""
        with torch.autocast(torch.device(self.device).type, self.half, enabled=self.half is not None):
            outputs = self._forward(crops)
        raw, normal, *logits = (distributed.gather(output.float()) for output in outputs)
        loss, parts = self.objective(Features(raw, normal, logits[0] if logits else None), labels, triplets)
        if not math.isfinite(parts["loss"]):
            raise TrainingError(
                f"the loss is {parts['loss']} in epoch {self.epoch + 1}: lower `rate`, or set `amp: off`; "
                f"the checkpoint of epoch {self.epoch} is kept"
            )
        self.optimizer.zero_grad(set_to_none=True)
        if self.centres is not None:
            self.centres.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.scaler.step(self.optimizer)
        if self.centres is not None:
            # The centres learn at their own rate, whatever the loss weighs (Wen et al., algorithm 1).
            for centre in self.objective.parameters():
                if centre.grad is not None:
                    centre.grad /= self.settings.centre_weight * self.scaler.get_scale()
            self.centres.step()
        self.scaler.update()
        self._update_average()
        return dict(parts)

    @torch.no_grad()
    def _update_average(self) -> None:
        self.updates += 1
        decay = min(self.settings.ema_decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self._averaged.numbers, self._learning.numbers, 1 - decay)
        torch._foreach_copy_(self._averaged.counts, self._learning.counts)

    def _embed_all(self) -> NDArray[np.float32]:
        """All training crops through the averaged network."""
        store = self.crops(self.schedule.size)
        pieces = np.array_split(np.arange(len(self.data)), math.ceil(len(self.data) / 1024))
        return np.concatenate([embed_crops(self.average, c, device=self.device) for c in store.batches(pieces)])

    def _validate(self) -> Validation:
        size = self.schedule.seen
        if self.validation is None:
            return validate_on_training(self.average, self.data, size, device=self.device, seed=self.settings.seed)
        query, gallery = self.validation
        if self._validation_stores is None or self._validation_stores[0].size != size:
            memory = self.settings.memory_gb * 1e9 / 4
            first, second = (CropStore(crops.paths, size, memory=memory) for crops in self.validation)
            self._validation_stores = first, second
        return validate(self.average, query, gallery, self._validation_stores, device=self.device)

    def write_weights(self, path: Path, about: dict[str, str]) -> None:
        """The averaged network as it is now, without a threshold.

        Args:
            path: of the `.safetensors` file.
            about: facts to note in it.
        """
        save_weights(
            path,
            self.average,
            backbone=self.settings.backbone,
            pooling=self.settings.pooling,
            preprocessing=Preprocessing(self.schedule.seen),
            threshold=None,
            about=about | {"trained": f"{self.epoch} of {self.schedule.expected} epochs"},
        )
