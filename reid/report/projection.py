"""Vectors in two dimensions: t-SNE (van der Maaten and Hinton, JMLR 2008), exact, for about a thousand of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ITERATIONS = 400
EXAGGERATED = 120
"""So many of them with affinities times 12, which lets clusters find each other."""


def principal(vectors: NDArray[np.float32], dimensions: int = 2) -> NDArray[np.float64]:
    """``(N, D)`` to ``(N, dimensions)``: principal components, each with its largest entry positive."""
    centred = vectors.astype(np.float64) - vectors.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:dimensions]
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])[:, None]
    flat = np.zeros((len(vectors), dimensions))
    flat[:, : len(axes)] = centred @ axes.T
    return flat


def tsne(vectors: NDArray[np.float32], *, perplexity: float = 30, iterations: int = ITERATIONS) -> NDArray[np.float64]:
    """Places whose near ones are near in truth; distances between far groups mean nothing.

    It begins at the principal components, so the same vectors give the same picture.

    Args:
        vectors: ``(N, D)``; time and memory grow with N².
        perplexity: about how many neighbours count; less where there are few vectors.
        iterations: of gradient descent.

    Returns:
        ``(N, 2)``.
    """
    count = len(vectors)
    start = principal(vectors)
    if count < 5:
        return start
    affinity = affinities(vectors, min(perplexity, (count - 1) / 3)).astype(np.float32)
    place = (start / max(start[:, 0].std(), 1e-12) * 1e-4).astype(np.float32)
    velocity, gain = np.zeros_like(place), np.ones_like(place)
    rate = max(count / 48, 50.0)  # Belkina et al., Nature Communications 2019, for a gradient with its factor 4
    for step in range(iterations):
        weight = student(place)
        pull = (12 if step < EXAGGERATED else 1) * affinity - weight / weight.sum()
        pull *= weight
        gradient = 4 * (pull.sum(1)[:, None] * place - pull @ place)
        gain = np.where(np.sign(gradient) == np.sign(velocity), gain * 0.8, gain + 0.2).clip(0.01)
        velocity = (0.5 if step < EXAGGERATED else 0.8) * velocity - rate * gain * gradient
        place = place + velocity
    return np.asarray(place - place.mean(0), np.float64)


def student(place: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(N, N)`` unnormalised similarities of places (equation 4), 0 on the diagonal."""
    length = np.square(place).sum(1)
    weight = 1 / (1 + np.maximum(length[:, None] + length - 2 * place @ place.T, 0))
    np.fill_diagonal(weight, 0)
    return np.asarray(weight, np.float32)


def affinities(vectors: NDArray[np.float32], perplexity: float) -> NDArray[np.float64]:
    """``(N, N)`` joint probabilities: each row a Gaussian of the wanted perplexity, then symmetric (section 2)."""
    x = vectors.astype(np.float64)
    length = np.square(x).sum(1)
    squared = np.maximum(length[:, None] + length - 2 * x @ x.T, 0)
    np.fill_diagonal(squared, np.inf)
    squared -= squared.min(1, keepdims=True)
    low, high = np.full(len(x), -20.0), np.full(len(x), 20.0)  # of the logarithm of the precision
    for _ in range(50):
        middle = (low + high) / 2
        given = np.exp(-squared * np.exp(middle)[:, None])
        given /= given.sum(1, keepdims=True)
        entropy = -np.sum(given * np.log(np.maximum(given, 1e-300)), axis=1)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return np.asarray((given + given.T) / (2 * len(x)), np.float64)
