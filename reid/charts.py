"""Charts as SVG text, for pages that are one file: lines, and areas above each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike

COLOURS = ("#2b6cb0", "#d9822b", "#2f855a", "#b83280", "#6b46c1", "#0d9aa6", "#8a6d3b", "#c53030", "#4a5568")
"""In the order of the series; told apart also by their names beside the lines' ends."""
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 34, 40


@dataclass(frozen=True, slots=True)
class Series:
    """A line or an area.

    Attributes:
        name: in the legend.
        x: ``(N,)`` ascending.
        y: ``(N,)``; what is not finite is left out.
        low: ``(N,)`` lower edge of an area; None for a line.
        colour: any of CSS; by its place among the others if not given.
    """

    name: str
    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    colour: str | None = None


def chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str = "",
    y_range: tuple[float, float] | None = None,
    width: int = 460,
    height: int = 270,
) -> str:
    """A chart of lines and areas, with axes, grid and legend.

    Args:
        title: above it.
        series: drawn in their order.
        x_label: under the axis.
        y_label: over the axis, before the title's end.
        y_range: of the vertical axis; all that is there, and 0, if not given.
        width: in pixels.
        height: in pixels.
    """
    shown = [_finite(s) for s in series]
    x_low, x_high = _extent([x for x, _, _ in shown])
    if y_range is None:
        low, high = _extent([y for _, y, _ in shown] + [b for _, _, b in shown if b is not None])
        y_range = min(low, 0.0), high
    y_ticks = _ticks(*y_range)
    y_low, y_high = min(y_range[0], y_ticks[0]), max(y_range[1], y_ticks[-1])
    legend = _legend_rows(series, width)
    bottom = BOTTOM + 16 * len(legend)

    def place(x: float, y: float) -> str:
        across = LEFT + (x - x_low) / max(x_high - x_low, 1e-12) * (width - LEFT - RIGHT)
        down = height - bottom - (y - y_low) / max(y_high - y_low, 1e-12) * (height - TOP - bottom)
        return f"{across:.1f},{down:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(title)}" font-family="system-ui, sans-serif" font-size="11" fill="#444">',
        f'<rect width="{width}" height="{height}" rx="6" fill="#fff"/>',
        f'<text x="{LEFT}" y="18" font-size="13" font-weight="600" fill="#222">{escape(title)}</text>',
        f'<text x="{width - RIGHT}" y="18" text-anchor="end">{escape(y_label)}</text>',
        f'<text x="{(LEFT + width - RIGHT) / 2:.0f}" y="{height - bottom + 30}" '
        f'text-anchor="middle">{escape(x_label)}</text>',
    ]
    for tick in y_ticks:
        start, end = place(x_low, tick), place(x_high, tick)
        x, y = start.split(",")
        parts.append(f'<path d="M{start} L{end}" stroke="#e2e2e2"/>')
        parts.append(f'<text x="{float(x) - 6:.1f}" y="{float(y) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in _ticks(x_low, x_high):
        if x_low - 1e-9 <= tick <= x_high + 1e-9:
            x, y = place(tick, y_low).split(",")
            parts.append(f'<text x="{x}" y="{float(y) + 15:.1f}" text-anchor="middle">{tick:g}</text>')
    for number, (item, (xs, ys, lows)) in enumerate(zip(series, shown, strict=True)):
        parts.append(_drawn(item, number, place, xs, ys, lows))
    for row, items in enumerate(legend):
        for column, (number, item) in enumerate(items):
            x0, y0 = LEFT + column * (width - LEFT - RIGHT) / max(len(legend[0]), 1), height - bottom + 46 + 16 * row
            parts.append(
                f'<rect x="{x0:.1f}" y="{y0 - 9}" width="11" height="11" rx="2" fill="{_colour(item, number)}"/>'
            )
            parts.append(f'<text x="{x0 + 16:.1f}" y="{y0}">{escape(item.name)}</text>')
    return "".join(parts) + "</svg>"


def _finite(item: Series) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    x, y = np.asarray(item.x, float), np.asarray(item.y, float)
    good = np.isfinite(y)
    return x[good], y[good], None if item.low is None else np.asarray(item.low, float)[good]


def _extent(values: Sequence[np.ndarray]) -> tuple[float, float]:
    all_of_them = np.concatenate([*values, np.empty(0)])
    if not len(all_of_them):
        return 0.0, 1.0
    low, high = float(all_of_them.min()), float(all_of_them.max())
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Round numbers that cover a range."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _colour(item: Series, number: int) -> str:
    return item.colour or COLOURS[number % len(COLOURS)]


def _drawn(item: Series, number: int, place: object, xs: np.ndarray, ys: np.ndarray, lows: np.ndarray | None) -> str:
    assert callable(place)
    points = [place(x, y) for x, y in zip(xs, ys, strict=True)]
    colour = _colour(item, number)
    if lows is not None:
        back = [place(x, y) for x, y in zip(xs[::-1], lows[::-1], strict=True)]
        return f'<polygon points="{" ".join(points + back)}" fill="{colour}" fill-opacity="0.55" stroke="{colour}"/>'
    if len(points) == 1:
        x, y = points[0].split(",")
        return f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>'
    return f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _legend_rows(series: Sequence[Series], width: int) -> list[list[tuple[int, Series]]]:
    """Names in rows of as many as fit."""
    longest = max((len(s.name) for s in series), default=1) * 6.2 + 30
    columns = max(int((width - LEFT - RIGHT) // longest), 1)
    numbered = list(enumerate(series))
    return [numbered[i : i + columns] for i in range(0, len(numbered), columns)]
