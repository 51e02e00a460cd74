"""Crops on a page: what was found for a query, right and wrong."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.embedder import read_image
from reid.judge import Judgement

SHOWN = 10
"""Ranks of a list."""
WORST, TYPICAL = 8, 6
"""Lists of the queries that went worst, and of some between worst and best."""
HEIGHT = 128
"""Of a crop on the page, in pixels."""


def chosen_queries(average_precision: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The queries that went worst, and others spread evenly from there to the best."""
    ordered = np.argsort(average_precision, kind="stable")
    ordered = ordered[np.isfinite(average_precision[ordered])]
    worst, rest = ordered[:WORST], ordered[WORST:]
    places = np.unique(np.linspace(0, len(rest) - 1, min(TYPICAL, len(rest))).round().astype(np.int64))
    return worst, rest[places]


def ranked_list(judgement: Judgement, row: int) -> str:
    """A query and the first `SHOWN` images that count, as an HTML list."""
    matches, others = (kind[0] for kind in judgement.retrieval.kinds(np.array([row])))
    distance = judgement.distances(np.array([row]))[0]
    counted = np.flatnonzero(matches | others)
    order = counted[np.argsort(distance[counted], kind="stable")][:SHOWN]
    query = judgement.query
    name = escape(query.paths[row].name)
    found = [
        f'<li class="{"right" if matches[i] else "wrong"}">{picture(judgement.gallery.paths[i])}'
        f"<span>{'✓' if matches[i] else '✗'} {distance[i]:.2f}</span></li>"
        for i in order
    ]
    precision = judgement.ranking.average_precision[row]
    return (
        f"<figure><figcaption>{name}: average precision {precision:.2f}, right ones in the gallery: {matches.sum()}"
        f'</figcaption><ol class="ranked"><li class="query">{picture(query.paths[row])}<span>query</span></li>'
        f"{''.join(found)}</ol></figure>"
    )


def picture(path: Path) -> str:
    """An image inside of the page, no larger than it is shown."""
    image = read_image(path)
    if image.shape[0] > HEIGHT:
        width = max(round(image.shape[1] * HEIGHT / image.shape[0]), 1)
        image = np.asarray(cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
    _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])
    data = base64.b64encode(content.tobytes()).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(path.name)}" loading="lazy">'
