"""Draw the figures of docs/triplet-mining.md that need no training: `python -m tools.figures.draw_triplet_figures`.

What they show is computed by the package itself: kinds by `miners.kinds`, choices by `miners.batch_hard`, draws by
`miners.distance_weighted`.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from reid.charts import Series, chart
from reid.distance import pairwise
from reid.losses import triplet_loss
from reid.miners import Triplets, batch_hard, distance_weighted, kinds

COLOURS = ("#5a9e52", "#d9972b", "#c53030")
"""Of easy, semi-hard and hard."""
NAMES = ("easy", "semi-hard", "hard")
POSITIVE = "#2b6cb0"
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
    'font-family="system-ui, sans-serif" font-size="13" fill="#333"><rect width="{w}" height="{h}" rx="8" fill="#fff"/>'
)


def text(x: float, y: float, words: str, **style: str) -> str:
    """Words at a place."""
    extra = "".join(f' {k.replace("_", "-")}="{v}"' for k, v in style.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{extra}>{words}</text>'


def kinds_of_negatives() -> str:
    """Anchor in the middle, the positive's circle, the margin's ring, and negatives by their kind."""
    unit, margin = 150.0, 0.4  # pixels a distance of 1
    cx, cy, outer = 260.0, 262.0, 245.0
    positive = 0.85
    rng = np.random.default_rng(8)
    angles = np.linspace(0.25, 2 * math.pi + 0.25, 15, endpoint=False) + rng.uniform(-0.1, 0.1, 15)
    radii = np.tile([0.5, 1.05, 1.48, 1.12, 0.68], 3) + rng.uniform(-0.06, 0.06, 15)
    points = np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
    place = np.array([math.cos(-0.9), math.sin(-0.9)]) * positive
    vectors = torch.tensor(np.vstack([[0, 0], place, points]), dtype=torch.float64)
    count = len(points)
    triplets = Triplets(
        torch.zeros(count, dtype=torch.long), torch.ones(count, dtype=torch.long), torch.arange(2, count + 2)
    )
    found = kinds(pairwise(vectors), triplets, margin=margin).tolist()
    parts = [HEAD.format(w=780, h=524)]
    for radius, colour in (
        (outer, COLOURS[0]),
        ((positive + margin) * unit, COLOURS[1]),
        (positive * unit, COLOURS[2]),
    ):
        parts.append(f'<circle cx="{cx}" cy="{cy}" r="{radius:.1f}" fill="#fff"/>')
        parts.append(f'<circle cx="{cx}" cy="{cy}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.17"/>')
    for radius, dash in ((positive * unit, "none"), ((positive + margin) * unit, "6 4")):
        parts.append(
            f'<circle cx="{cx}" cy="{cy}" r="{radius:.1f}" fill="none" stroke="#555" stroke-dasharray="{dash}"/>'
        )
    x, y = cx + place[0] * unit, cy + place[1] * unit
    parts.append(f'<path d="M{cx} {cy} L{x:.1f} {y:.1f}" stroke="{POSITIVE}" stroke-width="2"/>')
    parts.append(text(cx + 4, cy - 62, "d(a,p)", fill=POSITIVE))
    # The margin, from the positive's circle outwards.
    direction = np.array([math.cos(-2.0), math.sin(-2.0)])
    start, end = (np.array([cx, cy]) + direction * unit * r for r in (positive, positive + margin))
    parts.append(
        f'<path d="M{start[0]:.1f} {start[1]:.1f} L{end[0]:.1f} {end[1]:.1f}" stroke="#555" stroke-width="2"/>'
    )
    parts.append(text(end[0] + 16, end[1] + 30, "margin", fill="#555"))
    for (px, py), kind in zip(points * unit + [cx, cy], found, strict=True):
        parts.append(f'<rect x="{px - 7:.1f}" y="{py - 7:.1f}" width="14" height="14" fill="{COLOURS[kind]}"/>')
    parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="{POSITIVE}"/>')
    parts.append(text(x + 10, y + 22, "positive", fill=POSITIVE, font_weight="600"))
    parts.append(f'<circle cx="{cx}" cy="{cy}" r="9" fill="#222"/>')
    parts.append(text(cx - 15, cy + 26, "anchor", font_weight="600"))
    legend = (
        ("easy", "d(a,n) ≥ d(a,p) + margin", "The loss is 0: nothing is learnt."),
        ("semi-hard", "d(a,p) &lt; d(a,n) &lt; d(a,p) + margin", "In the right order, but too close."),
        ("hard", "d(a,n) ≤ d(a,p)", "The wrong one is the nearer one."),
    )
    for row, (name, rule, meaning) in enumerate(legend):
        top = 150 + 86 * row
        parts.append(f'<rect x="528" y="{top - 12}" width="14" height="14" fill="{COLOURS[NAMES.index(name)]}"/>')
        parts.append(text(550, top, f"{name} negative", font_weight="600", font_size="15"))
        parts.append(text(550, top + 21, rule))
        parts.append(text(550, top + 41, meaning, fill="#666"))
    return "".join(parts) + "</svg>"


def batch_matrix() -> str:
    """Distances of a batch of 4 identities × 3 images, and what batch-hard takes from each row."""
    torch.manual_seed(3)
    labels = torch.arange(12) // 3
    centres = torch.randn(4, 6)
    distance = pairwise(functional.normalize(centres[labels] + 0.75 * torch.randn(12, 6)))
    found = batch_hard(distance, labels)
    cell, left, top = 36, 96, 60
    parts = [HEAD.format(w=780, h=top + 12 * cell + 26)]
    parts.append(
        text(left, 24, "Distance matrix of a batch: 4 identities × 3 images", font_weight="600", font_size="15")
    )
    for i in range(12):
        name = f"{'ABCD'[i // 3]}{i % 3 + 1}"
        parts.append(text(left - 10, top + i * cell + 23, name, text_anchor="end"))
        parts.append(text(left + i * cell + cell / 2, top - 8, name, text_anchor="middle"))
        for j in range(12):
            d = float(distance[i, j])
            same = bool(labels[i] == labels[j])
            colour = POSITIVE if same else "#777"
            strength = 0.0 if i == j else 0.12 + 0.5 * (d / 2)
            x, y = left + j * cell, top + i * cell
            parts.append(
                f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="{colour}" fill-opacity="{strength:.2f}" '
                'stroke="#fff"/>'
            )
            label = "–" if i == j else f"{d:.2f}"
            parts.append(text(x + cell / 2, y + 22, label, text_anchor="middle", font_size="11"))
    for a, p, n in zip(*(t.tolist() for t in found), strict=True):
        for column, colour in ((p, POSITIVE), (n, COLOURS[2])):
            parts.append(
                f'<rect x="{left + column * cell + 2}" y="{top + a * cell + 2}" width="{cell - 4}" '
                f'height="{cell - 4}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
            )
    x = left + 12 * cell + 24
    notes = (
        (POSITIVE, "hardest positive:", "the largest distance in the", "row to the same identity"),
        (COLOURS[2], "hardest negative:", "the smallest distance in the", "row to another identity"),
    )
    for row, (colour, title, first, second) in enumerate(notes):
        y = top + 96 + 110 * row
        parts.append(
            f'<rect x="{x}" y="{y - 14}" width="18" height="18" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        )
        parts.append(text(x + 28, y, title, font_weight="600"))
        parts.append(text(x + 28, y + 20, first))
        parts.append(text(x + 28, y + 38, second))
    return "".join(parts) + "</svg>"


def losses() -> str:
    """Hinge and soft margin over the gap of the two distances."""
    gap = np.linspace(-1.5, 1.5, 121)
    curves = []
    triplet = Triplets(*(torch.tensor([k]) for k in (0, 1, 2)))
    for name, margin in (("hinge, margin 0.3", 0.3), ("soft margin", "soft")):
        values = []
        for g in gap:
            distance = torch.zeros(3, 3, dtype=torch.float64)
            distance[0, 1], distance[0, 2] = 2.0 + g, 2.0
            values.append(float(triplet_loss(distance, triplet, margin=margin)))  # type: ignore[arg-type]
        curves.append(Series(name, gap, values))
    return chart("What a triplet costs", curves, x_label="d(a,p) − d(a,n)", width=560, height=320)


def density() -> str:
    """How far random points of the unit sphere are apart, by dimension."""
    d = np.linspace(0.01, 1.99, 400)
    curves = []
    for dimension in (4, 16, 128, 512):
        log = (dimension - 2) * np.log(d) + (dimension - 3) / 2 * np.log(1 - d**2 / 4)
        q = np.exp(log - log.max())
        curves.append(Series(f"{dimension} dimensions", d, q / (q.sum() * (d[1] - d[0]))))
    return chart("Distances of random unit vectors", curves, x_label="distance", y_label="density q(d)", width=560)


def draws() -> str:
    """Distances of negatives that each way of mining takes from the same batches of 64 identities in 16 dimensions."""
    torch.manual_seed(0)
    labels = torch.arange(256) // 4
    found: dict[str, list[torch.Tensor]] = {"random": [], "distance-weighted": [], "closest (batch-hard)": []}
    for _ in range(20):
        x = functional.normalize(torch.randn(64, 16)[labels] + 0.4 * torch.randn(256, 16))
        distance = pairwise(x)
        other = labels[:, None] != labels[None]
        t = distance_weighted(distance, labels, dimension=16)
        found["random"].append(distance[other])
        found["distance-weighted"].append(distance[t.anchor, t.negative])
        found["closest (batch-hard)"].append(distance.masked_fill(~other, torch.inf).min(1).values)
    edges = np.linspace(0, 2, 61)
    middle = (edges[:-1] + edges[1:]) / 2
    series = []
    for (name, values), colour in zip(found.items(), ("#8a8a8a", POSITIVE, COLOURS[2]), strict=True):
        count = np.histogram(torch.cat(values).numpy(), edges, density=True)[0]
        series.append(Series(name, middle, count, np.zeros_like(count), colour))
    return chart("Which negatives are drawn", series, x_label="distance to the anchor", y_label="density", width=560)


FIGURES = {
    "triplet-kinds": kinds_of_negatives,
    "triplet-matrix": batch_matrix,
    "triplet-losses": losses,
    "triplet-density": density,
    "triplet-draws": draws,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    for name, draw in FIGURES.items():
        path = args.out / f"{name}.svg"
        path.write_text(draw(), encoding="utf-8")
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
