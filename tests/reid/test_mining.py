"""Miners and losses beside naive loops and pytorch-metric-learning."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_metric_learning import distances, losses, miners, reducers

from reid.distance import pairwise
from reid.losses import CenterLoss, all_triplets_loss, contrastive_loss, identity_loss, triplet_loss
from reid.miners import (
    Triplets,
    batch_all,
    batch_hard,
    distance_weighted,
    kinds,
    random_triplets,
    semi_hard,
    shares,
    shares_of_all,
)
from reid.offline import offline_triplets


@pytest.fixture(params=range(3))
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


def naive_triplets(labels):
    n = len(labels)
    return [
        (a, p, k)
        for a in range(n)
        for p in range(n)
        for k in range(n)
        if a != p and labels[a] == labels[p] and labels[a] != labels[k]
    ]


def is_semi_hard(distance, triplet, margin):
    a, p, n = triplet
    return distance[a, p] < distance[a, n] < distance[a, p] + margin


def as_set(triplets):
    return {tuple(t) for t in torch.stack(triplets).T.tolist()}


def test_batch_all_lists_every_triplet_once(batch):
    x, labels = batch
    got = batch_all(pairwise(x), labels)
    assert sorted(as_set(got)) == sorted(naive_triplets(labels))
    assert len(got.anchor) == len(as_set(got))


@pytest.mark.parametrize("only", ["all", "semi-hard"])
@pytest.mark.parametrize("reduction", ["mean", "nonzero"])
@pytest.mark.parametrize("margin", [0.2, 3.0])
def test_all_triplets_in_closed_form_equal_the_loop(batch, only, reduction, margin):
    x, labels = batch
    x = x.clone().requires_grad_()
    distance = pairwise(x)
    chosen = [t for t in naive_triplets(labels) if only == "all" or is_semi_hard(distance, t, margin)]
    hinges = torch.stack([(distance[a, p] - distance[a, n] + margin).clamp_min(0) for a, p, n in chosen])
    expected = hinges.mean() if reduction == "mean" else hinges[hinges > 0].mean()
    got = all_triplets_loss(distance, labels, margin=margin, only=only, reduction=reduction)
    assert got.triplets == len(chosen)
    assert got.active == int((hinges > 0).sum())
    assert got.loss.item() == pytest.approx(expected.item(), abs=1e-10)
    (theirs,) = torch.autograd.grad(expected, x, retain_graph=True)
    (ours,) = torch.autograd.grad(got.loss, x)
    torch.testing.assert_close(ours, theirs)


def test_batch_all_equals_pytorch_metric_learning(batch):
    x, labels = batch
    lp = distances.LpDistance(normalize_embeddings=False)
    theirs = losses.TripletMarginLoss(0.5, distance=lp, reducer=reducers.AvgNonZeroReducer())(x, labels)
    ours = all_triplets_loss(pairwise(x), labels, margin=0.5)
    assert ours.loss.item() == pytest.approx(theirs.item(), abs=1e-9)


def test_semi_hard_equals_pytorch_metric_learning(batch):
    """All semi-hard triplets, with squared distances as FaceNet has them."""
    x, labels = batch
    x = torch.nn.functional.normalize(x)
    squared = distances.LpDistance(normalize_embeddings=False, power=2)
    theirs = miners.TripletMarginMiner(margin=0.4, type_of_triplets="semihard", distance=squared)(x, labels)
    got = all_triplets_loss(pairwise(x, metric="squared"), labels, margin=0.4, only="semi-hard")
    assert got.triplets == len(theirs[0])


def test_semi_hard_takes_the_closest_of_them(batch):
    x, labels = batch
    distance = pairwise(x)
    got = as_set(semi_hard(distance, labels, margin=1.0))
    expected = set()
    for a, p in {(a, p) for a, p, _ in naive_triplets(labels)}:
        able = [n for n in range(len(labels)) if labels[n] != labels[a] and is_semi_hard(distance, (a, p, n), 1.0)]
        if able:
            expected.add((a, p, min(able, key=lambda n: float(distance[a, n]))))
    assert got == expected


def test_semi_hard_at_random_is_semi_hard(batch):
    x, labels = batch
    distance = pairwise(x)
    picked = as_set(semi_hard(distance, labels, margin=1.0, choose="random"))
    assert all(is_semi_hard(distance, t, 1.0) for t in picked)
    assert {t[:2] for t in picked} == {t[:2] for t in as_set(semi_hard(distance, labels, margin=1.0))}


@pytest.mark.parametrize("miner", [random_triplets, lambda d, y: distance_weighted(d, y, dimension=8)])
def test_drawn_triplets_are_triplets_one_a_pair(batch, miner):
    x, labels = batch
    x = torch.nn.functional.normalize(x)
    got = miner(pairwise(x), labels)
    assert as_set(got) <= set(naive_triplets(labels))
    assert len(got.anchor) == len({t[:2] for t in naive_triplets(labels)})


def test_distance_weighting_draws_by_the_density():
    """One anchor, one positive, negatives at known distances: draws follow 1 / q(d)."""
    torch.manual_seed(0)
    d = torch.tensor([0.6, 0.8, 1.0, 1.2])
    distance = torch.zeros(6, 6)
    distance[0, 2:] = distance[1, 2:] = d
    labels = torch.tensor([0, 0, 1, 2, 3, 4])
    drawn = torch.cat([distance_weighted(distance, labels, dimension=8).negative[:1] for _ in range(3000)])
    expected = 1 / (d**6 * (1 - d**2 / 4) ** 2.5)
    torch.testing.assert_close(
        torch.bincount(drawn, minlength=6)[2:] / 3000, expected / expected.sum(), atol=0.03, rtol=0
    )


def test_distance_weighting_does_not_underflow():
    """At 512 dimensions the weights span hundreds of orders of magnitude between rows. Normalised by the whole
    batch's largest, all but the closest rows would be zero and lose their anchors."""
    torch.manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(32, 512))
    x[1] = torch.nn.functional.normalize(x[2] + 0.02 * torch.randn(512), dim=0)  # one very close pair of others
    labels = torch.arange(32) // 2
    distance = pairwise(x).float()
    d = distance.clamp(0.5, 1.999)
    logit = -(510 * d.log() + 254.5 * (1 - d.square() / 4).log())
    logit[labels[:, None] == labels[None]] = -torch.inf
    by_global_maximum = (logit - logit.max()).exp()
    assert (by_global_maximum.sum(1) == 0).sum() > 16  # the trap is real
    got = distance_weighted(distance, labels, dimension=512)
    assert sorted(got.anchor.tolist()) == list(range(32))
    assert (labels[got.anchor] != labels[got.negative]).all()


def test_shares_of_easy_semi_hard_and_hard(batch):
    x, labels = batch
    distance = pairwise(x)
    triplets = naive_triplets(labels)
    got = shares(distance, batch_all(distance, labels), margin=0.7)
    semi = np.mean([bool(is_semi_hard(distance, t, 0.7)) for t in triplets])
    hard = np.mean([bool(distance[a, n] <= distance[a, p]) for a, p, n in triplets])
    assert got.semi_hard == pytest.approx(semi, abs=1e-6)
    assert got.hard == pytest.approx(hard, abs=1e-6)
    assert sum(got) == pytest.approx(1)
    of_all = shares_of_all(distance, labels, margin=0.7)  # the same, without listing them
    assert tuple(of_all) == pytest.approx(tuple(got), abs=1e-6)


def test_kinds_of_triplets_on_a_line():
    """Positive at distance 1, margin 0.5: a negative at 0.9 or 1 is hard, at 1.2 semi-hard, at 1.5 easy."""
    x = torch.tensor([[0.0], [1.0], [-0.9], [-1.0], [-1.2], [-1.5]], dtype=torch.float64)
    triplets = Triplets(torch.zeros(4, dtype=torch.long), torch.ones(4, dtype=torch.long), torch.arange(2, 6))
    assert kinds(pairwise(x), triplets, margin=0.5).tolist() == [2, 2, 1, 0]


def test_shares_where_there_is_no_triplet():
    assert tuple(shares_of_all(pairwise(torch.randn(4, 3)), torch.zeros(4), margin=0.3)) == (0, 0, 0)


def test_offline_triplets_are_neither_trivial_nor_hopeless():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(300, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = random.integers(0, 40, 300)
    blocks = list(offline_triplets(vectors, labels, margin=0.2, each=2, block=64, seed=1))
    assert len(blocks) == 5
    a, p, n = np.concatenate(blocks).T
    assert len(a) > 300
    assert (labels[a] == labels[p]).all()
    assert (a != p).all()
    assert (labels[a] != labels[n]).all()
    gap = np.linalg.norm(vectors[a] - vectors[p], axis=1) - np.linalg.norm(vectors[a] - vectors[n], axis=1)
    assert np.abs(gap).max() < 0.2 + 1e-5
    again = np.concatenate(list(offline_triplets(vectors, labels, margin=0.2, each=2, block=64, seed=1)))
    np.testing.assert_array_equal(np.stack([a, p, n], 1), again)


def test_contrastive_loss_equals_a_loop(batch):
    x, labels = batch
    distance = pairwise(x)
    pull, push = [], []
    for i in range(len(labels)):
        for j in range(i + 1, len(labels)):
            d = float(distance[i, j])
            if labels[i] == labels[j]:
                pull.append(max(d - 0.1, 0) ** 2)
            else:
                push.append(max(4.0 - d, 0) ** 2)
    got = contrastive_loss(distance, labels, margin=4.0, positive_margin=0.1)
    assert got.item() == pytest.approx(np.mean(pull) + np.mean(push))


def test_contrastive_loss_without_pairs_of_a_kind():
    x = torch.randn(3, 2, requires_grad=True)
    contrastive_loss(pairwise(x), torch.zeros(3, dtype=torch.long)).backward()
    assert torch.isfinite(x.grad).all()


def test_center_loss_pulls_to_the_centers():
    torch.manual_seed(0)
    loss = CenterLoss(2, 3).double()
    x, labels = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 1, 1, 0, 1])
    expected = np.mean([0.5 * float(((x[i] - loss.centers[labels[i]]) ** 2).sum().detach()) for i in range(5)])
    assert loss(x, labels).item() == pytest.approx(expected)
    assert torch.autograd.gradcheck(lambda v: loss(v, labels), (x.requires_grad_(),))


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]])
@pytest.mark.parametrize(
    "miner", [batch_all, semi_hard, random_triplets, lambda d, y: distance_weighted(d, y, dimension=8)]
)
def test_every_miner_survives_a_batch_without_triplets(miner, labels):
    x = torch.nn.functional.normalize(torch.randn(4, 8))
    assert len(miner(pairwise(x), torch.tensor(labels)).anchor) == 0
    got = all_triplets_loss(pairwise(x), torch.tensor(labels), margin=0.3)
    assert got.loss.item() == 0
    assert got.triplets == 0


def trained_on_a_toy(mine):
    """Forty points of ten identities in noise, a linear map; the share whose nearest neighbour is of their own."""
    torch.manual_seed(0)
    labels = torch.arange(40) // 4
    x = torch.randn(10, 6)[labels] + 0.4 * torch.randn(40, 6)
    x = torch.cat([x, 2.0 * torch.randn(40, 10)], dim=1)  # six of sixteen columns tell
    network = torch.nn.Linear(16, 8, bias=False)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(300):
        distance = pairwise(network(x))
        loss = mine(distance, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    distance = pairwise(network(x)).detach().fill_diagonal_(torch.inf)
    return float((labels[distance.argmin(1)] == labels).float().mean())


def test_the_tutorials_wrong_batch_hard_destroys_what_ours_learns():
    """A popular text takes the farthest negative as the hardest and adds a second term with the wrong sign."""

    def wrong(distance, labels):
        same = labels[:, None] == labels[None]
        positive = (distance * same).max(1).values
        negative = distance.masked_fill(same, -torch.inf).max(1).values
        return (positive - negative + 0.5).clamp_min(0).mean() + (negative - positive).mean()

    def ours(distance, labels):
        return triplet_loss(distance, batch_hard(distance.detach(), labels), margin=0.5)

    assert trained_on_a_toy(ours) > 0.95
    assert trained_on_a_toy(wrong) < 0.5


def test_all_triplets_of_a_large_batch_fit_into_little_memory():
    """Forward and backward at batch 1024, 512 dimensions, in a process of its own; a mask of N³ would take 1 GB."""
    code = """
from pathlib import Path
import torch
from reid.distance import pairwise
from reid.losses import all_triplets_loss

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

def step(size):
    x = torch.nn.functional.normalize(torch.randn(size, 512)).requires_grad_()
    labels = torch.arange(size) // 4
    for only, metric in (("all", "euclidean"), ("semi-hard", "squared")):
        all_triplets_loss(pairwise(x, metric=metric), labels, margin=0.2, only=only).loss.backward()

torch.set_num_threads(1)
step(16)
before = peak()
step(1024)
print(peak() - before)
"""
    if not Path("/proc/self/status").exists():
        pytest.skip("reads Linux's /proc")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 200
