"""Which pictures make the next batch, and how each is made: the randomness that the CPU must know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tools.training.person.compose import GENTLE, MOSAIC, SINGLE, compose
from tools.training.person.device import upload
from tools.training.person.gallery import Cutouts, Pictures
from tools.training.person.look import camera_look
from tools.training.person.pack import Picture
from tools.training.person.paste import paste


@dataclass(frozen=True)
class Augmentation:
    """What is done to the pictures.

    Attributes:
        mosaic: share of the images that are made of four pictures.
        paste: people are pasted in.
        photometric: the look of surveillance video.
        pseudo: pictures of the video that only the teacher has labelled are taken.
    """

    mosaic: float = 0.7
    paste: bool = True
    photometric: bool = True
    pseudo: bool = True


def weights(pictures: Sequence[Picture], pseudo: bool) -> NDArray[np.float64]:
    """How often each picture is drawn: those with labels of people twice as often as those of a teacher."""
    weight = np.array([2.0 if p.true else 1.0 for p in pictures])
    for row, picture in enumerate(pictures):
        if not len(picture.boxes):
            weight[row] *= 0.7
        if picture.source == "video":
            weight[row] *= 0.7 if pseudo else 0.0
    return np.asarray(weight / weight.sum(), np.float64)


@dataclass(frozen=True)
class Sampler:
    """Makes batches; the same seed and step give the same batch.

    Attributes:
        pictures, cutouts: on the device.
        weight: ``(n,)`` how often each picture is drawn.
        people: ``(n,)`` boxes in each.
        augmentation: what is done.
        seed: of all randomness.
    """

    pictures: Pictures
    cutouts: Cutouts
    weight: NDArray[np.float64]
    people: NDArray[np.int64]
    augmentation: Augmentation
    seed: int

    def batch(self, step: int, count: int, side: int, *, gentle: bool) -> tuple[Tensor, Tensor, Tensor]:
        """``count`` images of ``side`` pixels in 0–1, corners ``(B, N, 4)``, and which of these count.

        ``gentle``: one picture each, hardly scaled, nobody pasted, as at the end of training.
        """
        device = self.pictures.size.device
        chance = np.random.default_rng((self.seed, step))
        generator = torch.Generator(device).manual_seed(self.seed * 1_000_003 + step)
        fours = 0 if gentle else round(self.augmentation.mosaic * count)
        chosen = chance.choice(len(self.weight), 4 * fours + count - fours, p=self.weight)
        parts = [
            compose(self.pictures, upload(numbers, device), side, spread, generator)
            for numbers, spread in (
                (chosen[: 4 * fours].reshape(fours, 4), MOSAIC),
                (chosen[4 * fours :, None], GENTLE if gentle else SINGLE),
            )
            if len(numbers)
        ]
        image, boxes, known = _joined(parts)
        if self.augmentation.paste and not gentle:
            people = self.people[chosen]
            crowd = np.concatenate([people[: 4 * fours].reshape(fours, 4).sum(1), people[4 * fours :]])
            counts = np.minimum(chance.poisson(np.where(crowd == 0, 4.0, np.where(crowd < 6, 2.0, 0.7))), 10)
            counts[chance.random(count) < 0.3] = 0
            image, boxes, known = paste(image, boxes, known, self.cutouts, counts, generator)
        if self.augmentation.photometric:
            image = camera_look(image.half() if device.type == "cuda" else image, chance, generator)
        return (image.float() / 255).contiguous(memory_format=torch.channels_last), boxes, known


def _joined(parts: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """One batch of several, boxes padded to the most."""
    most = max(known.shape[1] for _, _, known in parts)
    image, boxes, known = zip(*parts, strict=True)
    return (
        torch.cat(image),
        torch.cat([torch.nn.functional.pad(b, (0, 0, 0, most - b.shape[1])) for b in boxes]),
        torch.cat([torch.nn.functional.pad(k, (0, most - k.shape[1])) for k in known]),
    )
