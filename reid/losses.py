"""What training minimises. Distances come in as a matrix and triplets as indices: computed once, shared."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from reid.miners import Triplets, band, relations

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


class AllTriplets(NamedTuple):
    """Loss over all triplets, and how many there are."""

    loss: Tensor
    triplets: int
    active: int


def all_triplets_loss(
    distance: Tensor,
    labels: Tensor,
    *,
    margin: float,
    only: Literal["all", "semi-hard"] = "all",
    reduction: Reduction = "nonzero",
) -> AllTriplets:
    """The hinge summed over all triplets of a batch, without listing one of them.

    Within the pieces where the same triplets are active, the sum of hinges is linear in the distances: each
    ``d(a,p)`` counts once per active negative, each ``d(a,n)`` once per active positive. Sorting every row and
    looking the bounds up gives those counts in O(N² log N) time and O(N²) memory, where a mask of triplets takes
    O(N³); value and gradient are exact. Batch-all is Hermans et al. 2017, equation 6; semi-hard is the set
    ``d(a,p) < d(a,n) < d(a,p) + margin`` of Schroff et al. 2015, section 3.2, all of it.

    Args:
        distance: ``(N, N)`` with gradient.
        labels: ``(N,)``.
        margin: above 0.
        only: every triplet, or the semi-hard ones.
        reduction: "mean" over all triplets of the kind, or over those with a loss above zero; for semi-hard
            ones that is the same.
    """
    with torch.no_grad():
        same, other = relations(labels)
        anchor, positive = torch.nonzero(same & other.any(1, keepdim=True), as_tuple=True)
        ranked, order = distance.masked_fill(~other, torch.inf).sort(1)
        pair = distance[anchor, positive]
        first, after = band(ranked, anchor, pair, margin)
        if only == "all":
            first = torch.zeros_like(first)
        count = after - first
        active = int(count.sum())
        # A negative counts for every pair of its anchor whose band holds it: +1 where a band begins, -1 where it
        # ends, summed along the row.
        edges = torch.zeros(len(distance), distance.shape[1] + 1, dtype=distance.dtype, device=distance.device)
        ones = torch.ones_like(pair)
        edges.index_put_((anchor, first), ones, accumulate=True)
        edges.index_put_((anchor, after), -ones, accumulate=True)
        weight = torch.zeros_like(distance).scatter_(1, order, -edges.cumsum(1)[:, :-1])
        weight[anchor, positive] += count.to(weight.dtype)
        total = int(other.sum(1)[anchor].sum()) if only == "all" else active
    divisor = max(active if reduction == "nonzero" else total, 1)
    # Infinite distances of the ranking never enter: their weight is 0 by `band`.
    return AllTriplets(((weight * distance).sum() + margin * active) / divisor, total, active)


def contrastive_loss(distance: Tensor, labels: Tensor, *, margin: float = 1.0, positive_margin: float = 0.0) -> Tensor:
    """Contrastive loss over all pairs of a batch (Hadsell et al., CVPR 2006, equation 4, without its ½).

    ``max(d - positive_margin, 0)²`` of pairs of one identity, ``max(margin - d, 0)²`` of others; the mean of each
    kind, added, so that the many negatives do not drown the few positives.

    Args:
        distance: ``(N, N)`` plain, with gradient.
        labels: ``(N,)``.
        margin: others should be at least this far apart.
        positive_margin: how near is near enough.
    """
    same, other = relations(labels)
    upper = torch.ones_like(same).triu(1)
    pull = (distance[same & upper] - positive_margin).clamp_min(0).square()
    push = (margin - distance[other & upper]).clamp_min(0).square()
    zero = distance.sum() * 0.0
    return (pull.mean() if len(pull) else zero) + (push.mean() if len(push) else zero)


def identity_loss(logits: Tensor, labels: Tensor, *, smoothing: float = 0.1) -> Tensor:
    """Cross-entropy over identities with smoothed labels (Szegedy et al. 2016, section 7)."""
    return nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)


class CenterLoss(nn.Module):
    """Half the squared distance to a learned center of one's identity (Wen et al., ECCV 2016, equation 2).

    The centers are parameters: give them to an optimiser, usually with a learning rate of their own.

    Args:
        identities: how many.
        dimension: D of the embeddings.
    """

    def __init__(self, identities: int, dimension: int) -> None:
        super().__init__()
        self.centers = nn.Parameter(torch.randn(identities, dimension))

    def forward(self, vectors: Tensor, labels: Tensor) -> Tensor:
        return 0.5 * (vectors - self.centers[labels]).square().sum(1).mean()
