import numpy as np
import pytest
import torch

from reid.distance import pairwise


def naive(a, b, metric):
    out = np.empty((len(a), len(b)))
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            if metric == "cosine":
                out[i, j] = 1 - x @ y / np.linalg.norm(x) / np.linalg.norm(y)
            else:
                squared = ((x - y) ** 2).sum()
                out[i, j] = squared if metric == "squared" else squared**0.5
    return out


@pytest.mark.parametrize("metric", ["euclidean", "squared", "cosine"])
def test_equals_a_loop(metric):
    random = np.random.default_rng(0)
    a, b = random.normal(size=(5, 7)), random.normal(size=(3, 7))
    got = pairwise(torch.from_numpy(a), torch.from_numpy(b), metric=metric)
    np.testing.assert_allclose(got, naive(a, b, metric), atol=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "squared"])
def test_the_diagonal_is_exactly_zero(metric):
    x = 1000 + torch.randn(20, 64)
    assert (pairwise(x, metric=metric).diagonal() == 0).all()


@pytest.mark.parametrize("metric", ["euclidean", "squared", "cosine"])
def test_gradient_is_right(metric):
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    off = ~torch.eye(4, dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda v: pairwise(v, metric=metric)[off], (x,))


def test_gradient_at_equal_points_is_finite():
    """The slope of a square root at 0 is infinite; one duplicate would poison the whole batch."""
    x = torch.ones(3, 4, requires_grad=True)
    pairwise(x).sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("metric", ["euclidean", "squared", "cosine"])
def test_gradient_of_both_sides_is_right(metric):
    torch.manual_seed(0)
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (4, 5))
    assert torch.autograd.gradcheck(lambda a, b: pairwise(a, b, metric=metric), (x, y))
    one, two = (pairwise(x, right, metric=metric) for right in (None, x))
    off = ~torch.eye(4, dtype=torch.bool)
    torch.testing.assert_close(one[off], two[off])
