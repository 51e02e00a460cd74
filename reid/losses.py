"""What training minimises. Distances come in as a matrix and triplets as indices: computed once, shared."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from reid.miners import Triplets

Margin = float | Literal["soft"]
Reduction = Literal["mean", "nonzero"]


def triplet_loss(
    distance: Tensor, triplets: Triplets, *, margin: Margin = "soft", reduction: Reduction = "mean"
) -> Tensor:
    """Triplet loss over mined triplets.

    With a number, the hinge ``max(d(a,p) - d(a,n) + margin, 0)`` (Schroff et al. 2015, equation 1); with
    "soft", ``ln(1 + exp(d(a,p) - d(a,n)))`` (Hermans et al. 2017, section 2).

    Args:
        distance: ``(N, N)`` with gradient; its metric decides what the margin means.
        triplets: indices into it; none of them gives 0, still connected to the graph.
        margin: at least 0, in units of the distance, or "soft".
        reduction: "mean" over all triplets, or over those with a loss above zero ("nonzero").
    """
    gap = distance[triplets.anchor, triplets.positive] - distance[triplets.anchor, triplets.negative]
    losses = nn.functional.softplus(gap) if margin == "soft" else (gap + margin).clamp_min(0)
    if reduction == "nonzero":
        losses = losses[losses > 0]
    return losses.mean() if len(losses) else distance.sum() * 0.0


def identity_loss(logits: Tensor, labels: Tensor, *, smoothing: float = 0.1) -> Tensor:
    """Cross-entropy over identities with smoothed labels (Szegedy et al. 2016, section 7)."""
    return nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
