"""The page of an adaptation: held-out tracklets before and after."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.adapt.identities import prototypes
from reid.adapt.tracklets import Tracklets
from reid.adapt.trust import Verdict
from reid.charts import Series, chart
from reid.files import replacing
from reid.report.style import STYLE
from reid.tracklets import prototype, tracklet_distance

SHOWN = 8
"""Neighbours in a list."""
LISTS = 12
"""Tracklets that are shown with their neighbours."""
BINS = np.linspace(0, 1.4, 29)
NOTE = "This page holds pictures of people: keep it no longer than needed, and do not publish it."


def write_page(
    path: Path, said: Verdict, tracklets: Tracklets, before: NDArray[np.float32], after: NDArray[np.float32]
) -> None:
    """Write the page, whole.

    Args:
        path: of the `.html` file.
        said: the verdict.
        tracklets: those that were held out.
        before: ``(N, D)`` vectors of their crops by the old network.
        after: by the adapted one.
    """
    rows = "".join(
        f"<tr><td>{name}</td><td>{said.before[name]:.3f}</td><td>{said.after[name]:.3f}</td></tr>"
        for name in said.before
    )
    parts = [
        f"<h1>Adaptation: {'offered' if said.promoted else 'not offered'}</h1>",
        f'<p>{escape(said.reason)}.</p><p class="note">{NOTE}</p>',
        f'<h2>{len(tracklets)} tracklets that were not learned from</h2><div class="wide"><table><thead><tr><th></th>'
        f"<th>before</th><th>after</th></tr></thead><tbody>{rows}</tbody></table></div>",
        "<p>Separation: share of those seen apart who are farther than a track's own other half. Consistency: one over "
        "the rank of that half among them. Agreement: share of the tracklets whose halves both find the same one in "
        "another camera, which finds them.</p>",
        f'<h2>Distances</h2><div class="charts">{_distances("Before", tracklets, before)}'
        f"{_distances('After', tracklets, after)}</div>",
        _lists(tracklets, before, after),
    ]
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Adaptation</title>'
        f"<style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>"
    )
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _distances(title: str, tracklets: Tracklets, vectors: NDArray[np.float32]) -> str:
    """Of the halves of a tracklet, and of those seen apart."""
    first, second = (
        np.stack([prototype(vectors[rows]) for rows in halves])
        for halves in zip(*((g[: len(g) // 2], g[len(g) // 2 :]) for g in tracklets.groups), strict=True)
    )
    distance = tracklet_distance(first, second)
    middle = (BINS[1:] + BINS[:-1]) / 2
    series = []
    for name, values, colour in (
        ("seen apart", distance[tracklets.apart], "#c53030"),
        ("halves of one track", np.diagonal(distance), "#2f855a"),
    ):
        density = np.histogram(values, BINS, density=True)[0] if len(values) else np.zeros(len(middle))
        series.append(Series(name, middle, density, np.zeros_like(density), colour))
    return f"<div>{chart(title, series, x_label='cosine distance', y_label='density')}</div>"


def _lists(tracklets: Tracklets, before: NDArray[np.float32], after: NDArray[np.float32]) -> str:
    """The nearest tracklets of other cameras, or of any where there is one camera, before and after."""
    groups = tracklets.groups
    found = []
    for vectors in (before, after):
        means = prototypes(vectors, groups)
        distance = tracklet_distance(means, means)
        same = tracklets.camera[:, None] == tracklets.camera[None]
        out = same if not same.all() else tracklets.apart | np.eye(len(groups), dtype=bool)
        found.append(np.where(out, np.inf, distance))
    chosen = np.random.default_rng(0).permutation(len(groups))[:LISTS]
    text = "<h2>Who is nearest</h2><p>A tracklet, and the nearest ones of other cameras with their distances.</p>"
    for one in chosen.tolist():
        text += f"<figure><figcaption>{escape(tracklets.name[one])}</figcaption>"
        for name, distance in zip(("before", "after"), found, strict=True):
            near = np.argsort(distance[one])[:SHOWN]
            items = [_item(tracklets, groups, one, name, "query")]
            items += [
                _item(tracklets, groups, i, f"{distance[one, i]:.2f}", "")
                for i in near
                if np.isfinite(distance[one, i])
            ]
            text += f'<ul class="ranked">{"".join(items)}</ul>'
        text += "</figure>"
    return text


def _item(tracklets: Tracklets, groups: list[NDArray[np.int64]], number: int, words: str, kind: str) -> str:
    rows = groups[number]
    crop = tracklets.crops[int(rows[len(rows) // 2])].numpy().transpose(1, 2, 0)[:, :, ::-1]
    content = cv2.imencode(".jpg", np.ascontiguousarray(crop))[1].tobytes()
    picture = base64.b64encode(content).decode()
    return (
        f'<li class="{kind}"><img src="data:image/jpeg;base64,{picture}" alt="{escape(tracklets.name[number])}">'
        f"<span>{escape(words)}</span></li>"
    )
