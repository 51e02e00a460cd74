"""What the student is to learn: the teacher's vectors, what they are near to, and who is who."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, normalize, softmax

from reid.distance import pairwise
from reid.losses import triplet_loss
from reid.miners import batch_hard


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the terms; 0 leaves one out.

    Attributes:
        vector: one minus the cosine to the teacher's vector.
        near: difference of the distributions over many other views by nearness (Fang et al., ICLR 2021, SEED).
        within: squared difference of the cosines inside the batch (Park et al., CVPR 2019, relational distillation).
        triplet: batch-hard, soft margin, plain distance times `sharp`, of the labelled views.
        temperature: of the distributions, of both student and teacher.
        sharp: what distances are multiplied by, for the soft margin bends at 1 and vectors are 2 apart at most.
    """

    vector: float = 1.0
    near: float = 0.5
    within: float = 2.0
    triplet: float = 0.2
    temperature: float = 0.07
    sharp: float = 6.0


def centred(vectors: Tensor) -> Tensor:
    """``(N, D)`` of unit length: the teacher's without what it says of everybody.

    So strangers are at a right angle on the average, as the network's neck makes them anyway.
    """
    return normalize(vectors - vectors.mean(0))


def objective(
    student: Tensor, teacher: Tensor, others: Tensor, identity: Tensor, weights: Weights
) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch, and its terms.

    Args:
        student: ``(N, D)`` of unit length, with gradient.
        teacher: ``(N, D)`` of the same views.
        others: ``(M, D)`` of many other views by the teacher.
        identity: ``(N,)``; -1 where nobody said.
        weights: of the terms.
    """
    terms = {"vector": 1 - (student * teacher).sum(1).mean()}
    if weights.near:
        said = log_softmax(student @ others.T / weights.temperature, 1)
        wanted = softmax(teacher @ others.T / weights.temperature, 1)
        terms["near"] = kl_div(said, wanted, reduction="batchmean")
    if weights.within:
        terms["within"] = (student @ student.T - teacher @ teacher.T).square().mean() * 10
    known = identity >= 0
    if weights.triplet and known.any():
        distance = weights.sharp * pairwise(student[known])
        terms["triplet"] = triplet_loss(distance, batch_hard(distance.detach(), identity[known]))
    loss = sum((getattr(weights, name) * term for name, term in terms.items()), start=student.sum() * 0.0)
    return loss, {name: float(term.detach()) for name, term in {"loss": loss, **terms}.items()}
