"""The network that learns: its losses, its optimizers, and the average of its weights, in one process or several."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from reid.errors import ConfigError, TrainingError
from reid.miners import Triplets
from reid.models import EmbeddingNetwork, create_model
from reid.train import distributed
from reid.train.average import MovingAverage
from reid.train.embedding import normalised
from reid.train.init import initialise
from reid.train.objective import Features, Objective, precision
from reid.train.settings import TrainSettings


class Forward(nn.Module):
    """What is wrapped for training in several processes."""

    def __init__(self, network: EmbeddingNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        raw, normal = self.network.features(normalised(crops))
        classifier = self.network.classifier
        needed = classifier is not None and classifier.weight.requires_grad
        return (raw, normal, classifier(normal)) if needed and classifier is not None else (raw, normal)


class Learner:
    """A network with all that changes it, batch by batch.

    Args:
        settings: of the training.
        identities: classes of the identity and center losses.
        device: of torch.

    Attributes:
        network: that learns.
        average: exponential moving average of its weights; what is judged and written.
        objective: its losses.
        half: type of half precision, or None.

    Raises:
        ConfigError: a backbone that cannot take crops of a stage's size.
        WeightsError: `init` that does not fit.
    """

    def __init__(self, settings: TrainSettings, identities: int, device: str) -> None:
        self.settings, self.device = settings, device
        self.network = self._network(identities)
        self.average = deepcopy(self.network).requires_grad_(False)
        self.objective = Objective(settings, identities).to(device)
        self._forward = self._distributed()
        self.optimizer = self._optimizer()
        self.centers = (
            torch.optim.SGD(self.objective.parameters(), lr=settings.center_lr) if settings.center_weight else None
        )
        self.half = precision(settings.amp, device)
        self.scaler = torch.amp.GradScaler(torch.device(device).type, enabled=self.half == torch.float16)
        self.updates = 0
        self._moving = MovingAverage(self.average, self.network, settings.ema_decay)

    def state(self) -> dict[str, Any]:
        """What stands between two batches."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "updates": self.updates,
            "scaler": self.scaler.state_dict(),
        }
        if self.centers is not None:
            state |= {"objective": self.objective.state_dict(), "centers": self.centers.state_dict()}
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            ValueError: numbers that no training has.
        """
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.updates = state["updates"]
        if self.updates < 0 or not self._moving.finite:
            raise ValueError("numbers that no training has")
        self.scaler.load_state_dict(state.get("scaler") or self.scaler.state_dict())
        if self.centers is not None:
            self.objective.load_state_dict(state["objective"])
            self.centers.load_state_dict(state["centers"])

    def set_rate(self, rate: float) -> None:
        """The learning rate of the next batches."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

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
        forward = Forward(self.network)
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
            {"params": [p for p in weights if p.ndim > 1], "weight_decay": self.settings.weight_decay},
            {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.settings.lr, fused=self.device.startswith("cuda"))

    def step(self, crops: Tensor, labels: Tensor, triplets: Triplets | None = None) -> dict[str, float]:
        """Learn from a batch: of this process' crops and the whole batch's labels; the losses and what goes with them.

        Raises:
            TrainingError: the loss is no number.
        """
        with torch.autocast(torch.device(self.device).type, self.half, enabled=self.half is not None):
            outputs = self._forward(crops)
        raw, normal, *logits = (distributed.gather(output.float()) for output in outputs)
        loss, parts = self.objective(Features(raw, normal, logits[0] if logits else None), labels, triplets)
        if not math.isfinite(parts["loss"]):
            raise TrainingError(f"the loss is {parts['loss']}")
        self.optimizer.zero_grad(set_to_none=True)
        if self.centers is not None:
            self.centers.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.scaler.step(self.optimizer)
        if self.centers is not None:
            # The centers learn at their own rate, whatever the loss weighs (Wen et al., algorithm 1).
            for center in self.objective.parameters():
                if center.grad is not None:
                    center.grad /= self.settings.center_weight * self.scaler.get_scale()
            self.centers.step()
        self.scaler.update()
        self.updates += 1
        self._moving.update(self.updates)
        return dict(parts)
