"""The adaptation: rounds of linking tracklets and learning from the links; goes on where it stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reid.adapt.identities import nearest, pseudo_identities, strangers
from reid.adapt.tracklets import Tracklets
from reid.adapt.trust import CONSISTENT, Verdict, scores, verdict
from reid.data.augment import Augment
from reid.distance import pairwise
from reid.errors import DataError, TrainingError, WeightsError
from reid.files import replacing
from reid.losses import triplet_loss
from reid.miners import Triplets
from reid.pickled import look_through
from reid.samplers import IdentitySampler
from reid.train.average import MovingAverage
from reid.train.embedding import embed_crops, normalised
from reid.train.objective import precision

FEWEST_TRACKLETS = 40
"""Below, nothing is learned, and nothing could be judged."""
LEAST_ROWS_IN_HALF = 64
"""Of crops that are learned from in half precision."""
FEWEST_PEOPLE = 12
"""Pseudo-identities below which weights would learn these people, and forget others."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of an adaptation. Nothing here depends on the data's distances.

    Attributes:
        minutes: of training, by the clock, all starts together.
        rounds: after each, tracklets are linked anew by the moving average.
        first_share: of the links that are taken in the first round, the clearest; rising to `last_share`.
        last_share: see `first_share`.
        identities: P of a batch.
        images: K of each.
        rate: the highest, of AdamW; warm-up and half a cosine.
        decay: of the weights.
        sharp: what distances are multiplied by in the soft margin, for unit vectors are 2 apart at most.
        keep: weight of the old vectors on old crops, against forgetting.
        average: how much of the moving average stays at a step.
        held_out: share of the tracklets that judge.
        blends: shares of the way from the old weights to the new that are judged in turn: a shorter way forgets less.
        seed: of all chance.
    """

    minutes: float = 30.0
    rounds: int = 6
    first_share: float = 0.5
    last_share: float = 0.9
    identities: int = 16
    images: int = 4
    rate: float = 5e-4
    decay: float = 0.01
    sharp: float = 6.0
    keep: float = 1.0
    average: float = 0.99
    held_out: float = 0.2
    blends: tuple[float, ...] = (0.8, 0.5)
    seed: int = 1


Report = Callable[[str], None]


class Adaptation:
    """One adaptation; goes on from the checkpoint in its folder.

    Args:
        network: with the old weights.
        tracklets: to learn from.
        old: ``(M, 3, H, W)`` uint8 RGB crops whose old vectors are kept; the tracklets' own, in other colours, if None.
        out: folder of the checkpoint.
        settings: what to do.
        report: takes a line now and then.

    Raises:
        DataError: too little to learn from, or tracklets that mix people.
    """

    def __init__(
        self,
        network: nn.Module,
        tracklets: Tracklets,
        *,
        old: Tensor | None,
        out: Path,
        settings: Settings,
        report: Report = lambda _: None,
    ) -> None:
        self.settings, self.out, self.report = settings, out, report
        self.before = network.eval().requires_grad_(False)
        vectors, groups = embed_crops(self.before, tracklets.crops), tracklets.groups
        label = self._checked(tracklets, vectors, groups)
        self.learned, self.judging = self._split(tracklets, label)
        self.groups = self.learned.groups
        self.network = deepcopy(network).requires_grad_(True).to(memory_format=torch.channels_last)
        self.average = deepcopy(network)
        self._moving = MovingAverage(self.average, self.network, settings.average)
        weights = list(self.network.parameters())
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in weights if p.ndim > 1], "weight_decay": settings.decay},
                {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
            ]
        )
        # Half precision gives NaN where the last feature maps have a pixel or two (oneDNN 3.x), as of tiny crops.
        self.half = precision("auto", "cpu") if tracklets.crops.shape[2] >= LEAST_ROWS_IN_HALF else None
        self.steps, self.seconds, self.round = 0, 0.0, -1
        self.label = np.arange(len(self.learned))
        self.old = self.learned.crops if old is None else old
        self._vary = old is None
        out.mkdir(parents=True, exist_ok=True)
        self._resume()

    def _checked(
        self, tracklets: Tracklets, vectors: NDArray[np.float32], groups: list[NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        """``(T,)`` pseudo-identities by the old network, of tracklets from which something can be learned."""
        if len(tracklets) < FEWEST_TRACKLETS:
            raise DataError(
                f"{len(tracklets)} tracklets are too few to learn from and to judge by; it takes {FEWEST_TRACKLETS}"
            )
        label = pseudo_identities(
            nearest(vectors, groups), tracklets.camera, tracklets.apart, tracklets.span, share=1.0
        )
        separation = scores(vectors, groups, tracklets.camera, tracklets.apart).means()["separation"]
        if math.isnan(separation):
            raise DataError("nobody was seen together with anybody: there is nothing that tells two people apart")
        people = _most_apart(label, tracklets.apart)
        if people < FEWEST_PEOPLE:
            raise DataError(
                f"the tracklets show about {people} people that are surely different, too few to learn from without "
                f"forgetting others; it takes {FEWEST_PEOPLE}"
            )
        if separation < CONSISTENT:
            raise DataError(
                f"the tracklets mix people: only {separation:.0%} of the strangers are farther than a track's own "
                "other half; track with a stricter recipe first"
            )
        return label

    def _split(self, tracklets: Tracklets, label: NDArray[np.int64]) -> tuple[Tracklets, Tracklets]:
        """Those that are learned from, and those that judge: links are kept together, as far as they are known."""
        people = np.random.default_rng(self.settings.seed).permutation(int(label.max()) + 1)
        judging = np.isin(label, people[: max(round(self.settings.held_out * len(people)), 2)])
        return tracklets.take(np.flatnonzero(~judging)), tracklets.take(np.flatnonzero(judging))

    @property
    def progress(self) -> float:
        """Share of the time that is over, 0–1."""
        return min(self.seconds / (60 * self.settings.minutes), 1.0)

    @property
    def checkpoint(self) -> Path:
        """Written after every round and now and then."""
        return self.out / "last.pt"

    def run(self, progress: Callable[[float], None] = lambda _: None) -> None:
        """To the end, saving after every round and each minute."""
        s = self.settings
        while self.progress < 1:
            number = min(int(self.progress * s.rounds), s.rounds - 1)
            if number != self.round:
                self._link(number)
            end = (number + 1) / s.rounds
            self._train(until=end, progress=progress)
            self.save()

    def _link(self, number: int) -> None:
        """A round's pseudo-identities, by the moving average."""
        s = self.settings
        share = s.first_share + (s.last_share - s.first_share) * number / max(s.rounds - 1, 1)
        distance = nearest(embed_crops(self.average, self.learned.crops), self.groups)
        t = self.learned
        self.label = pseudo_identities(distance, t.camera, t.apart, t.span, share=share)
        self.round = number
        self.report(f"round {number + 1} of {s.rounds}: {len(t)} tracklets, {len(t) - int(self.label.max()) - 1} links")

    def _train(self, *, until: float, progress: Callable[[float], None]) -> None:
        """Steps until a share of the time is over, or a minute."""
        s, started, before = self.settings, time.monotonic(), self.seconds
        label = self.label[self.learned.tracklet]
        apart = torch.from_numpy(strangers(self.label, self.learned.apart))
        linked = np.bincount(self.label)[label] > 1
        people = min(s.identities, len(np.unique(label)))
        sampler = IdentitySampler(
            label, p=people, k=s.images, seed=s.seed, cameras=self.learned.camera[self.learned.tracklet]
        )
        random = np.random.default_rng([s.seed, self.steps])
        augment = Augment(
            colour=0.2, tint=0.1, gamma=0.2, erase=0.4, generator=torch.Generator().manual_seed(s.seed + self.steps)
        )
        _train_without_statistics(self.network)
        epoch = self.steps
        while True:
            for rows in sampler.epoch(epoch):
                if not linked[rows].any() and linked.any():
                    continue
                self._step(rows, torch.from_numpy(label[rows]), apart, augment, random)
                self.seconds = before + time.monotonic() - started
                progress(self.progress)
                if self.progress >= until:
                    return
                if self.seconds - before > 60:
                    return
            epoch += 1

    def _step(
        self, rows: NDArray[np.int64], label: Tensor, apart: Tensor, augment: Augment, random: np.random.Generator
    ) -> None:
        s = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        seen = augment(self.learned.crops[torch.from_numpy(rows)].float() / 255)
        kept = self.old[torch.from_numpy(random.integers(len(self.old), size=len(rows) // 2))].float() / 255
        if self._vary:
            kept = _other_colours(kept, random)
        with torch.no_grad():
            wanted = self.before(normalised(kept)).float()
        with torch.autocast("cpu", self.half, enabled=self.half is not None):
            said = self.network(normalised(torch.cat([seen, kept])))
        said = nn.functional.normalize(said.float())
        loss = triplet_loss(*_hard(s.sharp * pairwise(said[: len(rows)]), label, apart))
        loss = loss + s.keep * (1 - (said[len(rows) :] * wanted).sum(1)).mean()
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss is no number at step {self.steps + 1}; {self.checkpoint} is kept")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.steps += 1
        self._moving.update(self.steps)

    def _rate(self) -> float:
        """Warm-up over a twentieth, then half a cosine to one percent."""
        rising = min(self.progress / 0.05, 1.0)
        return self.settings.rate * max(rising, 0.01) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress)))

    def judged(self) -> tuple[nn.Module, Verdict]:
        """The network to offer, and why: the first of the blends of old and new weights that is surely better."""
        t = self.judging
        groups = t.groups
        old = scores(embed_crops(self.before, t.crops), groups, t.camera, t.apart)
        found: tuple[nn.Module, Verdict] | None = None
        for share in self.settings.blends:
            network = blended(self.before, self.average, share)
            new = scores(embed_crops(network, t.crops), groups, t.camera, t.apart)
            said = verdict(old, new, seed=self.settings.seed)
            if found is None or said.promoted:
                found = network, said
            if said.promoted:
                break
        assert found is not None
        return found

    def save(self) -> None:
        """Everything that it needs to go on."""
        state: dict[str, Any] = {"settings": _plain(self.settings), "steps": self.steps, "seconds": self.seconds}
        state |= {"origin": _origin(self.before)}
        state |= {"round": self.round, "label": torch.from_numpy(self.label)}
        state |= {name: getattr(self, name).state_dict() for name in ("network", "average", "optimizer")}
        with replacing(self.checkpoint) as partial:
            torch.save(state, partial)

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        try:
            look_through(self.checkpoint)
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            self._restore(state)
        except (WeightsError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, OSError) as error:
            raise TrainingError(
                f"{self.checkpoint}: damaged, or of other tracklets; delete it to begin anew ({str(error)[:200]})"
            ) from error
        self.report(f"goes on after {self.seconds / 60:.1f} minutes")

    def _restore(self, state: dict[str, Any]) -> None:
        """What `save` gave."""
        if state["settings"] | {"minutes": 0} != _plain(self.settings) | {"minutes": 0}:
            raise ValueError("other settings")
        if state["origin"] != _origin(self.before):
            raise ValueError("other weights to begin with")
        if len(state["label"]) != len(self.learned):
            raise ValueError(f"{len(state['label'])} tracklets, and there are {len(self.learned)} now")
        for name in ("network", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.label = state["label"].numpy()
        self.steps, self.seconds, self.round = int(state["steps"]), float(state["seconds"]), int(state["round"])


def _plain(settings: Settings) -> dict[str, Any]:
    return asdict(settings) | {"blends": list(settings.blends)}


def _train_without_statistics(network: nn.Module) -> None:
    """Train the weights, and leave the batch normalisation's statistics: they are what old cameras need first."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _origin(network: nn.Module) -> float:
    """A number that other weights do not have."""
    return float(sum(p.double().abs().sum() for p in network.parameters()))


def _hard(distance: Tensor, label: Tensor, apart: Tensor) -> tuple[Tensor, Triplets]:
    """For every anchor its farthest positive and its closest certain negative."""
    with torch.no_grad():
        same = label[:, None] == label[None]
        other = apart[label][:, label]
        same.fill_diagonal_(False)
        anchor = torch.nonzero(same.any(1) & other.any(1)).flatten()
        positive = distance.masked_fill(~same, -torch.inf).argmax(1)[anchor]
        negative = distance.masked_fill(~other, torch.inf).argmin(1)[anchor]
    return distance, Triplets(anchor, positive, negative)


def _other_colours(crops: Tensor, random: np.random.Generator) -> Tensor:
    """Crops as other cameras would show them: another order and weight of the colours, another light."""
    n = len(crops)
    order = torch.from_numpy(np.stack([random.permutation(3) for _ in range(n)]))
    order = torch.where(torch.from_numpy(random.random(n) < 0.5)[:, None], order, torch.arange(3))
    mixed = crops.gather(1, order[:, :, None, None].expand_as(crops))
    tint = torch.from_numpy(random.uniform(0.7, 1.3, (n, 3, 1, 1)).astype(np.float32))
    gamma = torch.from_numpy(np.exp(random.uniform(-0.4, 0.4, (n, 1, 1, 1))).astype(np.float32))
    return (mixed * tint).clamp(1e-4, 1).pow(gamma)


def blended(old: nn.Module, new: nn.Module, share: float) -> nn.Module:
    """Weights on the way from old to new (Wortsman et al., CVPR 2022): most of the gain, little of the forgetting."""
    network = deepcopy(old)
    state = network.state_dict()
    given = new.state_dict()
    mixed = {n: t.lerp(given[n], share) if t.is_floating_point() else given[n] for n, t in state.items()}
    network.load_state_dict(mixed)
    return network.eval()


def _most_apart(label: NDArray[np.int64], apart: NDArray[np.bool_]) -> int:
    """How many pseudo-identities are surely different from some other one."""
    found = strangers(label, apart)
    return int(found.any(1).sum())
