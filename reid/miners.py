"""Which triplets of a batch to learn from.

A miner takes the distance matrix and the labels and returns index triplets ``(anchor, positive, negative)``,
each ``(T,)`` int64. It never sees gradients. A batch without a positive or without a negative has no triplet.

What would be too many triplets to list, all of them or all semi-hard ones, is summed in closed form by
`reid.losses.all_triplets_loss` instead; `batch_all` lists them for small batches and for comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Negative = Literal["closest", "random"]
CUTOFF = 0.5
"""Distances are taken as at least this by distance-weighted sampling, or the nearest would always win."""
FAR_CUTOFF = 1.4
"""Negatives beyond this (√2 is orthogonal) teach nothing and are not drawn."""


class Triplets(NamedTuple):
    """Rows of the batch, three of equal length."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


class Shares(NamedTuple):
    """Of triplets, in 0–1: negatives beyond positive and margin, between them, nearer than the positive."""

    easy: float
    semi_hard: float
    hard: float


Miner = Callable[[Tensor, Tensor], Triplets]


def relations(labels: Tensor) -> tuple[Tensor, Tensor]:
    """``(N, N)`` masks: same identity (without oneself), and other identity."""
    same = labels[:, None] == labels[None]
    other = ~same
    same.fill_diagonal_(False)
    return same, other


@torch.no_grad()
def batch_hard(distance: Tensor, labels: Tensor) -> Triplets:
    """For every anchor its farthest positive and its **closest** negative (Hermans et al. 2017, equation 5)."""
    same, other = relations(labels)
    anchor = torch.nonzero(same.any(1) & other.any(1)).flatten()
    positive = distance.masked_fill(~same, -torch.inf).argmax(1)[anchor]
    negative = distance.masked_fill(~other, torch.inf).argmin(1)[anchor]
    return Triplets(anchor, positive, negative)


@torch.no_grad()
def batch_all(distance: Tensor, labels: Tensor) -> Triplets:
    """Every triplet there is (Hermans et al. 2017, equation 6).

    Listed pair by pair, without an N×N×N mask; still T is about N² K for N images of K each: for large batches
    use `reid.losses.all_triplets_loss`.
    """
    same, other = relations(labels)
    anchor, positive = torch.nonzero(same, as_tuple=True)
    count = other.sum(1)[anchor]
    columns = torch.nonzero(other, as_tuple=True)[1].split(other.sum(1).tolist())
    negative = torch.cat([columns[a] for a in anchor.tolist()]) if len(anchor) else anchor
    return Triplets(anchor.repeat_interleave(count), positive.repeat_interleave(count), negative)


@torch.no_grad()
def semi_hard(distance: Tensor, labels: Tensor, *, margin: float = 0.2, choose: Negative = "closest") -> Triplets:
    """For every anchor–positive pair one negative with ``d(a,p) < d(a,n) < d(a,p) + margin``.

    FaceNet (Schroff et al. 2015, section 3.2) says so of *squared* distances of unit vectors; the definition is
    the same here, the metric is the caller's. Pairs without such a negative have no triplet.

    Args:
        distance: ``(N, N)``.
        labels: ``(N,)``.
        margin: above 0, in units of the distance.
        choose: the closest of them, or one at random.
    """
    same, other = relations(labels)
    anchor, positive = torch.nonzero(same, as_tuple=True)
    ranked, order = distance.masked_fill(~other, torch.inf).sort(1)
    pair = distance[anchor, positive]
    first, after = band(ranked, anchor, pair, margin)
    exists = first < after
    anchor, positive, first, after = anchor[exists], positive[exists], first[exists], after[exists]
    place = first
    if choose == "random":
        place = first + (torch.rand_like(first, dtype=torch.float64) * (after - first)).long()
    return Triplets(anchor, positive, order[anchor, place])


def band(ranked: Tensor, anchor: Tensor, low: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Where, in rows of ascending distances, those strictly between ``low`` and ``low + width`` begin and end."""
    # One row of `ranked` per anchor, all its values looked up together.
    n = len(ranked)
    count = torch.bincount(anchor, minlength=n)
    most = int(count.max()) if len(anchor) else 0
    slot = torch.arange(len(anchor), device=anchor.device) - (count.cumsum(0) - count)[anchor]
    wanted = torch.full((n, most), torch.inf, dtype=ranked.dtype, device=ranked.device)
    wanted[anchor, slot] = low
    first = torch.searchsorted(ranked, wanted, right=True)[anchor, slot]
    after = torch.searchsorted(ranked, wanted + width, right=False)[anchor, slot]
    return first, torch.maximum(first, after)


@torch.no_grad()
def distance_weighted(distance: Tensor, labels: Tensor, *, dimension: int) -> Triplets:
    """For every anchor–positive pair a negative drawn by ``1 / q(d)`` (Wu et al. 2017, section 4.2).

    q is the density of distances between random points of the unit sphere, ``d^(D-2) (1 - d²/4)^((D-3)/2)``:
    weighting by its inverse spreads the negatives evenly over distances. The weights span hundreds of orders of
    magnitude, so each row is normalised by itself, in logarithms; normalising by the batch's largest weight
    would underflow to zero for nearly all anchors at 512 dimensions.

    Args:
        distance: ``(N, N)`` plain Euclidean, of unit vectors.
        labels: ``(N,)``.
        dimension: D of the vectors, above 3.
    """
    same, other = relations(labels)
    d = distance.double().clamp(CUTOFF, 1.999)
    logit = -((dimension - 2) * d.log() + (dimension - 3) / 2 * (1 - d.square() / 4).log())
    allowed = other & (distance < FAR_CUTOFF)
    allowed |= other & ~allowed.any(1, keepdim=True)  # all too far: any will do
    logit = logit.masked_fill(~allowed, -torch.inf)
    anchor, positive = torch.nonzero(same & other.any(1, keepdim=True), as_tuple=True)
    if not len(anchor):
        return Triplets(anchor, positive, anchor)
    # Many draws of a row share its cumulative weights: inverse transform sampling.
    weight = (logit - logit.max(1, keepdim=True).values).exp()
    cumulative = weight.cumsum(1)
    draw = torch.rand(len(anchor), dtype=torch.float64, device=distance.device) * cumulative[anchor, -1]
    negative = torch.searchsorted(cumulative[anchor], draw[:, None], right=True).flatten()
    return Triplets(anchor, positive, negative.clamp_max(len(distance) - 1))


@torch.no_grad()
def random_triplets(distance: Tensor, labels: Tensor) -> Triplets:
    """For every anchor–positive pair any negative: the baseline that the others must beat."""
    same, other = relations(labels)
    anchor, positive = torch.nonzero(same & other.any(1, keepdim=True), as_tuple=True)
    if not len(anchor):
        return Triplets(anchor, positive, anchor)
    ranked = torch.rand_like(distance, dtype=torch.float32).masked_fill(~other, -1).argsort(1, descending=True)
    place = (torch.rand(len(anchor), device=distance.device) * other.sum(1)[anchor]).long()
    return Triplets(anchor, positive, ranked[anchor, place])


@torch.no_grad()
def kinds(distance: Tensor, triplets: Triplets, *, margin: float) -> Tensor:
    """``(T,)`` int64, of each triplet: 0 easy, 1 semi-hard, 2 hard.

    Easy: the negative is beyond the positive and the margin, the hinge is 0. Semi-hard: between them. Hard: no
    farther than the positive.
    """
    positive = distance[triplets.anchor, triplets.positive]
    negative = distance[triplets.anchor, triplets.negative]
    return (negative < positive + margin).long() + (negative <= positive).long()


@torch.no_grad()
def shares(distance: Tensor, triplets: Triplets, *, margin: float) -> Shares:
    """How many of these triplets are easy, semi-hard and hard."""
    return _as_shares(torch.bincount(kinds(distance, triplets, margin=margin), minlength=3))


@torch.no_grad()
def shares_of_all(distance: Tensor, labels: Tensor, *, margin: float) -> Shares:
    """How many of all triplets of a batch are easy, semi-hard and hard, without listing them."""
    same, other = relations(labels)
    anchor, positive = torch.nonzero(same & other.any(1, keepdim=True), as_tuple=True)
    ranked = distance.masked_fill(~other, torch.inf).sort(1).values
    first, after = band(ranked, anchor, distance[anchor, positive], margin)
    hard, nearer, total = first.sum(), after.sum(), other.sum(1)[anchor].sum()
    return _as_shares(torch.stack([total - nearer, nearer - hard, hard]))


def _as_shares(counts: Tensor) -> Shares:
    easy, semi_hard, hard = (counts / counts.sum().clamp_min(1)).tolist()
    return Shares(easy, semi_hard, hard)
