"""Miners and losses beside naive loops and pytorch-metric-learning."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning import distances, losses, miners, reducers

from reid.distance import pairwise
from reid.losses import identity_loss, triplet_loss
from reid.miners import Triplets, batch_hard


@pytest.fixture(params=range(4))
def batch(request):
    torch.manual_seed(request.param)
    labels = torch.randint(0, 5, (24,))
    return torch.randn(24, 8, dtype=torch.float64), labels


def naive_batch_hard(distance, labels):
    """By the definition: the farthest of the same, the closest of the others."""
    found = []
    n = len(labels)
    for a in range(n):
        same = [j for j in range(n) if j != a and labels[j] == labels[a]]
        other = [j for j in range(n) if labels[j] != labels[a]]
        if same and other:
            found.append((a, max(same, key=lambda j: distance[a, j]), min(other, key=lambda j: distance[a, j])))
    return found


def test_batch_hard_equals_a_loop(batch):
    x, labels = batch
    distance = pairwise(x)
    got = torch.stack(batch_hard(distance, labels)).T.tolist()
    assert [tuple(t) for t in got] == naive_batch_hard(distance, labels)


def test_batch_hard_equals_pytorch_metric_learning(batch):
    x, labels = batch
    theirs = miners.BatchHardMiner(distance=distances.LpDistance(normalize_embeddings=False))(x, labels)
    ours = batch_hard(pairwise(x), labels)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.tolist() == other.tolist()


def test_the_hardest_negative_is_the_closest():
    """A well-known tutorial takes the farthest; on a line the difference is plain."""
    x = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
    triplets = batch_hard(pairwise(x), torch.tensor([0, 0, 1, 1]))
    assert triplets.negative.tolist() == [2, 2, 1, 1]
    assert triplets.positive.tolist() == [1, 0, 3, 2]


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_a_batch_without_triplets_has_none_and_no_loss(labels):
    x = torch.randn(4, 3, requires_grad=True)
    distance = pairwise(x)
    triplets = batch_hard(distance, torch.tensor(labels))
    assert all(len(side) == 0 for side in triplets)
    loss = triplet_loss(distance, triplets)
    loss.backward()
    assert loss.item() == 0
    assert (x.grad == 0).all()


@pytest.mark.parametrize("margin", [0.1, 0.5])
@pytest.mark.parametrize("metric", ["euclidean", "squared"])
@pytest.mark.parametrize("reduction", ["mean", "nonzero"])
def test_hinge_equals_pytorch_metric_learning(batch, margin, metric, reduction):
    x, labels = batch
    distance = pairwise(x, metric=metric)
    triplets = batch_hard(distance, labels)
    reducer = reducers.MeanReducer() if reduction == "mean" else reducers.AvgNonZeroReducer()
    power = 2 if metric == "squared" else 1
    theirs = losses.TripletMarginLoss(
        margin, distance=distances.LpDistance(normalize_embeddings=False, power=power), reducer=reducer
    )
    ours = triplet_loss(distance, triplets, margin=margin, reduction=reduction)
    assert ours.item() == pytest.approx(theirs(x, labels, tuple(triplets)).item(), abs=1e-9)


def test_soft_margin_equals_its_formula(batch):
    x, labels = batch
    distance = pairwise(x)
    t = batch_hard(distance, labels)
    expected = [np.log1p(np.exp(float(distance[a, p] - distance[a, n]))) for a, p, n in zip(*t, strict=True)]
    assert triplet_loss(distance, t, margin="soft").item() == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("margin", [0.3, "soft"])
def test_gradient_is_right(margin):
    torch.manual_seed(1)
    x = torch.randn(8, 4, dtype=torch.float64, requires_grad=True)
    triplets = batch_hard(pairwise(x.detach()), torch.arange(8) // 2)
    assert torch.autograd.gradcheck(lambda v: triplet_loss(pairwise(v), triplets, margin=margin), (x,))


def test_a_collapsed_network_sits_where_it_is_told_to():
    """All embeddings equal: the hinge is at its margin, the soft margin at ln 2."""
    distance = pairwise(torch.ones(8, 4))
    triplets = Triplets(*(torch.arange(8).roll(k) for k in (0, 1, 2)))
    assert triplet_loss(distance, triplets, margin=0.3).item() == pytest.approx(0.3)
    assert triplet_loss(distance, triplets, margin="soft").item() == pytest.approx(np.log(2))


def test_identity_loss_without_smoothing_is_cross_entropy():
    logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    expected = -torch.log_softmax(logits, 1)[torch.arange(6), labels].mean()
    assert identity_loss(logits, labels, smoothing=0).item() == pytest.approx(expected.item(), rel=1e-6)
