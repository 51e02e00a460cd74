"""What goes wrong in a training of distances, noticed and said in plain words."""

from __future__ import annotations

import math

from reid.train.settings import LISTED, TrainSettings

COLLAPSED = 1e-3
"""Standard deviation of unit embeddings in a batch under which they are one point."""
NEAR = 0.02
"""A loss within this share of where nothing is told apart stands there."""
PATIENCE = 3
"""Epochs that a loss may stand there before it is said."""


class Health:
    """Looks at every epoch's figures.

    Args:
        settings: margin and mining say where the loss of a network stands that tells nothing apart: at the margin
            for the hinge, at ln 2 for the soft margin.
    """

    def __init__(self, settings: TrainSettings) -> None:
        soft = settings.margin == "soft"
        self.floor = math.log(2) if soft else settings.width
        self.name = "ln 2" if soft else "the margin"
        # Beside a sum over only those triplets that have a loss, standing at the margin is no sign.
        summed = settings.mining not in LISTED and settings.reduction != "mean"
        self.watches = settings.triplet_weight > 0 and not summed
        self.standing = 0

    def seen(self, row: dict[str, float]) -> list[str]:
        """Warnings that an epoch's figures give reason to."""
        said = []
        if row["spread"] < COLLAPSED:
            said.append(
                "the embeddings have collapsed to one point: lower `lr`, begin with `margin: soft` or "
                "`mining: semi_hard`, or add the identity loss"
            )
        near = self.watches and abs(row.get("triplet", math.inf) - self.floor) < NEAR * self.floor
        self.standing = self.standing + 1 if near else 0
        if self.standing and self.standing % PATIENCE == 0:
            said.append(
                f"the triplet loss has stood at {self.floor:.3g} ({self.name}) for {self.standing} epochs: all "
                "distances are equal to the network, nothing is learnt; if it stays, lower `lr` or change `mining`"
            )
        return said
